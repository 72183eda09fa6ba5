// What happens when parts of the page die: its worker, the worker's reader, its own program. docs/reliability.md has the
// promises.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { builtSite, launch, openPage, serveSite } from "./harness.mjs";
import { copyOf } from "./second_build.mjs";
import { POST_PROMPT, informed, predictions, settled, visitPage } from "./visit.mjs";

const SOON_MS = Number(process.env.SOON_MS ?? 2000); // after the next question the state is back
const GONE = "three times in a row";

let site, browser;
before(async () => {
  [browser, site] = await Promise.all([launch(), serveSite()]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** Keeps the page's workers at hand. */
const workers = (page) =>
  page.addInitScript(() => {
    const Real = Worker;
    globalThis.theWorkers = [];
    globalThis.Worker = class extends Real {
      constructor(address, options) {
        super(address, options);
        globalThis.theWorkers.push(this);
      }
    };
  });
const count = (page) => page.evaluate(() => theWorkers.length);
const kill = (page) => page.evaluate(() => theWorkers.at(-1).terminate());
/** A call's outcome, and how long it took. */
const ask = (page, method, options) =>
  page.evaluate(
    async ([method, options]) => {
      const start = performance.now();
      const outcome = await peartree[method](options).then((value) => ({ value }), ({ code, message }) => ({ code, message }));
      return { ...outcome, ms: performance.now() - start };
    },
    [method, options],
  );
const predict = (page) => ask(page, "predict", { prompt: POST_PROMPT });
const notice = (page) => page.locator("#life");

/** What comes of `site` without the named protection, or with a script before or after a worker's own. */
async function withLoader(page, kind, change) {
  const pattern = new RegExp(`/${kind}-[0-9a-f]+_loader\\.js$`);
  await page.context().route(pattern, (route) => {
    const body = change(readFileSync(path.join(builtSite(), path.basename(new URL(route.request().url()).pathname)), "utf8"));
    if (body === undefined) return route.fulfill({ status: 404, body: "" });
    const headers = { "content-type": "text/javascript", "cross-origin-embedder-policy": "require-corp", "cross-origin-resource-policy": "same-origin" };
    return route.fulfill({ headers, body });
  });
  return () => page.context().unroute(pattern);
}
const THE_WORKER = "(?:worker|threads)";

const MOMENTS = [
  ["idle", null],
  ["loading", "load", "demo"],
  ["a sweep", "neurons", { clean: POST_PROMPT, corrupted: POST_PROMPT.replace("apple", "lemon"), tokens: [" an", " a"], layer: "all" }],
  ["a generation", "generate", { prompt: POST_PROMPT, max: 60, temperature: 0.8, seed: 1 }],
  ["a corpus pass", "corpus", { data: "demo", neurons: ["1:220: an"] }],
];

for (const [kind, isolated, hasLocks] of [["with threads", true, true], ["with one thread", false, true], ["without locks", false, false]]) {
  test(`a worker killed at any moment: the state is back with the next question, and nothing hangs (${kind})`, async (t) => {
    const host = await serveSite({ isolated });
    const prepare = async (page) => {
      await workers(page);
      if (!hasLocks) await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
    };
    const visit = await openPage(browser, host.url, { prepare });
    const { page } = visit;
    await page.waitForFunction(() => window.peartree);
    await page.evaluate(() => peartree.ready);
    await settled(page);
    const expected = (await predict(page)).value;
    const whole = await Promise.all(MOMENTS.map(([, method, options]) => method && ask(page, method, options)));
    for (let round = 0; round < (hasLocks ? 2 : 1); round++) {
      for (const [i, [moment, method, options]] of MOMENTS.entries()) {
        const work = method && ask(page, method, options);
        await page.waitForTimeout(Math.random() * Math.min(300, whole[i]?.ms ?? 50));
        const before = await count(page);
        await kill(page);
        const after = await predict(page);
        assert.deepEqual(after.value, expected, moment);
        // without locks a busy worker is given time, for nobody tells of its end
        const soon = hasLocks || !method ? SOON_MS : 15_000;
        assert.ok(after.ms < soon, `${moment}: ${after.ms} ms`);
        assert.equal((await ask(page, "info")).value.model.name, "demo");
        t.diagnostic(`${moment}: ${Math.round(after.ms)} ms, ${(await count(page)) - before} new`);
        const done = await work;
        if (method) assert.deepEqual(done.value, whole[i].value, `${moment}: ${done.code} ${done.message}`);
      }
    }
    await notice(page).getByText("started again").waitFor();
    assert.equal(await notice(page).locator("p").count(), 1, "it says so once");
    if (hasLocks && isolated) await visit.shot("worker-again");
    await notice(page).getByRole("button", { name: "Dismiss" }).click();
    assert.equal(await notice(page).locator("p").count(), 0);
    await settled(page);
    assert.equal((await predictions(page)).length, 10);
    await page.getByLabel("Prompt", { exact: true }).fill("I picked");
    await settled(page);
    // what a killed worker was fetching was broken off
    visit.failed.splice(0, Infinity, ...visit.failed.filter((failure) => !failure.endsWith("net::ERR_ABORTED")));
    visit.assertClean();
    await visit.close();
    await host.close();
  });
}

test("what a killed worker was asked on the page is answered by the next one", async () => {
  const visit = await visitPage(browser, site, { prepare: workers });
  const { page } = visit;
  await page.getByLabel("Prompt", { exact: true }).fill("I climbed up the apple tree and");
  await kill(page);
  await settled(page);
  assert.equal((await predictions(page)).length, 10);
  visit.assertClean();
  await visit.close();
});

test("a model from files is loaded again from the same files", async () => {
  const visit = await visitPage(browser, site, { prepare: workers });
  const { page } = visit;
  const files = ["config.json", "tokenizer.json", "model.safetensors"].map((name) => path.join(builtSite(), "demo", name));
  await page.getByRole("button", { name: "Use another model" }).click();
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.locator("#sources input[type=file]").first().click()]);
  await chooser.setFiles(files);
  await informed(page, (info) => info.model.name !== "demo");
  const expected = (await predict(page)).value;
  await kill(page);
  assert.deepEqual((await predict(page)).value, expected);
  assert.match((await ask(page, "info")).value.model.name, /files/);
  visit.assertClean();
  await visit.close();
});

test("a trap is the answer of whoever's work it was; all others are asked again", async () => {
  const visit = await openPage(browser, "about:blank", { prepare: workers });
  const { page } = visit;
  // a trap after a panic, which tells whose work it was, and one that doesn't; in both cases asked for by one of the page's boxes
  const trap = `addEventListener("message", (event) => {
    const ask = event.data.Ask;
    if (/known$/.test(ask?.request?.Token?.text)) event.stopImmediatePropagation();
    if (ask?.request?.Token?.text === " known") { postMessage("!" + ask.id + " index out of bounds"); throw new WebAssembly.RuntimeError("unreachable"); }
    if (ask?.request?.Token?.text === " unknown") Promise.reject(new WebAssembly.RuntimeError("unreachable"));
  });`;
  await withLoader(page, THE_WORKER, (script) => trap + script);
  await page.goto(site.url);
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => peartree.ready);
  await settled(page);
  for (const word of [" known", " unknown"]) {
    const before = await count(page);
    await page.locator("#pair-0").fill(word);
    await page.locator("#pair-0-failure").filter({ hasText: "broke down at this" }).waitFor();
    const answered = await predict(page);
    assert.equal(answered.value?.top[0].token, " an", answered.message);
    assert.equal((await count(page)) - before, word === " known" ? 1 : 2);
    await page.locator("#pair-0").fill(" an");
    await settled(page);
  }
  await visit.close();
});

