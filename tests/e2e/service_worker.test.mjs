// The service worker's own logic, without a browser: its script run on make-believe caches and a make-believe network.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const SCRIPT = readFileSync(fileURLToPath(new URL("../../www/service-worker.js", import.meta.url)), "utf8");
const SCOPE = "https://example.org/sub/";
const FILES = ["./", "page-0123456789abcdef.js", "worker-0123456789abcdef.js", "threads-0123456789abcdef.js", "demo/0123456789abcdef/config.json"];

/** A cache storage for several workers of one origin. */
function cacheStorage() {
  const all = new Map();
  const open = (name) => {
    if (!all.has(name)) all.set(name, new Map());
    const cache = all.get(name);
    return { put: async (url, response) => void cache.set(url, response), delete: async (url) => cache.delete(url) };
  };
  return {
    all,
    open: async (name) => open(name),
    match: async (url, { cacheName }) => all.get(cacheName)?.get(url)?.clone(),
    has: async (name) => all.has(name),
    keys: async () => [...all.keys()],
    delete: async (name) => all.delete(name),
  };
}

const integrity = (content) => `sha256-${createHash("sha256").update(content).digest("base64")}`;

/**
 * Runs the script as version `version`, whose build made of each file what a network that says `made` answers;
 * `network(url, options)` answers what it fetches.
 */
function worker({ version = "one", files = FILES, made = () => "net", search = "", caches = cacheStorage(), network, locks = [] }) {
  const listeners = {};
  const fetched = [];
  const registration = { scope: SCOPE, waiting: null, installing: null, unregister: async () => (registration.gone = true) };
  const self = {
    registration,
    caches,
    location: `${SCOPE}service-worker.js${search}`,
    navigator: { locks: { query: async () => ({ held: locks.map((name) => ({ name })) }) } },
    skipWaiting: async () => void (self.skipped = true),
    addEventListener: (kind, listener) => (listeners[kind] = listener),
    fetch: async (what, options) => {
      fetched.push(what.url ?? what);
      return network(what.url ?? what, options);
    },
    ...{ URL, Headers, Response, Promise, Error, Object, Uint8Array, String, JSON, crypto, btoa },
    setTimeout: (late) => setTimeout(late, 20), // a short patience
  };
  const filled = JSON.stringify({ version, files: Object.fromEntries(files.map((name) => [name, integrity(`${made(name)}: ${name.replace("./", "")}`)])) });
  vm.runInNewContext(SCRIPT.replace('{ version: "", files: {} }', filled), self);
  const send = async (kind, event = {}) => {
    let [waits, answer] = [[], undefined];
    listeners[kind]({ ...event, waitUntil: (promise) => waits.push(promise), respondWith: (promise) => (answer = promise) });
    await Promise.all(waits);
    return answer && (await answer);
  };
  const get = (path, { method = "GET", mode = "cors", headers = {} } = {}) =>
    send("fetch", { request: { url: new URL(path, SCOPE).href, method, mode, headers: new Headers(headers) } });
  return { self, registration, caches, fetched, send, get, navigate: (path) => get(path, { mode: "navigate" }) };
}

const served = (say) => async (url) => new Response(`${say}: ${url.slice(SCOPE.length)}`);
const offline = async () => {
  throw new TypeError("Failed to fetch");
};
const kept = (caches, version = "one") => [...(caches.all.get(`peartree /sub/ ${version}`)?.keys() ?? [])].map((url) => url.slice(SCOPE.length));
const text = async (response) => (await response).text();

test("keeps what this browser needs, in one piece", async () => {
  const plain = worker({ network: served("net") });
  await plain.send("install");
  assert.deepEqual(kept(plain.caches), ["", ...FILES.slice(1).filter((name) => !name.startsWith("threads"))]);
  const threads = worker({ search: "?threads", network: served("net") });
  await threads.send("install");
  assert.deepEqual(kept(threads.caches), ["", ...FILES.slice(1).filter((name) => !name.startsWith("worker"))]);
});

