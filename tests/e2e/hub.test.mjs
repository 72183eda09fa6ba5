// Models from a hub: fetched through everything that goes wrong, kept on the device, found again, checked, deleted.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { startServer } from "../../scripts/static_server.mjs";
import { launch, openPage, serveSite } from "./harness.mjs";
import { startHub } from "./hub_server.mjs";
import { inParts, largerModel } from "./larger_model.mjs";

const REPO = "org/name";
const BARE = "org/bare"; // the same without a tokenizer
const PARTS = "org/parts"; // the same with its weights in two files
// what a break may cost: bytes that the browser had received and drops with the connection, before anyone can read them
const IN_FLIGHT = 1 << 20;

let site, browser, hub;
before(async () => {
  site = await serveSite();
  browser = await launch();
  const named = (files) => Object.fromEntries(files.map(({ name, buffer }) => [name, buffer]));
  const files = named(largerModel());
  const { "tokenizer.json": _, ...bare } = files;
  hub = await startHub({ [REPO]: files, [BARE]: bare, [PARTS]: named(inParts(largerModel())) });
});
after(async () => {
  await browser?.close();
  await site?.close();
  await hub?.close();
});
beforeEach(() => hub.reset());

/** A page with a profile of its own, its first model loaded. */
async function open({ site: { url } = site, ...options } = {}) {
  const visit = await openPage(browser, url, { origins: hub.origins, ...options });
  await ready(visit.page);
  return visit;
}

async function ready(page) {
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => window.peartree.ready);
}

/** Loads a model; its info, or its failure, with the stages that it went through. */
const load = (page, model = REPO, options = {}) =>
  page.evaluate(
    async ([model, options]) => {
      const stages = [];
      const onProgress = ({ stage }) => stages.at(-1) !== stage && stages.push(stage);
      try {
        return { ...(await window.peartree.load(model, { ...options, onProgress })), stages };
      } catch ({ code, message }) {
        return { code, message, stages };
      }
    },
    [model, { hub: hub.url, ...options }],
  );
const call = (page, method, ...args) =>
  page.evaluate(
    async ([method, args]) => {
      try {
        return await window.peartree[method](...args);
      } catch ({ code, message }) {
        return { code, message };
      }
    },
    [method, args],
  );
const kept = async (page) => (await call(page, "kept")).models;
const logits = async (page) => (await call(page, "predict", { prompt: [1, 2, 3, 4], top: 5 })).top;

function assertLoaded(loaded) {
  assert.equal(loaded.message, undefined);
  assert.equal(loaded.origin.sha256, hub.sha256(REPO));
  assert.equal(loaded.origin.commit, hub.commit);
}

/** The site, its workers' programs preceded by a line of script: a browser that lacks something. */
async function siteWhereWorkers(script) {
  const root = mkdtempSync(path.join(os.tmpdir(), "peartree-site-"));
  cpSync(site.root, root, { recursive: true });
  for (const name of readdirSync(root).filter((name) => /^(worker|threads)-.*_loader\.js$/.test(name))) {
    const file = path.join(root, name);
    writeFileSync(file, `${script}\n${readFileSync(file, "utf8")}`);
  }
  const server = await startServer({ root, prefix: "/" });
  return { ...server, close: () => server.close().then(() => rmSync(root, { recursive: true })) };
}

/** What a test made fail is told on the console by the browser itself; nothing else may be. */
function assertCleanBut(visit, others = []) {
  const ours = [...hub.origins, ...others];
  const isOurs = (line) => ours.some((origin) => line.includes(origin));
  visit.console = visit.console.filter((line) => !isOurs(line));
  visit.failed = visit.failed.filter((line) => !isOurs(line));
  visit.assertClean();
}

