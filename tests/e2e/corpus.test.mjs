// Neurons on real text: from a script and on the page.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { startDatasets } from "./dataset_server.mjs";
import { startEncoded } from "./encoded_server.mjs";
import { builtSite, launch, serveSite } from "./harness.mjs";
import { namesHub, visitLink, visitPage } from "./visit.mjs";

const run = promisify(execFile);
const PROGRAM = process.env.PEARTREE ?? fileURLToPath(new URL("../../target/debug/peartree", import.meta.url));
const DEMO_TEXTS = fileURLToPath(new URL("../../www/corpora/demo.jsonl.gz", import.meta.url));

let browser, site;
before(async () => {
  [browser, site] = await Promise.all([launch(), serveSite()]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const lines = (texts) => texts.map((text) => JSON.stringify({ text })).join("\n");
const TEXTS = Array.from({ length: 60 }, (_, i) => `I climbed up the ${["apple", "pear"][i % 2]} tree and picked ${["an apple", "a pear"][i % 2]}.`);

test("a script's corpus: counts, examples, one neuron, stopped and gone on with", async () => {
  const visit = await visitPage(browser, site);
  const found = await visit.page.evaluate(async ({ text }) => {
    const files = [new File([text], "texts.jsonl")];
    const options = { data: files, neurons: ["1:220: an"], layers: [1], top: 5 };
    const whole = await peartree.corpus(options);
    const neuron = await peartree.corpusNeuron({ layer: 1, neuron: 220 });
    const again = await peartree.corpus({ ...options, bins: "notebook" });
    const refused = await peartree.corpus({ ...options, neurons: ["99:0: an"] }).catch((error) => error.code);
    const misspelt = await peartree.corpus({ ...options, neuron: [] }).catch((error) => error.code);
    const bad = await peartree.corpus({ ...options, data: [new File(["x"], "x.pdf")] }).catch((error) => error.code);
    // stopped half-way through a longer one, and gone on with
    const long = { data: "demo", neurons: ["1:220: an"] };
    const one = await peartree.corpus(long);
    const stop = new AbortController();
    const told = [];
    const stopped = await peartree
      .corpus({ ...long, signal: stop.signal, onProgress: (progress) => { told.push(progress); stop.abort(); } })
      .catch((error) => error.code);
    const resumed = await peartree.corpus({ ...long, resume: true });
    return { whole, neuron, again, refused, misspelt, bad, one, stopped, resumed, told };
  }, { text: lines(TEXTS) });
  const [study] = found.whole.studies;
  assert.equal(found.whole.documents, 60);
  assert.equal(study.token, " an");
  assert.equal(study.occurrences, 30);
  assert.equal(study.bins.reduce((sum, bin) => sum + bin.count, 0), found.whole.positions);
  assert.equal(study.top_documents.length, 5);
  assert.ok(study.top_documents.every(({ value, context, position }) => Math.abs(context.values[position - context.from] - value) < 1e-6));
  assert.deepEqual(found.neuron.top_documents, study.top_documents);
  assert.notDeepEqual(found.again.studies[0].bins, study.bins);
  assert.deepEqual([found.refused, found.misspelt, found.bad], ["bad_option", "bad_option", "read_failed"]);
  assert.equal(found.stopped, "cancelled");
  assert.ok(found.told[0].tokensPerSecond > 0);
  assert.deepEqual(found.resumed, found.one, "a pass that was stopped came to another end");
  assert.equal(found.one.documents, 2000);
  visit.assertClean();
});

test("the page counts what the command line counts", async () => {
  const visit = await visitPage(browser, site);
  const neurons = ["1:220: a", "2:7: an"];
  const { stdout } = await run(PROGRAM, ["corpus", "--data", DEMO_TEXTS, "--neurons", ...neurons, "--json"], { maxBuffer: 1 << 26 });
  const native = JSON.parse(stdout);
  const here = await visit.page.evaluate((neurons) => peartree.corpus({ data: "demo", neurons }), neurons);
  assert.deepEqual([here.documents, here.positions], [native.documents, native.positions]);
  for (const [at, study] of here.studies.entries()) {
    const other = native.studies[at];
    assert.equal(study.occurrences, other.occurrences);
    // sums in another order: an activation at a bin's edge, or two tokens all but equal, may fall on the other side
    assert.ok(Math.abs(study.top_predictions - other.top_predictions) <= 3);
    assert.ok(Math.abs(study.mean - other.mean) < 1e-5 && Math.abs(study.max - other.max) < 1e-4 && Math.abs(study.auc - other.auc) < 1e-4);
    const differ = study.bins.reduce((sum, { count }, bin) => sum + Math.abs(count - other.bins[bin].count), 0);
    assert.ok(differ <= 10, `${differ} positions in other bins`);
    const places = ({ top_documents }) => new Set(top_documents.map(({ document, position }) => `${document}:${position}`));
    const shared = [...places(study)].filter((place) => places(other).has(place)).length;
    assert.ok(shared >= 18, `${shared} of 20 examples are the same`);
  }
  visit.assertClean();
});

test("the reader's program is fetched by those only who ask for a corpus", async () => {
  const visit = await visitPage(browser, site);
  const fetched = () => visit.requests.filter((url) => /\/reader-/.test(url)).length;
  assert.equal(fetched(), 0);
  await visit.page.evaluate(() => peartree.corpus({ data: "english", neurons: ["1:220: an"], share: 0.05 }));
  assert.ok(fetched() > 0);
  visit.assertClean();
});

test("once a text has been read, the site's own are read without a network", async () => {
  const site = await serveSite();
  const visit = await visitPage(browser, site);
  const { page } = visit;
  // from the second visit on, the page is the service worker's
  await page.getByText("it starts without a network too").waitFor();
  await page.reload();
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null && performance.getEntriesByName("first-prediction").length > 0);
  const ask = (data) => page.evaluate((data) => peartree.corpus({ data, neurons: ["1:220: an"], share: 0.1 }), data);
  const found = await ask("demo");
  const isKept = () => page.evaluate(async () => {
    const caches_ = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return caches_.flat().filter(({ url }) => /\/reader-|\/corpora\//.test(url)).length;
  });
  for (let i = 0; i < 100 && (await isKept()) < 5; i++) await page.waitForTimeout(100);
  assert.equal(await isKept(), 5);
  await site.close();
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  assert.deepEqual(await ask("demo"), found);
  assert.ok((await ask("english")).documents > 3);
  await visit.close();
});

const figure = (page) => page.locator("#corpus");
const read = async (page) => {
  await figure(page).getByRole("button", { name: /^Read/ }).click();
  await isRead(page);
};
const isRead = (page) =>
  page.waitForFunction(() => {
    const corpus = document.querySelector("#corpus");
    return !corpus.querySelector(".corpus-progress") && corpus.querySelector(".corpus-histogram rect");
  });
const summary = (page) => figure(page).locator(".corpus-summary").textContent();
/** The list of texts, a kind of which is chosen. */
const choose = (page, kind) => figure(page).getByLabel("Text", { exact: true }).selectOption(kind);

test("the page reads a corpus, shows examples and makes one the prompt", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await figure(page).scrollIntoViewIfNeeded();
  await read(page);
  assert.equal(await figure(page).locator(".corpus-examples li").count(), 20);
  assert.match(await summary(page), /2,000 documents.*above zero at.*ROC curve/);
  assert.match(await figure(page).locator(".corpus-curve figcaption").textContent(), /occurs [\d,]+ times.*top prediction [\d,]+ times/);
  const dots = figure(page).locator(".corpus-curve circle");
  const inFloor = await dots.count();
  assert.ok(inFloor > 5);
  await page.waitForFunction(() => document.querySelector(".corpus-examples li p").textContent.includes("the model expects"));
  const first = figure(page).locator(".corpus-examples li").first();
  assert.equal(await first.locator(".peak").count(), 1);
  // the same counts in the notebook's bins, without reading again
  const table = () => figure(page).locator(".corpus-curve table").first().innerText();
  await figure(page).getByText("Counts", { exact: true }).first().click();
  const before = await table();
  await figure(page).getByText("How it is read").click();
  await figure(page).getByLabel("Bins").selectOption("1");
  await page.waitForFunction((before) => document.querySelector("#corpus .corpus-curve table").innerText !== before, before);
  // another neuron of the layer, likewise
  await figure(page).getByLabel("Neuron", { exact: true }).fill("2:7");
  await page.waitForFunction(() => document.querySelector("#corpus .corpus-summary")?.textContent.startsWith("L2 N7 "));
  assert.equal(await figure(page).locator(".corpus-examples li").count(), 20);
  assert.equal(await figure(page).locator(".corpus-curve").count(), 0, "a curve of another neuron stands beside it");
  // and one of a layer that was not watched
  await figure(page).getByLabel("Neuron", { exact: true }).fill("0:7");
  await figure(page).locator("#corpus-neuron-failure").filter({ hasText: "not watched" }).waitFor();
  await figure(page).getByLabel("Neuron", { exact: true }).fill("2:92");
  await first.locator(".context").click();
  await page.waitForFunction(() => document.querySelector("#prompt").value.length > 3);
  visit.assertClean();
});

test("the best pairs are measured, the five best drawn, and all correlated with their scores", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await figure(page).scrollIntoViewIfNeeded();
  await figure(page).getByRole("button", { name: "Measure the best pairs" }).click();
  await figure(page).locator(".agreement-correlation").waitFor();
  await page.waitForFunction(() => !document.querySelector(".agreement-state"));
  assert.match(await figure(page).locator(".agreement-correlation").textContent(), /rank correlation.*95 % interval/);
  assert.equal(await figure(page).locator(".agreement .curve-line").count(), 5);
  assert.ok((await figure(page).locator(".corpus-scores circle").count()) > 10);
  assert.equal(await figure(page).locator(".agreement tbody tr").count(), 50);
  visit.assertClean();
});

/** Reads once to the end, which it gives back; and once more, paused as soon as something has been read. */
async function readAndPaused(page) {
  await figure(page).scrollIntoViewIfNeeded();
  await figure(page).getByText("How it is read").click();
  await figure(page).getByLabel("Layers").fill("1-2");
  await read(page);
  const whole = await summary(page);
  // paused as soon as something has been read
  await page.evaluate(() => {
    new MutationObserver((_, observer) => {
      const corpus = document.querySelector("#corpus");
      const pause = [...corpus.querySelectorAll("button")].find(({ textContent }) => textContent === "Pause");
      if (pause && corpus.querySelector("progress")?.value > 0) {
        observer.disconnect();
        pause.click();
      }
    }).observe(document.querySelector("#corpus"), { subtree: true, childList: true, attributes: true });
  });
  await figure(page).getByRole("button", { name: "Read", exact: true }).click();
  await figure(page).getByText(/Paused at/).waitFor();
  return whole;
}

test("a reading is paused, goes on after a reload, and comes to the end of one that wasn't", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const whole = await readAndPaused(page);
  assert.notEqual(await summary(page), whole);
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await figure(page).locator(".corpus-kept", { hasText: /demo\.jsonl\.gz|demo-/ }).waitFor();
  await figure(page).getByRole("button", { name: "Go on" }).click();
  // what it goes on from has been counted: it doesn't begin at nothing
  await isRead(page);
  await page.waitForFunction((whole) => document.querySelector("#corpus .corpus-summary").textContent === whole, whole);
  // at its end nothing is left to go on from
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  assert.equal(await figure(page).locator(".corpus-kept").count(), 0);
  visit.assertClean();
});