test("asks for each file as the build made it, under a hash out of the browser's own cache", async () => {
  const asked = {};
  const { send } = worker({ network: async (url, options) => ((asked[url.slice(SCOPE.length)] = options), new Response()) });
  await send("install");
  assert.equal(asked[""].cache, "no-cache");
  assert.equal(asked[FILES[1]].cache, "force-cache");
  for (const [name, options] of Object.entries(asked)) assert.equal(options.integrity, integrity(`net: ${name}`));
});

test("a version of which one file can't be had is not kept at all", async () => {
  for (const fails of [offline, async () => new Response("", { status: 404 })]) {
    const { send, caches } = worker({ network: (url) => (url.includes("demo") ? fails() : served("net")(url)) });
    await assert.rejects(send("install"));
    assert.deepEqual([...caches.all.keys()], []);
  }
});

test("a new version takes what it shares with the one before, and nothing else of it", async () => {
  const old = worker({ made: () => "old", network: served("old") });
  const made = (name) => (name === "./" || name.includes("fedcba") ? "new" : "old");
  await old.send("install");
  const files = FILES.map((name) => name.replace("page-0123456789abcdef", "page-fedcba9876543210"));
  const next = worker({ version: "two", files, made, caches: old.caches, network: served("new") });
  await next.send("install");
  assert.deepEqual(next.fetched.map((url) => url.slice(SCOPE.length)).sort(), ["", "page-fedcba9876543210.js"]);
  await next.send("activate");
  assert.deepEqual([...next.caches.all.keys()], ["peartree /sub/ two"]);
  const noNetwork = worker({ version: "two", files, made, caches: old.caches, network: offline });
  assert.equal(await text(noNetwork.navigate("")), "new: ");
});

test("a version that an open page runs, other sites' caches, and one that waits are left alone", async () => {
  const { send, caches, registration } = worker({ version: "three", network: served("net"), locks: ["peartree /sub/ one"] });
  for (const name of ["peartree /sub/ one", "peartree /sub/ two", "peartree /other/ one", "someone else's"]) await caches.open(name);
  registration.waiting = {};
  await send("message", { data: ["sweep"] });
  assert.equal(caches.all.size, 4);
  registration.waiting = null;
  await send("message", { data: ["sweep"] });
  assert.deepEqual([...caches.all.keys()], ["peartree /sub/ one", "peartree /other/ one", "someone else's"]);
});

test("index.html: the network's, or its own version's where the network fails, dawdles or is broken", async () => {
  const made = () => "kept";
  const { send, caches } = worker({ made, network: served("kept") });
  await send("install");
  const page = (network, path = "?threads=2#v1") => worker({ made, caches, network }).navigate(path);
  assert.match(await text(page(served("fresh"))), /^fresh/);
  const broken = async () => new Response("", { status: 502 });
  for (const network of [offline, () => new Promise(() => {}), broken]) {
    assert.equal(await text(page(network)), "kept: ");
    assert.equal(await text(page(network, "index.html")), "kept: ");
  }
  const redirect = { ok: false, type: "opaqueredirect" };
  assert.equal(await page(async () => redirect), redirect);
  const empty = worker({ network: broken });
  assert.equal((await empty.navigate("")).status, 502);
});

test("files under a hash: the kept ones, of whatever version, without the network", async () => {
  const made = () => "kept";
  const { send, caches } = worker({ made, network: served("kept") });
  await send("install");
  const later = worker({ version: "two", made, caches, network: served("net") });
  assert.equal(await text(later.get(FILES[1])), `kept: ${FILES[1]}`);
  assert.deepEqual(later.fetched, []);
  assert.match(await text(later.get("page-00112233445566ff.js")), /^net/);
});