test("loads from the hub once, and from then on from the device", async (t) => {
  const visit = await open();
  const { page } = visit;
  const first = await load(page);
  assertLoaded(first);
  assert.equal(first.origin.attested, true);
  assert.equal(hub.bytes(REPO), hub.size(REPO));
  const top = await logits(page);
  hub.reset();
  await page.reload();
  await ready(page);
  const second = await load(page);
  assertLoaded(second);
  assert.deepEqual(second.stages, ["reading"]);
  assert.deepEqual(hub.asked, [], "the second load asks nobody");
  assert.deepEqual(await logits(page), top);
  const [model] = await kept(page);
  assert.deepEqual([model.name, model.whole, model.commit, model.file_dtype], [REPO, true, hub.commit, "f32"]);
  const { models } = await call(page, "forget", REPO);
  assert.deepEqual(models, []);
  // what was loaded stays loaded
  assert.deepEqual(await logits(page), top);
  assert.equal((await call(page, "info")).model.name, REPO);
  visit.assertClean();
  await visit.close();
});

test("comes through 25 faults with the right hash, and nothing twice", async (t) => {
  const visit = await open();
  let seed = 7;
  const below = (n) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;
  const kinds = [() => ({ status: 503 }), () => ({ refuse: true }), () => ({ status: 429, retryAfter: 0 }), () => ({ drop: below(2e5) })];
  const drop = () => ({ drop: 4e5 + below(8e5) });
  for (let i = 0; i < 25; i++) hub.faults.push(i % 4 === 3 ? kinds[below(kinds.length)]() : drop());
  assertLoaded(await load(visit.page));
  assert.equal(hub.faults.length, 0, "every fault happened");
  t.diagnostic(`${hub.twice(REPO)} of ${hub.size(REPO)} bytes sent twice`);
  assert.ok(hub.twice(REPO) <= 20 * IN_FLIGHT, `${hub.twice(REPO)} bytes came twice`);
  assert.equal((await call(visit.page, "verify", REPO)).sha256, hub.sha256(REPO));
  assertCleanBut(visit);
  await visit.close();
});

test("goes on where ranges or their preflight fail, in one answer", async () => {
  for (const settings of [{ ranges: false }, { forcePreflight: true }]) {
    const visit = await open();
    hub.set(settings);
    assertLoaded(await load(visit.page));
    assert.equal(hub.bytes(REPO), hub.size(REPO), JSON.stringify(settings));
    hub.reset();
    assertCleanBut(visit);
    await visit.close();
  }
});

test("begins again when the file changes, rather than mix two", async () => {
  const visit = await open();
  hub.faults.push({}, { drop: 1_000_000 }, { etag: '"another"' });
  assertLoaded(await load(visit.page));
  assert.equal((await call(visit.page, "verify", REPO)).sha256, hub.sha256(REPO));
  assertCleanBut(visit);
  await visit.close();
});

test("gives up a silent connection and goes on with another", async () => {
  const visit = await open();
  hub.faults.push({}, { stall: 5_000_000 });
  assertLoaded(await load(visit.page));
  assert.ok(hub.twice(REPO) <= 3 * IN_FLIGHT);
  assertCleanBut(visit);
  await visit.close();
});

test("the model before answers during a download; a pause keeps what has come", async () => {
  const visit = await open();
  const { page } = visit;
  hub.set({ bitsPerSecond: 60e6 });
  await page.evaluate(
    ([repo, hub]) => {
      window.abort = new AbortController();
      window.stopped = window.peartree.load(repo, { hub, signal: window.abort.signal, onProgress: (p) => (window.progress = p) });
      window.stopped.catch(() => {});
    },
    [REPO, hub.url],
  );
  await page.waitForFunction(() => window.progress?.stage === "downloading" && window.progress.done > 3e6);
  assert.equal((await call(page, "predict", { prompt: "I climbed", top: 3 })).top.length, 3);
  const description = await call(page, "describe", REPO, { hub: hub.url });
  assert.deepEqual([description.kept, description.parameters > 5e6], [false, true]);
  const code = await page.evaluate(() => {
    window.abort.abort();
    return window.stopped.catch(({ code }) => code);
  });
  assert.equal(code, "cancelled");
  const [half] = await kept(page);
  assert.ok(!half.whole && half.bytes_here > 3e6, JSON.stringify(half));
  hub.set({ bitsPerSecond: null });
  assertLoaded(await load(page));
  // the header was looked at by `describe` too
  assert.ok(hub.twice(REPO) <= 3 * IN_FLIGHT, `${hub.twice(REPO)} bytes came twice`);
  assertCleanBut(visit);
  await visit.close();
});