test("what was kept of a reading and is damaged is named, and the reading begins anew", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const whole = await readAndPaused(page);
  await page.waitForTimeout(300); // what is kept is written meanwhile
  const changed = await page.evaluate(async () => {
    const cache = await caches.open("peartree-corpus");
    const [key] = (await cache.keys()).filter(({ url }) => url.endsWith("findings"));
    const bytes = new Uint8Array(await (await cache.match(key)).arrayBuffer());
    bytes[bytes.length >> 1] ^= 1;
    await cache.put(key, new Response(bytes));
    return bytes.length;
  });
  assert.ok(changed > 1000);
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await figure(page).getByRole("button", { name: "Go on" }).click();
  await figure(page).locator(".corpus-lost", { hasText: /What was kept of the last reading .* is damaged/ }).waitFor();
  await isRead(page);
  await page.waitForFunction((whole) => document.querySelector("#corpus .corpus-summary").textContent === whole, whole);
  visit.assertClean();
});

test("files that are dropped onto the figure are read, and an unreadable one is named", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await figure(page).scrollIntoViewIfNeeded();
  const drop = (name, text) =>
    page.evaluate(([name, text]) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([text], name));
      const over = { bubbles: true, cancelable: true, dataTransfer };
      document.querySelector("#corpus form").dispatchEvent(new DragEvent("dragover", over));
      document.querySelector("#corpus form").dispatchEvent(new DragEvent("drop", over));
    }, [name, text]);
  await drop("texts.jsonl", lines(TEXTS));
  await figure(page).getByText("texts.jsonl").first().waitFor();
  await read(page);
  assert.match(await summary(page), /in 60 documents/);
  await drop("notes.txt", "I picked an apple.");
  await figure(page).getByText("notes.txt").first().waitFor();
  await read(page);
  assert.match(await summary(page), /in 1 documents/);
  await drop("broken.jsonl", "{");
  await figure(page).getByText("broken.jsonl").first().waitFor();
  await figure(page).getByRole("button", { name: "Read", exact: true }).click();
  await figure(page).locator("#corpus-failure").filter({ hasText: "broken.jsonl" }).waitFor();
  // the model that answers is still the demo: a drop of texts is no drop of a model
  assert.equal((await page.evaluate(() => peartree.info())).model.name, "demo");
  visit.assertClean();
});

