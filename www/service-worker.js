// The service worker: keeps a version of the site whole on the device, so that the page starts without a network, and
// isolates the page where threads are wanted and the host can't send the headers for it.
//
// Versions never mix: every file but index.html has its content's hash in its name, so it is the same whoever answers,
// and index.html comes from the network or from this worker's own version. All else is the network's business: other
// origins, weights, ranges, whatever has no hash.
//
// Its address says what this browser needs: `?threads` the worker with threads, `?isolate` the headers.

const SITE = { version: "", files: {} }; // scripts/offline_site.mjs writes them here: { name: integrity }

const SCOPE = registration.scope;
const PREFIX = `peartree ${new URL(SCOPE).pathname} `; // an origin may hold other people's caches, and other peartrees
const CACHE = PREFIX + SITE.version;
const HASHED = /[-/][0-9a-f]{12,16}[._/]/;
const INDEX = ["", "index.html"];
/** What reads texts, and the site's own texts; the graphics card's program: a first visit has no use for them, so each kind is kept once one of it is asked for. */
const LATERS = [/^(reader-|corpora\/)/, /^card-/];
const LATER = { test: (path) => LATERS.some((kind) => kind.test(path)) };
const PATIENCE_MS = 3000;
const WANTS = new URL(location).searchParams;

const ours = async () => (await caches.keys()).filter((name) => name.startsWith(PREFIX));
const drop = (names) => Promise.all(names.map((name) => caches.delete(name)));

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(sweep()));
addEventListener("message", (event) => event.waitUntil(hear(event)));
addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || !request.url.startsWith(SCOPE)) return;
  const path = (url.origin + url.pathname).slice(SCOPE.length);
  // the reader, which asks for ranges, takes the whole as well
  if (request.headers.has("range") && !LATER.test(path)) return;
  const later = HASHED.test(path) && LATERS.find((kind) => kind.test(path));
  if (later) event.waitUntil(keepLater(later));
  if (request.mode !== "navigate") {
    if (HASHED.test(path)) event.respondWith(file(request, path).then(answer));
  } else if (url.searchParams.get("offline") === "off") {
    event.respondWith(new Response(LEAVE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));
  } else if (INDEX.includes(path)) {
    event.respondWith(page(request).then(answer));
  }
});

/** Keeps the whole version, or nothing of it: each file is what the build made, byte for byte, or the version fails. */
async function install() {
  const unused = WANTS.has("threads") ? "worker-" : "threads-";
  const names = Object.keys(SITE.files).filter((name) => !name.startsWith(unused) && !LATER.test(name));
  const isNew = !(await caches.has(CACHE));
  const cache = await caches.open(CACHE);
  const get = async (name) => {
    const url = new URL(name, SCOPE).href;
    const found = await kept(url); // under its hash, by the version before
    if (found && HASHED.test(name)) return [url, found];
    const options = { integrity: SITE.files[name], credentials: "same-origin" };
    // the page has just loaded most of them: they come out of the browser's own cache
    const first = { ...options, cache: HASHED.test(name) ? "force-cache" : "no-cache" };
    const response = await fetch(url, first).catch(() => fetch(url, { ...options, cache: "reload" }));
    if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
    return [url, response];
  };
  try {
    for (const [url, response] of await Promise.all(names.map(get))) await cache.put(url, response);
  } catch (error) {
    if (isNew) await caches.delete(CACHE);
    throw error;
  }
}

/** Keeps what this version has for later, where the version itself is kept. */
async function keepLater(kind) {
  for (const name of Object.keys(SITE.files).filter((name) => kind.test(name))) {
    const url = new URL(name, SCOPE).href;
    if (!(await caches.has(CACHE)) || (await find(url, CACHE))) continue;
    const options = { integrity: SITE.files[name], credentials: "same-origin", cache: "force-cache" };
    const response = await fetch(url, options).catch(() => null); // next time, then
    if (response?.ok && (await caches.has(CACHE))) await (await caches.open(CACHE)).put(url, response);
  }
}

/** Drops the versions that no open page runs; a page holds a lock of its version's name. */
async function sweep() {
  if (registration.waiting || registration.installing) return;
  const { held } = await navigator.locks.query();
  const inUse = [CACHE, ...held.map(({ name }) => name)];
  await drop((await ours()).filter((name) => !inUse.includes(name)));
}

/** The page's words: which version it runs, to a worker that waits; that a person wants the new one; that it has begun. */
async function hear({ data: [word, version], source }) {
  if (word === "leave") {
    await leave();
    source.postMessage("left");
  } else if (word === "take over" || (word === "running" && version === SITE.version)) await skipWaiting();
  else if (word === "running") source.postMessage("newer");
  else if (word === "sweep") await sweep();
}

/**
 * What one version keeps under `url`; to open its cache would be to make it, where another worker has just dropped it. A
 * file of this version is what the build made, or is dropped: other pages of this origin can write here too.
 */
async function find(url, cacheName) {
  const found = await caches.match(url, { cacheName, ignoreVary: true });
  const integrity = SITE.files[url === SCOPE ? "./" : url.slice(SCOPE.length)];
  if (!found || !integrity) return found;
  // index.html has another content in each version
  if (url === SCOPE && cacheName !== CACHE) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await found.clone().arrayBuffer()));
  if (`sha256-${btoa(String.fromCharCode(...digest))}` === integrity) return found;
  if (await caches.has(cacheName)) await (await caches.open(cacheName)).delete(url);
  return undefined;
}

/** A file that some version keeps. Those of other versions than this one can't be checked here. */
async function kept(url) {
  for (const name of await ours()) {
    const found = await find(url, name);
    if (found) return found;
  }
}

/** A file of this version out of what is kept; another's, which nobody can check, only where the network has it no more. */
async function file(request, path) {
  if (path in SITE.files) return (await kept(request.url)) ?? fetch(request);
  const fresh = await fetch(request).catch(() => null);
  return fresh?.ok ? fresh : ((await kept(request.url)) ?? fresh ?? Response.error());
}

/** index.html: the network's if it answers soon and well, or else this version's. */
async function page(request) {
  const network = fetch(request, { cache: "no-cache" });
  const soon = Promise.race([network, new Promise((_, late) => setTimeout(late, PATIENCE_MS))]);
  const fresh = await soon.catch(() => null);
  // a redirect is the browser's to follow: a network that wants one to sign in first
  if (fresh?.ok || fresh?.type === "opaqueredirect") return fresh;
  return (await find(SCOPE, CACHE)) ?? network;
}

/** The answer, with the headers that isolate the page where that is wanted. */
function answer(response) {
  if (!WANTS.has("isolate") || !response.ok) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, headers });
}

/**
 * The way out where the page itself is broken: its address with ?offline=off. A link may say so too, so a person is
 * asked first. The page remembers that it is not to be kept, as it does by its own button (src/app/offline.rs).
 */
const LEAVE = `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Peartree</title><link rel="icon" href="data:,">
<p>This address asks to drop the copy of the page that is kept on this device, so that it comes from the network again. Models and tables that are kept stay.</p>
<p><button id="drop">Drop the copy</button> <a href="./">Leave it as it is</a></p>
<script>
navigator.serviceWorker.onmessage = () => location.replace("./");
document.getElementById("drop").onclick = () => {
  try { localStorage.setItem(${JSON.stringify(PREFIX + "offline")}, "off"); } catch {}
  navigator.serviceWorker.controller.postMessage(["leave"]);
};
</script>`;

async function leave() {
  await registration.unregister();
  await drop(await ours());
}