test("killed tabs leave nothing that loads wrong", async (t) => {
  const visit = await open();
  const context = visit.page.context();
  hub.set({ bitsPerSecond: 160e6 });
  for (const delay of [30, 90, 150, 220, 300, 380, 450, 530, 600, 700]) {
    const page = await context.newPage();
    await page.goto(site.url);
    await ready(page);
    for (const model of await kept(page)) {
      if (model.whole) assert.equal(model.sha256, hub.sha256(REPO));
    }
    await page.evaluate(([repo, hub]) => void window.peartree.load(repo, { hub }).catch(() => {}), [REPO, hub.url]);
    await new Promise((resolve) => setTimeout(resolve, delay));
    await page.close();
  }
  hub.set({ bitsPerSecond: null });
  assertLoaded(await load(visit.page));
  assert.equal((await call(visit.page, "verify", REPO)).sha256, hub.sha256(REPO));
  t.diagnostic(`${hub.twice(REPO)} of ${hub.size(REPO)} bytes sent twice in ten kills`);
  assertCleanBut(visit);
  await visit.close();
});

test("weights in parts: gone on with in the second, kept as one, a damaged part named, forgotten whole", async () => {
  const visit = await open();
  const { page } = visit;
  const second = "model-00002-of-00002.safetensors";
  const description = await call(page, "describe", PARTS, { hub: hub.url });
  assert.deepEqual(description.files.map(({ name }) => name).slice(-2), ["model-00001-of-00002.safetensors", second]);
  const first = description.files.at(-2).bytes;
  hub.reset();
  hub.set({ bitsPerSecond: 100e6 });
  await page.evaluate(
    ([repo, hub]) => {
      window.abort = new AbortController();
      window.stopped = window.peartree.load(repo, { hub, signal: window.abort.signal, onProgress: (p) => (window.progress = p) });
      window.stopped.catch(() => {});
    },
    [PARTS, hub.url],
  );
  await page.waitForFunction((first) => window.progress?.stage === "downloading" && window.progress.done > first + 2e6, first);
  await page.evaluate(() => (window.abort.abort(), window.stopped.catch(() => {})));
  const [half] = await kept(page);
  assert.ok(!half.whole && half.bytes_here > first + 1e6, JSON.stringify(half));
  await page.reload();
  await ready(page);
  hub.set({ bitsPerSecond: null });
  const asked = hub.sent.length;
  const loaded = await load(page, PARTS);
  assert.equal(loaded.message, undefined);
  assert.equal(loaded.origin.attested, true);
  assert.ok(hub.sent.slice(asked).every(({ name }) => name === second), "the first part is not asked for again");
  assert.ok(hub.twice(PARTS) <= 3 * IN_FLIGHT, `${hub.twice(PARTS)} bytes came twice`);
  const top = await logits(page);
  hub.reset();
  await page.reload();
  await ready(page);
  assert.deepEqual((await load(page, PARTS)).stages, ["reading"]);
  assert.deepEqual(hub.asked, [], "the next visit asks nobody");
  assert.deepEqual(await logits(page), top);
  assert.deepEqual((await call(page, "forget", PARTS)).models, []);
  const left = await page.evaluate(async () => {
    const names = [];
    const walk = async (folder) => {
      for await (const [name, handle] of folder) handle.kind === "directory" ? await walk(handle) : names.push(name);
    };
    await walk(await navigator.storage.getDirectory());
    return names;
  });
  assert.deepEqual(left, [], "nothing of it stays on the device");
  hub.set({ flip: 4_000_000 });
  const damaged = await load(page, PARTS);
  assert.equal(damaged.code, "wrong_hash");
  assert.match(damaged.message, /^model-0000\d-of-00002\.safetensors/);
  assertCleanBut(visit);
  await visit.close();
});