const PARQUET = new URL("../fixtures/parquet/", import.meta.url);

test("a data set on the hub is read by ranges, from the script and on the page", async () => {
  const parts = await Promise.all(["plain", "snappy"].map((name) => readFile(new URL(`${name}.parquet`, PARQUET))));
  const hub = await startDatasets({ "org/pears": parts });
  const prepare = namesHub(hub.url);
  const visit = await visitPage(browser, site, { prepare, origins: hub.origins });
  const { page } = visit;
  const ask = (data) => page.evaluate((data) => peartree.corpus({ data, neurons: ["1:220: an"] }).catch(({ code, message }) => ({ code, message })), data);
  const found = await ask("org/pears");
  assert.equal(found.documents, 600);
  assert.ok(hub.ranges.length >= 2 && hub.ranges.every(([start, end, whole]) => end - start <= whole));
  hub.set({ length: false });
  assert.deepEqual(await ask("org/pears"), found, "a host that hides Content-Range is read otherwise");
  await figure(page).scrollIntoViewIfNeeded();
  await choose(page, "hub");
  await figure(page).getByLabel("Its name").fill("org/pears");
  await page.keyboard.press("Tab");
  await read(page);
  assert.match(await summary(page), /in 600 documents/);
  visit.assertClean();
  const missing = await ask("org/plums");
  assert.equal(missing.code, "not_there");
  assert.match(missing.message, /org\/plums/);
  await hub.close();
});

