// The server that scripts/serve and the other tests stand on.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { startServer } from "../../scripts/static_server.mjs";

let folder, server;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "peartree-server-"));
  const root = path.join(folder, "site");
  mkdirSync(path.join(root, "demo"), { recursive: true });
  writeFileSync(path.join(folder, "secret.txt"), "secret");
  symlinkSync(path.join(folder, "secret.txt"), path.join(root, "link.txt"));
  writeFileSync(path.join(root, "index.html"), "<!doctype html>".padEnd(4000, " "));
  writeFileSync(path.join(root, "page-0123456789abcdef_bg.wasm"), Buffer.alloc(4000));
  writeFileSync(path.join(root, "demo", "model.safetensors"), "0123456789");
  server = await startServer({ root, prefix: "/a/b/" });
});
after(async () => {
  await server?.close();
  rmSync(folder, { recursive: true });
});

// node:http, not fetch, which would tidy "..", decode gzip and follow redirects.
const get = (url, headers = {}, method = "GET") =>
  new Promise((resolve, reject) => {
    const { port } = server;
    request({ host: "localhost", port, path: url, headers, method }, (res) => {
      const chunks = [];
      res.on("data", (chunk) => chunks.push(chunk));
      res.on("end", () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks) }));
    })
      .on("error", reject)
      .end();
  });

test("isolation headers on every answer", async () => {
  for (const url of ["/a/b/", "/a/b/none"]) {
    const { headers } = await get(url);
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
    assert.equal(headers["cross-origin-embedder-policy"], "require-corp");
    assert.equal(headers["cross-origin-resource-policy"], "same-origin");
  }
});

test("types, compression, caching", async () => {
  const gzip = { "accept-encoding": "gzip, br" };
  const html = await get("/a/b/", gzip);
  assert.equal(html.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(html.headers["content-encoding"], "gzip");
  assert.equal(html.headers["cache-control"], "no-cache");
  assert.equal((await get("/a/b/", { ...gzip, "if-none-match": html.headers.etag })).status, 304);
  const wasm = await get("/a/b/page-0123456789abcdef_bg.wasm");
  assert.equal(wasm.headers["content-type"], "application/wasm");
  assert.equal(wasm.headers["content-encoding"], undefined);
  assert.match(wasm.headers["cache-control"], /immutable/);
  assert.equal(wasm.body.length, 4000);
  const weights = await get("/a/b/demo/model.safetensors?x=1", gzip);
  assert.equal(weights.headers["content-encoding"], undefined);
  assert.equal(String(weights.body), "0123456789");
});

test("byte ranges", async () => {
  const part = (range) => get("/a/b/demo/model.safetensors", { range });
  for (const [range, body] of [["bytes=2-4", "234"], ["bytes=7-", "789"], ["bytes=-2", "89"], ["bytes=8-99", "89"]]) {
    const answer = await part(range);
    assert.equal(answer.status, 206);
    assert.equal(String(answer.body), body);
  }
  assert.equal((await part("bytes=2-4")).headers["content-range"], "bytes 2-4/10");
  assert.equal((await part("bytes=10-")).status, 416);
});

test("nothing outside the folder", async () => {
  const out = ["/a/b/../secret.txt", "/a/b/%2e%2e/secret.txt", "/a/b/..%2fsecret.txt", "/a/b/link.txt", "/secret.txt"];
  for (const url of [...out, "/", "/a/b/%00", "/a/b//etc/passwd"]) {
    assert.equal((await get(url)).status, 404, url);
  }
  assert.equal((await get("/a/b/%zz")).status, 400);
  assert.equal((await get("/a/b/", {}, "POST")).status, 405);
});

test("a folder without its slash", async () => {
  const moved = await get("/a/b/demo");
  assert.equal(moved.status, 301);
  assert.equal(new URL(moved.headers.location, server.url).pathname, "/a/b/demo/");
});

test("a taken port is an error, not a hang", async () => {
  await assert.rejects(startServer({ root: folder, port: server.port }), { code: "EADDRINUSE" });
});
