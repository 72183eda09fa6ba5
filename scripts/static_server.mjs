// A static file server for the built site: what GitHub Pages does, plus the
// cross-origin isolation headers that wasm threads need. Node only, nothing to install.
//
//   node scripts/static_server.mjs DIR [PORT]
//   import { startServer } from "./static_server.mjs"
import { createReadStream } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".jsonl": "application/x-ndjson",
  ".md": "text/markdown; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".ts": "text/plain; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};
const COMPRESSIBLE = /^(text\/|application\/(json|wasm|x-ndjson|manifest\+json)|image\/svg)/;
// trunk (up to 16 hex digits), hash_workers.mjs and offline_site.mjs put a hash into these names, or their folder's:
// their content never changes.
const HASHED = /(^|[-/])[0-9a-f]{12,16}[._/][^/]*$/;
const HEADERS = { "X-Content-Type-Options": "nosniff" };
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/**
 * Serves `root` under `prefix` ("/" or "/some/sub/path/"); port 0 takes a free one.
 * `onResponse({ path, status, bytes })`, path under `prefix`, is told of each answer and its size on the wire.
 * Without `isolated` it leaves the isolation headers out, as hosts do that can't be told to send them.
 * Resolves to { url, port, unref(), close() }; rejects if the port is taken.
 */
export async function startServer({ root, port = 0, prefix = "/", onResponse, isolated = true }) {
  const base = await realpath(root);
  const zipped = new Map(); // "path etag" -> gzipped bytes, so a file is compressed once
  const handle = (req, res) => {
    for (const [name, value] of Object.entries(isolated ? ISOLATION : {})) res.setHeader(name, value);
    if (onResponse) {
      const path = req.url.startsWith(prefix) ? req.url.slice(prefix.length) : req.url;
      res.once("finish", () => {
        const bytes = req.method === "HEAD" ? 0 : Number(res.getHeader("Content-Length") ?? 0);
        onResponse({ path, status: res.statusCode, bytes });
      });
    }
    answer(req, res, { base, prefix, zipped }).catch((error) => {
      console.error(`${req.method} ${req.url}: ${error.stack}`);
      if (res.headersSent) res.destroy();
      else reply(res, 500, "internal error");
    });
  };
  const listen = (host, port) =>
    new Promise((resolve, reject) => {
      const server = createServer(handle);
      server.once("error", reject);
      server.listen(port, host, () => resolve(server));
    });

  // "localhost" is either of these two, as the client likes. Never other machines' business.
  const v4 = await listen("127.0.0.1", port);
  const bound = v4.address().port;
  const servers = [v4];
  try {
    servers.push(await listen("::1", bound));
  } catch (error) {
    if (error.code === "EADDRINUSE") {
      v4.close();
      throw error;
    } // else: no IPv6 here
  }
  return {
    port: bound,
    url: `http://localhost:${bound}${prefix}`,
    /** Lets the program end while it serves. */
    unref: () => servers.forEach((server) => server.unref()),
    close: () => {
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      servers.forEach((server) => server.closeAllConnections());
      return Promise.all(closed);
    },
  };
}

function head(res, status, headers) {
  res.statusCode = status;
  for (const [name, value] of Object.entries({ ...HEADERS, ...headers })) res.setHeader(name, value);
}

function reply(res, status, text, headers = {}) {
  head(res, status, { "Content-Type": "text/plain; charset=utf-8", ...headers });
  res.end(text);
}

async function answer(req, res, { base, prefix, zipped }) {
  if (req.method !== "GET" && req.method !== "HEAD") {
    return reply(res, 405, "only GET and HEAD", { Allow: "GET, HEAD" });
  }
  let pathname;
  try {
    pathname = decodeURIComponent(req.url.split("?")[0]);
  } catch {
    return reply(res, 400, "malformed address");
  }
  if (!pathname.startsWith(prefix) || pathname.includes("\0")) return reply(res, 404, "not found");

  // realpath first, then compare: neither ".." nor a link leaves the folder.
  let file = await realpath(path.join(base, pathname.slice(prefix.length))).catch(() => null);
  if (file === null || (file !== base && !file.startsWith(base + path.sep))) {
    return reply(res, 404, "not found");
  }
  let info = await stat(file);
  if (info.isDirectory()) {
    if (!pathname.endsWith("/")) {
      return reply(res, 301, "moved", { Location: `./${encodeURIComponent(path.basename(file))}/` });
    }
    file = path.join(file, "index.html");
    info = await stat(file).catch(() => null);
  }
  if (!info?.isFile()) return reply(res, 404, "not found");

  const type = TYPES[path.extname(file).toLowerCase()] ?? "application/octet-stream";
  const compressible = COMPRESSIBLE.test(type);
  const etag = `"${info.mtimeMs.toString(36)}-${info.size.toString(36)}"`;
  const headers = {
    "Content-Type": type,
    ETag: etag,
    // no-cache: keep it, but ask again each time.
    "Cache-Control": HASHED.test(path.relative(base, file)) ? "public, max-age=31536000, immutable" : "no-cache",
    ...(compressible ? { Vary: "Accept-Encoding" } : { "Accept-Ranges": "bytes" }),
  };
  if (req.headers["if-none-match"]?.split(/\s*,\s*/).includes(etag)) {
    head(res, 304, headers);
    return res.end();
  }

  if (compressible && /\bgzip\b/.test(req.headers["accept-encoding"] ?? "")) {
    const key = `${file} ${etag}`;
    if (!zipped.has(key)) zipped.set(key, readFile(file).then(promisify(gzip)));
    const body = await zipped.get(key);
    head(res, 200, { ...headers, "Content-Encoding": "gzip", "Content-Length": body.length });
    return res.end(req.method === "HEAD" ? undefined : body);
  }

  let [start, end, status] = [0, info.size - 1, 200];
  const range = !compressible && /^bytes=(\d*)-(\d*)$/.exec(req.headers.range ?? "");
  if (range && (range[1] || range[2])) {
    if (range[1] === "") start = Math.max(0, info.size - Number(range[2]));
    else {
      start = Number(range[1]);
      if (range[2] !== "") end = Math.min(end, Number(range[2]));
    }
    if (start > end) return reply(res, 416, "no such range", { "Content-Range": `bytes */${info.size}` });
    status = 206;
    headers["Content-Range"] = `bytes ${start}-${end}/${info.size}`;
  }
  head(res, status, { ...headers, "Content-Length": end - start + 1 });
  if (req.method === "HEAD" || info.size === 0) return res.end();
  createReadStream(file, { start, end })
    .on("error", () => res.destroy())
    .pipe(res);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [root, port = "8080"] = process.argv.slice(2);
  if (!root || !/^\d+$/.test(port)) {
    console.error("usage: static_server.mjs DIR [PORT]");
    process.exit(2);
  }
  try {
    const { url } = await startServer({ root, port: Number(port) });
    console.log(`serving ${root} at ${url.replace(/\/$/, "")}  (Ctrl-C stops)`);
  } catch (error) {
    const why = {
      EADDRINUSE: `port ${port} is taken: stop what uses it, or choose another with --port N`,
      EACCES: `port ${port} needs more rights: choose one above 1023 with --port N`,
      ENOENT: `there is no folder ${root}: build it first (scripts/serve --build-only)`,
    };
    console.error(why[error.code] ?? String(error));
    process.exit(1);
  }
}