test("two tabs at once download once", async () => {
  const visit = await open();
  const other = await visit.page.context().newPage();
  await other.goto(site.url);
  await ready(other);
  hub.set({ bitsPerSecond: 160e6 });
  const both = await Promise.all([load(visit.page), load(other)]);
  both.forEach(assertLoaded);
  assert.equal(hub.bytes(REPO), hub.size(REPO));
  const waited = both.filter(({ stages }) => stages.includes("waiting"));
  assert.equal(waited.length, 1, "one of them waited, and said so");
  assert.ok(!waited[0].stages.includes("downloading"));
  visit.assertClean();
  await visit.close();
});

test("a flipped byte is found: on the way, and later on the device", async () => {
  const visit = await open();
  const { page } = visit;
  hub.set({ flip: 9_000_000 });
  const wrong = await load(page);
  assert.equal(wrong.code, "wrong_hash");
  assert.match(wrong.message, /SHA-256 .* was deleted/);
  assert.deepEqual(await kept(page), []);
  hub.set({ flip: null });
  assertLoaded(await load(page));
  const key = (await kept(page))[0].key;
  await page.evaluate(async (key) => {
    // a page writes by copies, so the worker's program is no part of this
    let folder = await navigator.storage.getDirectory();
    for (const name of ["models", key]) folder = await folder.getDirectoryHandle(name);
    const writable = await (await folder.getFileHandle("model.safetensors")).createWritable({ keepExistingData: true });
    await writable.write({ type: "write", position: 12_345_678, data: new Uint8Array([0x55]) });
    await writable.close();
  }, key);
  assert.equal((await call(page, "verify", key)).code, "wrong_hash");
  assert.deepEqual(await kept(page), []);
  assert.equal((await call(page, "verify", key)).code, "not_kept");
  visit.assertClean();
  await visit.close();
});

test("says what it needs and what there is before a download without room", async () => {
  const changed = await siteWhereWorkers("StorageManager.prototype.estimate = async () => ({ usage: 1e6, quota: 9e6 });");
  const visit = await open({ site: changed });
  const refused = await load(visit.page);
  assert.equal(refused.code, "no_room", refused.message);
  assert.match(refused.message, /needs 20 MB .* has 8 MB left/);
  assert.ok(hub.bytes(REPO) <= 131072, "only the header was fetched");
  visit.assertClean();
  await visit.close();
  await changed.close();
});

test("room that runs out half-way leaves half a model, and says so", async () => {
  const visit = await open();
  const { page } = visit;
  const devtools = await page.context().newCDPSession(page);
  const quota = (quotaSize) => devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(site.url).origin, quotaSize });
  await quota(12e6);
  const ranOut = await load(page);
  assert.equal(ranOut.code, "room_ran_out", ranOut.message);
  const [half] = await kept(page);
  assert.equal(half.whole, false);
  await quota(1e9);
  assertLoaded(await load(page));
  assert.equal((await call(page, "verify", REPO)).sha256, hub.sha256(REPO));
  assertCleanBut(visit);
  await visit.close();
});