test("a folder that the command line has written is read neuron by neuron", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "peartree-folder-"));
  const data = path.join(folder, "texts.jsonl");
  await writeFile(data, lines(TEXTS));
  await run(PROGRAM, ["corpus", "--data", data, "--neurons", "2:92: an", "--out", path.join(folder, "findings"), "--json"]);
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const address = `${site.url}published/`;
  const asked = [];
  await page.context().route(`${address}**`, async (route) => {
    const name = new URL(route.request().url()).pathname.split("/").pop();
    const { range } = route.request().headers();
    const body = await readFile(path.join(folder, "findings", name));
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    asked.push([name, range]);
    if (first === undefined) return route.fulfill({ body });
    const headers = { "content-range": `bytes ${first}-${last}/${body.length}` };
    await route.fulfill({ status: 206, headers, body: body.subarray(Number(first), Number(last) + 1) });
  });
  const [here, there] = await page.evaluate(async ({ text, folder }) => {
    await peartree.corpus({ data: [new File([text], "texts.jsonl")], layers: "all" });
    const neuron = { layer: 2, neuron: 92 };
    return [await peartree.corpusNeuron(neuron), await peartree.corpusNeuron({ ...neuron, folder })];
  }, { text: lines(TEXTS), folder: address });
  // the browser and the command line multiply in another order
  const same = (a, b) => Math.abs(a - b) < 2e-5 * (1 + Math.abs(b));
  assert.ok(same(here.mean, there.mean) && same(here.max, there.max), JSON.stringify([here.mean, there.mean, here.max, there.max]));
  assert.deepEqual(there.top_documents.map(({ document }) => document).sort(), here.top_documents.map(({ document }) => document).sort());
  assert.deepEqual(asked.map(([name]) => name), ["corpus.json", "layer-02.bin"]);
  assert.match(asked[1][1], /^bytes=\d+-\d+$/);
  await figure(page).scrollIntoViewIfNeeded();
  await choose(page, "folder");
  await figure(page).getByLabel("Its address").fill(address);
  await page.keyboard.press("Tab");
  await figure(page).locator(".corpus-examples li").first().waitFor();
  assert.match(await summary(page), /in 60 documents.*of texts\.jsonl/);
  assert.ok((await figure(page).locator(".corpus-curve circle").count()) > 1);
  await figure(page).getByLabel("Neuron", { exact: true }).fill("0:3");
  await page.waitForFunction(() => document.querySelector("#corpus .corpus-summary")?.textContent.startsWith("L0 N3 "));
  visit.assertClean();
  await rm(folder, { recursive: true });
});