test("a worker whose file is missing: after three attempts the page says what to do, and does it", async () => {
  const visit = await openPage(browser, "about:blank", { prepare: workers });
  const { page } = visit;
  const restore = await withLoader(page, THE_WORKER, () => undefined);
  await page.goto(site.url);
  await notice(page).getByText(GONE).waitFor();
  await visit.shot("worker-over");
  const refused = await predict(page);
  assert.equal(refused.code, "worker_gone");
  assert.match(refused.message, /reload the page/);
  assert.equal(await count(page), 3);
  await restore();
  await notice(page).getByRole("button", { name: "Start it again" }).click();
  await page.evaluate(() => peartree.load("demo"));
  assert.equal((await predict(page)).value.top[0].token, " an");
  await settled(page);
  await visit.close();
});

test("a worker's program that can't be had is told of, too", async () => {
  const visit = await openPage(browser, "about:blank", { prepare: workers });
  const { page } = visit;
  await page.context().route(/(worker|threads)-[0-9a-f]+_bg\.wasm$/, (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto(site.url);
  await notice(page).getByText(GONE).waitFor();
  assert.equal((await predict(page)).code, "worker_gone");
  await visit.close();
});

test("a long piece of work is not taken for death, an endless one is", async () => {
  const visit = await openPage(browser, "about:blank", { prepare: workers });
  const { page } = visit;
  // the box's text says for how many milliseconds
  const block = `addEventListener("message", ({ data }) => {
    const [, ms] = /^ block (\\d+)$/.exec(data.Ask?.request?.Token?.text ?? "") ?? [];
    if (ms) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
  });`;
  await withLoader(page, THE_WORKER, (script) => block + script);
  await page.goto(site.url);
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => peartree.ready);
  await settled(page);
  const box = page.locator("#pair-0");
  await box.fill(" block 6000");
  await page.waitForTimeout(300);
  const held = await predict(page);
  assert.ok(held.value && held.ms > 3000, `${held.code} ${held.ms}`);
  assert.equal(await count(page), 1);
  await box.fill(" block 3600000");
  await page.waitForTimeout(300);
  const after = await predict(page);
  assert.ok(after.ms > 10_000 && after.ms < 60_000, `${after.code} ${after.ms}`);
  assert.ok((await count(page)) > 1);
  await visit.close();
});

test("the reader: one that dies is followed by another that goes on; one that can't be had is told of", async (t) => {
  const data = { data: "demo", neurons: ["1:220: an"] };
  const plain = await visitPage(browser, site);
  const expected = (await ask(plain.page, "corpus", data)).value;
  await plain.close();
  /** A site whose readers are changed: a worker's own workers are no test's to answer for. */
  const changed = async (change) => {
    const root = copyOf(builtSite());
    t.after(() => rmSync(root, { recursive: true }));
    const [loader] = readdirSync(root).filter((name) => /^reader-.*_loader\.js$/.test(name));
    change(path.join(root, loader));
    const host = await serveSite({ root });
    t.after(() => host.close());
    return visitPage(browser, host, { context: { serviceWorkers: "block" } });
  };
  for (const death of ["close()", "Promise.reject(new WebAssembly.RuntimeError('unreachable'))"]) {
    // the first one only, while it reads
    const once = `caches.has("died").then((died) => died || caches.open("died").then(() => setTimeout(() => ${death}, 150)));`;
    const visit = await changed((loader) => writeFileSync(loader, once + readFileSync(loader, "utf8")));
    const found = await ask(visit.page, "corpus", data);
    assert.deepEqual(found.value, expected, `${found.code}: ${found.message}`);
    assert.ok(await visit.page.evaluate(() => caches.has("died")), "the reader has not died");
    await visit.close();
  }
  const visit = await changed((loader) => rmSync(loader));
  assert.equal((await ask(visit.page, "corpus", data)).code, "reader_died");
  await visit.close();
});

test("what a pass has found outlives the worker", async () => {
  const visit = await visitPage(browser, site, { prepare: workers });
  const { page } = visit;
  await ask(page, "corpus", { data: "demo", layers: [1] });
  const before = await ask(page, "corpusNeuron", { layer: 1, neuron: 220 });
  await kill(page);
  assert.deepEqual((await ask(page, "corpusNeuron", { layer: 1, neuron: 220 })).value, before.value);
  visit.assertClean();
  await visit.close();
});

test("the page's HTML says by itself what is missing", async () => {
  const missing = (pattern) => (page) => page.context().route(pattern, (route) => route.fulfill({ status: 404, body: "" }));
  const without = (script) => (page) => page.addInitScript(script);
  for (const [prepare, said] of [
    [missing(/page-[0-9a-f]+\.js$/), /could not be had/],
    [missing(/page-[0-9a-f]+_bg\.wasm$/), /could not be had/],
    [without("delete globalThis.WebAssembly"), /no WebAssembly/],
    [without("delete globalThis.Worker"), /no workers/],
    [without("WebAssembly.validate = () => false"), /no SIMD/],
  ]) {
    const visit = await openPage(browser, site.url, { prepare });
    await visit.page.locator("#trouble").filter({ hasText: said }).waitFor();
    await visit.close();
  }
  const visit = await visitPage(browser, site);
  assert.equal(await visit.page.locator("#trouble").isVisible(), false);
  // the page's own program breaks down
  await visit.page.evaluate(() => setTimeout(() => { throw new WebAssembly.RuntimeError("unreachable"); }));
  await visit.page.locator("#trouble").filter({ hasText: "broke down" }).waitFor();
  await visit.shot("trouble");
  await visit.close();
});