test("each failure says what happened and what to do; nothing of it lasts", async () => {
  const visit = await open();
  const { page } = visit;
  const cases = [
    ["401", { token: "hf_secret" }, [], {}, "needs_token", /private or gated.*give your token/],
    ["wrong token", { token: "hf_secret" }, [], { token: "hf_wrong" }, "token_refused", /this token/],
    ["403", {}, [{ status: 403 }], {}, "needs_token", /private or gated/],
    ["404", {}, [{ status: 404 }], {}, "not_there", /has no model\.safetensors/],
    ["page", {}, [{ page: true }], {}, "page_instead", /A web page came in the place of/],
    ["cors", { cors: false }, [], {}, "silent", /\(CORS\).*drop them onto the page/],
    ["length", {}, [{ length: 12_345 }], {}, "bad_weights", /cut short/],
    ["revision", {}, [], { revision: "nightly" }, "not_there", /has no config\.json/],
    ["no id", {}, [], { revision: "../x" }, "bad_revision", /no revision/],
  ];
  for (const [what, settings, faults, options, code, message] of cases) {
    hub.reset();
    hub.set(settings);
    hub.faults.push(...faults);
    const failure = await load(page, REPO, options);
    assert.equal(failure.code, code, `${what}: ${failure.message}`);
    assert.match(failure.message, message, what);
    assert.ok((await kept(page)).every((model) => !model.whole), what);
  }
  hub.reset();
  await page.context().setOffline(true);
  const offline = await load(page);
  await page.context().setOffline(false);
  assert.equal(offline.code, "offline", offline.message);
  // the right token opens the door, goes to the hub only, and is written down nowhere
  hub.reset();
  hub.set({ token: "hf_secret" });
  assertLoaded(await load(page, REPO, { token: "hf_secret" }));
  assert.ok(hub.asked.filter(({ host }) => host === "storage").every(({ authorization }) => !authorization));
  assert.ok(!JSON.stringify(await call(page, "kept")).includes("secret"));
  assert.ok(!page.url().includes("secret"));
  assertCleanBut(visit);
  await visit.close();
});

test("other sites' folders, pinned commits, models without a tokenizer", async () => {
  const visit = await open();
  const { page } = visit;
  hub.set({ hashOn: "nowhere", metadata: false });
  const base = await load(page, { base: `${hub.url}/${REPO}/resolve/main/` });
  assert.equal(base.origin.sha256, hub.sha256(REPO));
  assert.deepEqual([base.origin.attested, base.origin.repo], [false, null]);
  hub.reset();
  assertLoaded(await load(page, `${REPO}@${hub.commit}`));
  const bare = await load(page, BARE);
  assert.equal(bare.has_tokenizer, false);
  assert.equal((await logits(page)).length, 5);
  assert.equal((await kept(page)).length, 3);
  assertCleanBut(visit);
  await visit.close();
});

test("a page that isn't isolated can tell a closed door from an empty house", async () => {
  const plain = await serveSite({ isolated: false });
  const visit = await open({ site: plain });
  const { page } = visit;
  hub.set({ cors: false });
  const closed = await load(page);
  assert.equal(closed.code, "cross_origin", closed.message);
  const nowhere = "http://localhost:9";
  const empty = await load(page, REPO, { hub: nowhere });
  assert.equal(empty.code, "unreachable", empty.message);
  assert.ok(visit.offOrigin.every((url) => url.startsWith(nowhere)));
  visit.offOrigin = [];
  assertCleanBut(visit, [nowhere]);
  await visit.close();
  await plain.close();
});

test("keeps models in a cache where there are no private files", async () => {
  const changed = await siteWhereWorkers("delete FileSystemFileHandle.prototype.createSyncAccessHandle;");
  const visit = await open({ site: changed });
  const { page } = visit;
  hub.faults.push({}, { drop: 7_000_001 });
  assertLoaded(await load(page));
  assert.ok(await page.evaluate(async () => (await (await caches.open("peartree-models")).keys()).length > 5));
  hub.reset();
  await page.reload();
  await ready(page);
  assertLoaded(await load(page));
  assert.deepEqual(hub.asked, []);
  assert.equal((await call(page, "verify", REPO)).sha256, hub.sha256(REPO));
  assert.deepEqual((await call(page, "forget", REPO)).models, []);
  assertCleanBut(visit);
  await visit.close();
  await changed.close();
});