test("a kept file that another page of the origin has replaced is dropped and had anew", async () => {
  const { send, caches, get, navigate } = worker({ network: served("net") });
  await send("install");
  const [name, evil] = [FILES[1], () => new Response("evil")];
  const cache = await caches.open("peartree /sub/ one");
  for (const path of ["", name]) await cache.put(SCOPE + path, evil());
  assert.equal(await text(get(name)), `net: ${name}`);
  assert.ok(!kept(caches).includes(name));
  await cache.put(SCOPE + name, evil());
  const noNetwork = worker({ caches, network: offline });
  await assert.rejects(noNetwork.get(name));
  await cache.put(SCOPE, evil());
  await assert.rejects(noNetwork.navigate(""));
  // nor does a cache of another name help, nor an installation take it over
  await (await caches.open("peartree /sub/ zero")).put(SCOPE + name, evil());
  assert.equal(await text(get(name)), `net: ${name}`);
  await (await caches.open("peartree /sub/ zero")).put(SCOPE + name, evil());
  await worker({ version: "two", caches, network: served("net") }).send("install");
  assert.equal(await text(caches.match(SCOPE + name, { cacheName: "peartree /sub/ two" })), `net: ${name}`);
});

test("an open page of another version has its files from the network first, as they can't be checked", async () => {
  const files = FILES.map((name) => name.replace("page-0123456789abcdef", "page-fedcba9876543210"));
  const { send, caches, get } = worker({ network: served("net") });
  await send("install");
  const next = (network) => worker({ version: "two", files, caches, network });
  await (await caches.open("peartree /sub/ one")).put(SCOPE + FILES[1], new Response("evil"));
  assert.equal(await text(next(served("net")).get(FILES[1])), `net: ${FILES[1]}`);
  for (const network of [offline, async () => new Response("", { status: 404 })]) {
    assert.equal(await text(next(network).get(FILES[1])), "evil");
  }
  assert.equal(await text(get(FILES[1])), `net: ${FILES[1]}`);
});

test("all else is none of its business", async () => {
  const { send, get, navigate, fetched } = worker({ network: served("net") });
  await send("install");
  fetched.length = 0;
  assert.equal(await get("https://elsewhere.example/page-0123456789abcdef.js"), undefined);
  assert.equal(await get("/page-0123456789abcdef.js"), undefined, "outside its folder");
  assert.equal(await get("models/mine/model.safetensors"), undefined);
  assert.equal(await get("demo/config.json"), undefined);
  assert.equal(await get(FILES[1], { method: "POST" }), undefined);
  assert.equal(await get(FILES[1], { headers: { range: "bytes=0-9" } }), undefined);
  assert.equal(await navigate("models/mine/config.json"), undefined);
  assert.deepEqual(fetched, []);
});

test("isolates the page and its files only where told to", async () => {
  const header = async (search, path, mode) => {
    const { get, send } = worker({ search, network: served("net") });
    await send("install");
    return (await get(path, { mode })).headers.get("cross-origin-embedder-policy");
  };
  for (const [path, mode] of [["", "navigate"], [FILES[3], "cors"]]) {
    assert.equal(await header("?threads", path, mode), null);
    assert.equal(await header("?threads&isolate", path, mode), "require-corp");
  }
});

test("takes over when its own version's page, or a person, says so; else it says that it is there", async () => {
  const said = [];
  const source = { postMessage: (word) => said.push(word) };
  const { self, send } = worker({ network: served("net") });
  await send("message", { data: ["running", "zero"], source });
  assert.deepEqual([self.skipped, said], [undefined, ["newer"]]);
  await send("message", { data: ["running", "one"], source });
  assert.deepEqual([self.skipped, said], [true, ["newer"]]);
  const other = worker({ network: served("net") });
  await other.send("message", { data: ["take over"], source });
  assert.equal(other.self.skipped, true);
});

test("?offline=off is a way out, whatever the page is like, for whoever clicks", async () => {
  const { send, caches, navigate, registration } = worker({ network: served("net") });
  await send("install");
  await caches.open("someone else's");
  const asked = await navigate("?offline=off");
  assert.match(await text(asked), /Drop the copy/);
  assert.equal(registration.gone, undefined);
  assert.equal(caches.all.size, 2, "a link alone has dropped the copy");
  const said = [];
  await send("message", { data: ["leave"], source: { postMessage: (word) => said.push(word) } });
  assert.deepEqual([registration.gone, said], [true, ["left"]]);
  assert.deepEqual([...caches.all.keys()], ["someone else's"]);
});
