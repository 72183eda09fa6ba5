// Neurons on real text: from a script and on the page.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { visitPage } from "./visit.mjs";

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
    const options = { data: files, neurons: ["1:220: an"], layers: 1, top: 5 };
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

test("the page reads a corpus, shows examples and makes one the prompt", async (t) => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const figure = page.locator("#corpus");
  await figure.scrollIntoViewIfNeeded();
  await figure.getByRole("button", { name: "Read", exact: true }).click();
  await figure.locator(".corpus-examples li").first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".corpus-examples li").length === 20 && !document.querySelector(".corpus-progress"));
  assert.match(await figure.locator(".corpus-summary").textContent(), /2,000 documents.*occurrences.*top predictions/);
  assert.ok((await figure.locator(".corpus-curve circle").count()) > 5);
  assert.ok((await figure.locator(".corpus-histogram rect").count()) > 5);
  await page.waitForFunction(() => document.querySelector(".corpus-examples li p").textContent.includes("the model expects"));
  const first = figure.locator(".corpus-examples li").first();
  assert.equal(await first.locator(".peak").count(), 1);
  await figure.getByRole("button", { name: "Measure the best pairs" }).click();
  await figure.locator(".agreement-correlation").waitFor();
  await page.waitForFunction(() => !document.querySelector(".agreement-state"));
  assert.match(await figure.locator(".agreement-correlation").textContent(), /rank correlation/);
  assert.equal(await figure.locator(".agreement .curve-line").count(), 5);
  if (process.env.SHOTS) {
    for (const [name, width, colorScheme] of [["desktop", 1280, "light"], ["phone", 390, "dark"]]) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(300);
      await figure.screenshot({ path: `${process.env.SHOTS}/corpus-${name}.png` });
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  }
  await first.locator(".context").click();
  await page.waitForFunction(() => document.querySelector("#prompt").value.length > 3);
  visit.assertClean();
});
