// A model hub for tests, on this machine: what the hub's `resolve` addresses do, its redirect to a storage host on
// another origin, its metadata; and everything that can go wrong on the way, when told to. Node only, nothing to install.
//
//   const hub = await startHub({ "org/name": { "config.json": buffer, …, "model.safetensors": buffer } });
//   hub.faults.push({ drop: 100_000 }, { status: 429, retryAfter: 1 });   // one for each coming request for weights
//   hub.set({ ranges: false });                                          // from now on
//   hub.twice("org/name")                                                // bytes of the weights that were sent again
//
// A model may also be a folder's path. As on the real hub, X-Linked-ETag and X-Linked-Size stand on the redirect, where
// browsers don't show them; the metadata has them too.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";

const WEIGHTS = "model.safetensors";
const isWeights = (name) => /\.(safetensors|bin)$/.test(name);
const SLICE = 64 * 1024;
const EXPOSED = "X-Repo-Commit, X-Linked-Size, X-Linked-ETag, ETag, Accept-Ranges, Content-Range, Retry-After";

/** What holds until it is set otherwise. */
const SETTINGS = {
  ranges: true, // false: the whole file, whatever is asked
  preflight: true, // false: no request that needs one is let through
  forcePreflight: false, // true: ranges are not let through, as where their preflight fails
  cors: true, // false: nobody else's page may read anything
  token: null, // needed for every file, if set
  hashOn: "redirect", // "storage": where a browser sees it; "nowhere"
  metadata: true,
  etag: null, // in the place of the file's own
  flip: null, // this byte of the weights (of each file of them) comes with a bit flipped
  bitsPerSecond: null,
};

