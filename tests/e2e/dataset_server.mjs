// A hub's data sets for tests, on this machine: the list of a data set's parquet files, each of which is a redirect to a
// storage host on another origin, that knows ranges.
//
//   const hub = await startDatasets({ "org/name": [buffer, …] });
//   hub.ranges        // of every answer: [start, end, bytes of the whole]
//   hub.set({ length: false })   // storage keeps to itself how long a file is, but for Content-Length
import { createServer } from "node:http";

export async function startDatasets(sets) {
  const settings = { length: true };
  const ranges = [];

  const cors = (res) => {
    res.setHeader("Access-Control-Allow-Origin", "*");
    if (settings.length) res.setHeader("Access-Control-Expose-Headers", "Content-Range");
  };
  const storage = await listen((req, res) => {
    cors(res);
    const [, id, at] = /^\/(.+)\/(\d+)\?signed$/.exec(req.url) ?? [];
    const file = sets[id]?.[at];
    if (!file) return res.writeHead(404).end();
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? "") ?? [];
    if (req.method === "HEAD" || first === undefined) {
      return res.writeHead(200, { "Content-Length": file.length }).end(req.method === "HEAD" ? undefined : file);
    }
    const [start, end] = [Number(first), Math.min(Number(last) + 1, file.length)];
    ranges.push([start, end, file.length]);
    res.writeHead(206, { "Content-Range": `bytes ${start}-${end - 1}/${file.length}`, "Content-Length": end - start });
    res.end(file.subarray(start, end));
  });
  const hub = await listen((req, res) => {
    cors(res);
    const [, listed] = /^\/api\/datasets\/(.+?)\/parquet$/.exec(req.url) ?? [];
    if (sets[listed]) {
      const urls = sets[listed].map((_, at) => `${hub.url}/api/datasets/${listed}/parquet/default/train/${at}.parquet`);
      return res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ default: { train: urls } }));
    }
    const [, id, at] = /^\/api\/datasets\/(.+)\/parquet\/default\/train\/(\d+)\.parquet$/.exec(req.url) ?? [];
    if (!sets[id]?.[at]) return res.writeHead(404).end();
    res.writeHead(302, { Location: `${storage.url}/${id}/${at}?signed` }).end();
  });
  return {
    url: hub.url,
    origins: [hub.url, storage.url],
    ranges,
    set: (changes) => Object.assign(settings, changes),
    close: () => Promise.all([hub.close(), storage.close()]),
  };
}

async function listen(answer) {
  const server = createServer(answer);
  await new Promise((up) => server.listen(0, "localhost", up));
  return {
    url: `http://localhost:${server.address().port}`,
    close: () => new Promise((down) => (server.close(down), server.closeAllConnections())),
  };
}