/** Hands files to the page. */
const give = async (page, name, buffer) => {
  await figure(page).scrollIntoViewIfNeeded();
  await choose(page, "files");
  await page.setInputFiles("#corpus-files", { name, mimeType: "application/octet-stream", buffer });
};
const pressRead = (page) => figure(page).getByRole("button", { name: /^Read/ }).click();

test("texts under another key are read once it is chosen, and what is no UTF-8 is counted", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const rows = TEXTS.map((content, id) => JSON.stringify({ id, content, title: "Pears" })).join("\n");
  await give(page, "rows.jsonl", Buffer.concat([Buffer.from(`${rows}\n{"content":"caf`), Buffer.from([0xe9, 0xe8]), Buffer.from('"}\n')]));
  const key = figure(page).getByLabel("Texts are under");
  await key.waitFor();
  assert.deepEqual(await key.locator("option").allTextContents(), ["text", "content", "title"]);
  await pressRead(page);
  await page.waitForFunction(() => document.querySelector("#corpus-failure")?.textContent.includes("in line 1"));
  assert.match(await page.locator("#corpus-failure").textContent(), /rows\.jsonl.*"content", "title"/);
  await key.selectOption("content");
  await read(page);
  assert.match(await summary(page), /in 61 documents.*2 bytes that are no UTF-8 were replaced/);
  await page.waitForFunction(() => /key=content/.test(location.hash));
  const asked = await page.evaluate(async (text) => {
    const options = { data: [new File([text], "rows.jsonl")], neurons: ["1:220: an"] };
    return [(await peartree.corpus({ ...options, textKey: "content" })).documents, await peartree.corpus(options).catch(({ code }) => code)];
  }, rows);
  assert.deepEqual(asked, [60, "read_failed"]);
  // a column of a file of parquet, too
  await give(page, "nested.parquet", await readFile(new URL("nested-v2.parquet", PARQUET)));
  await page.waitForFunction(() => [...document.querySelectorAll("#corpus-key option")].some(({ value }) => value === "row.text"));
  await key.selectOption("row.text");
  await read(page);
  assert.match(await summary(page), /in 20 documents/);
  visit.assertClean();
});

const blank = gzipSync(Buffer.alloc(64 << 20, "\n"));
for (const [what, name, member, times] of [
  ["without texts", "blank.jsonl.gz", blank, 16],
  ["that unpacks to nothing", "empty.jsonl.gz", gzipSync(""), 2_000_000],
]) {
  test(`a long stretch ${what} shows how far it is, and is stopped`, async () => {
    const visit = await visitPage(browser, site);
    const { page } = visit;
    await give(page, name, Buffer.concat(Array(times).fill(member)));
    await pressRead(page);
    await page.waitForFunction(() => {
      const value = document.querySelector("#corpus .corpus-progress progress")?.value;
      return value > 0 && value < 1;
    });
    await figure(page).getByRole("button", { name: "Pause" }).click();
    await figure(page).getByRole("button", { name: "Go on" }).waitFor({ timeout: 5000 });
    await figure(page).getByRole("button", { name: "Discard" }).click();
    visit.assertClean();
  });
}

test("a server that unpacks .gz on the way gives the site's texts, with ranges and without", async () => {
  for (const ranges of [false, true]) {
    const server = await startEncoded(builtSite(), { ranges });
    const visit = await visitPage(browser, server);
    const found = await visit.page.evaluate(() => peartree.corpus({ data: ["demo", "english"], neurons: ["1:220: an"], share: 0.02 }));
    assert.ok(found.documents > 20, `${found.documents} documents`);
    assert.ok(server.encoded.length >= 2, `${server.encoded}`);
    await visit.close();
    await server.close();
  }
});

test("a link brings the neuron, the token and the text", async () => {
  const visit = await visitLink(browser, site, "v1&p=I+picked&c=&t=+an&u=+a&cn=1:7&ct=+an&data=english&percent=20&seed=4&view=corpus");
  const { page } = visit;
  assert.equal(await figure(page).getByLabel("Neuron", { exact: true }).inputValue(), "1:7");
  assert.equal(await figure(page).getByLabel("Token", { exact: true }).inputValue(), " an");
  assert.equal(await figure(page).getByLabel("Text", { exact: true }).inputValue(), "english");
  await read(page);
  await choose(page, "demo");
  await page.waitForFunction(() => /data=demo/.test(location.hash) && /percent=20/.test(location.hash));
  visit.assertClean();
});