export async function startHub(models, { commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e" } = {}) {
  const settings = { ...SETTINGS };
  const faults = [];
  const asked = []; // { method, url, range, authorization, host: "hub" | "storage" }
  const sent = []; // { repo, name, start, end, bytes }, for each answer with weights
  const files = await Promise.all(Object.entries(models).map(async ([repo, model]) => [repo, await opened(model)]));
  const repos = new Map(files);
  const turn = rateLimit(() => settings.bitsPerSecond);
  const sockets = new Set();

  const storage = await listen((req, res) => answerStorage(req, res).catch(() => res.destroy()));
  const hub = await listen((req, res) => answerHub(req, res).catch(() => res.destroy()));

  function cors(res) {
    if (!settings.cors) return;
    res.setHeader("Access-Control-Allow-Origin", "*");
    res.setHeader("Access-Control-Expose-Headers", EXPOSED);
  }

  function preflight(req, res) {
    if (settings.preflight && settings.cors) {
      cors(res);
      res.setHeader("Access-Control-Allow-Headers", "authorization, range");
      res.setHeader("Access-Control-Allow-Methods", "GET, HEAD");
    }
    res.writeHead(settings.preflight ? 204 : 403).end();
  }

  function note(req, host) {
    const { range, authorization } = req.headers;
    asked.push({ method: req.method, url: req.url, range, authorization, host });
  }

  async function answerHub(req, res) {
    note(req, "hub");
    if (req.method === "OPTIONS") return preflight(req, res);
    cors(res);
    const url = new URL(req.url, hub.url);
    const api = /^\/api\/models\/(.+)\/revision\/([^/]+)$/.exec(url.pathname);
    if (api) return answerMetadata(res, api[1]);
    const [, repo, revision, name] = /^\/(.+)\/resolve\/([^/]+)\/([^/]+)$/.exec(url.pathname) ?? [];
    const model = repos.get(repo);
    const isKnown = model && (revision === "main" || revision === commit);
    if (settings.token && req.headers.authorization !== `Bearer ${settings.token}`) return plain(res, isKnown ? 401 : 404);
    if (!isKnown || !model[name]) return plain(res, 404);
    res.setHeader("X-Repo-Commit", commit);
    const file = model[name];
    if (isWeights(name)) {
      if (settings.hashOn === "redirect") linked(res, file);
      res.setHeader("Accept-Ranges", "bytes");
      res.setHeader("Location", `${storage.url}/${repo}/${name}?signed=${asked.length}`);
      return res.writeHead(302).end();
    }
    const body = gzipSync(await file.read(0, file.size));
    res.setHeader("ETag", `"${file.sha256.slice(0, 40)}"`);
    res.writeHead(200, { "Content-Type": "application/json", "Content-Encoding": "gzip", "Content-Length": body.length });
    res.end(req.method === "HEAD" ? undefined : body);
  }

  function answerMetadata(res, repo) {
    const model = repos.get(repo);
    if (!model || !settings.metadata) return plain(res, 404);
    const siblings = Object.entries(model).map(([rfilename, file]) => ({
      rfilename,
      size: file.size,
      ...(isWeights(rfilename) ? { lfs: { sha256: file.sha256, size: file.size, pointerSize: 134 } } : {}),
    }));
    const body = gzipSync(JSON.stringify({ id: repo, sha: commit, siblings }));
    res.writeHead(200, { "Content-Type": "application/json", "Content-Encoding": "gzip" }).end(body);
  }

  async function answerStorage(req, res) {
    note(req, "storage");
    if (req.method === "OPTIONS") return preflight(req, res);
    const asksRange = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? "");
    if (asksRange && settings.forcePreflight) return plain(res, 403); // without CORS headers: the page sees nothing
    cors(res);
    const [, repo, name] = /^\/(.+)\/([^/]+)$/.exec(req.url.split("?")[0]) ?? [];
    const file = repos.get(repo)?.[name];
    if (!file) return plain(res, 404);
    if (req.method === "HEAD") return plain(res, 200);
    const fault = faults.shift() ?? {};
    if (fault.status) {
      if (fault.retryAfter !== undefined) res.setHeader("Retry-After", String(fault.retryAfter));
      return plain(res, fault.status);
    }
    if (fault.page) {
      return res.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>Log in</title>Log in, please.");
    }
    if (fault.refuse) return req.socket.destroy();
    if (fault.etag) settings.etag = fault.etag;
    if (settings.hashOn === "storage") linked(res, file);
    const total = fault.length ?? file.size;
    const range = asksRange && settings.ranges && !fault.noRange;
    const start = range ? Number(asksRange[1]) : 0;
    const end = range ? Math.min(Number(asksRange[2]) + 1, file.size) : file.size;
    if (range) res.setHeader("Content-Range", `bytes ${start}-${end - 1}/${total}`);
    if (settings.ranges) res.setHeader("Accept-Ranges", "bytes");
    res.setHeader("ETag", settings.etag ?? `"${file.sha256.slice(0, 32)}-9"`);
    res.setHeader("Content-Length", range ? end - start : total);
    res.writeHead(range ? 206 : 200, { "Content-Type": "application/octet-stream" });
    const entry = { repo, name, start, end: start, bytes: 0 };
    sent.push(entry);
    const stop = start + (fault.drop ?? fault.stall ?? Infinity);
    for (let at = start; at < Math.min(end, stop); ) {
      const slice = await file.read(at, Math.min(at + SLICE, end, stop));
      if (settings.flip !== null && settings.flip >= at && settings.flip < at + slice.length) slice[settings.flip - at] ^= 1;
      await turn(slice.length);
      if (res.destroyed) return;
      if (!res.write(slice)) await drained(res);
      at += slice.length;
      entry.end = at;
      entry.bytes += slice.length;
    }
    if (fault.stall !== undefined) return; // and nothing more, until the other side has had enough
    if (fault.drop !== undefined) return res.socket?.end(); // what was sent arrives first
    res.end();
  }

  function listen(handler) {
    return new Promise((resolve, reject) => {
      const server = createServer(handler);
      server.on("connection", (socket) => sockets.add(socket.once("close", () => sockets.delete(socket))));
      server.once("error", reject);
      server.unref(); // see serveSite
      server.listen(0, "127.0.0.1", () => resolve({ server, url: `http://localhost:${server.address().port}` }));
    });
  }

  return {
    url: hub.url,
    origins: [hub.url, storage.url],
    commit,
    faults,
    asked,
    sent,
    sha256: (repo) => repos.get(repo)[WEIGHTS].sha256,
    size: (repo) => repos.get(repo)[WEIGHTS].size,
    set: (changes) => Object.assign(settings, changes),
    /** Forgets what was asked and sent, and whatever was set or was to fail. */
    reset() {
      Object.assign(settings, SETTINGS);
      for (const list of [faults, asked, sent]) list.length = 0;
    },
    /** Bytes of the weights that were sent. */
    bytes: (repo) => sent.filter((entry) => entry.repo === repo).reduce((sum, { bytes }) => sum + bytes, 0),
    /** Bytes of the weights that were sent more than once. */
    twice(repo) {
      const spans = sent.filter((entry) => entry.repo === repo && entry.bytes > 0).sort((a, b) => a.start - b.start);
      let [twice, reached] = [0, {}];
      for (const { name, start, end } of spans) {
        twice += Math.max(0, Math.min(reached[name] ?? 0, end) - start);
        reached[name] = Math.max(reached[name] ?? 0, end);
      }
      return twice;
    },
    close: () => {
      sockets.forEach((socket) => socket.destroy());
      return Promise.all([hub, storage].map(({ server }) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** The files of a model: buffers, or a folder's. */
async function opened(model) {
  if (typeof model !== "string") return Object.fromEntries(Object.entries(model).map(([name, bytes]) => [name, inMemory(bytes)]));
  const files = {};
  for (const name of ["config.json", "tokenizer.json", WEIGHTS]) {
    const file = path.join(model, name);
    if (await stat(file).catch(() => null)) files[name] = name === WEIGHTS ? await onDisk(file) : inMemory(await readFile(file));
  }
  return files;
}

function inMemory(bytes) {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { size: bytes.length, sha256, read: async (start, end) => Buffer.from(bytes.subarray(start, end)) };
}

async function onDisk(file) {
  const handle = await open(file);
  const hash = createHash("sha256");
  for await (const chunk of handle.createReadStream({ autoClose: false, start: 0 })) hash.update(chunk);
  const { size } = await handle.stat();
  const read = async (start, end) => (await handle.read(Buffer.alloc(end - start), 0, end - start, start)).buffer;
  return { size, sha256: hash.digest("hex"), read };
}

function linked(res, file) {
  res.setHeader("X-Linked-ETag", `"${file.sha256}"`);
  res.setHeader("X-Linked-Size", file.size);
}

function plain(res, status) {
  res.writeHead(status, { "Content-Type": "text/plain" }).end(`${status}`);
}

/** Waits until more can be written, or never need be. */
function drained(res) {
  return new Promise((resolve) => {
    const done = () => {
      res.off("drain", done).off("close", done);
      resolve();
    };
    res.on("drain", done).on("close", done);
  });
}

/** Waits so that all answers together keep to a rate. */
function rateLimit(bitsPerSecond) {
  let free = 0;
  return async (bytes) => {
    const rate = bitsPerSecond();
    if (!rate) return;
    const now = performance.now();
    free = Math.max(free, now) + (bytes * 8000) / rate;
    if (free - now > 5) await new Promise((resolve) => setTimeout(resolve, free - now));
  };
}
