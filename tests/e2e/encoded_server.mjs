// The built site as some static servers send it: files whose names end in .gz go out with Content-Encoding: gzip, so that
// the browser unpacks them before the page sees them; pieces of them, too, if the server knows ranges.
//
//   const server = await startEncoded(folder, { ranges: true });
//   server.encoded   // what went out so: paths, and the range that was asked for
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json" };

export async function startEncoded(folder, { ranges }) {
  const encoded = [];
  const server = createServer(async (request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = path.join(folder, name.endsWith("/") ? `${name}index.html` : name);
    const body = await readFile(file).catch(() => null);
    if (body === null) return response.writeHead(404).end();
    const headers = {
      "Content-Type": TYPES[path.extname(file)] ?? "application/octet-stream",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    };
    if (file.endsWith(".gz")) {
      headers["Content-Encoding"] = "gzip";
      encoded.push([name, request.headers.range]);
    }
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (!ranges || first === undefined) return response.writeHead(200, headers).end(body);
    const end = Math.min(Number(last) + 1, body.length);
    headers["Content-Range"] = `bytes ${first}-${end - 1}/${body.length}`;
    response.writeHead(206, headers).end(body.subarray(Number(first), end));
  });
  await new Promise((up) => server.listen(0, "localhost", up));
  return {
    url: `http://localhost:${server.address().port}/`,
    encoded,
    close: () => new Promise((down) => (server.close(down), server.closeAllConnections())),
  };
}
