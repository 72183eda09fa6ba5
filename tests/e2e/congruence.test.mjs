// Weights alone: a neuron's page, a token's page, pairs and hubs; their boxes, filters, files and links.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { look, settled, signed, visible, visitLink, visitPage, watched, written } from "./visit.mjs";

let site, browser, visit, page;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const ask = (name, options) => page.evaluate(([name, options]) => window.peartree[name](options), [name, options]);
const section = (id) => page.locator(`#${id}`);
const heading = () => section("weights").locator(".neuron-head h3");
const list = (id, index) =>
  section(id).locator(".value-list").nth(index).locator("ol li button:not(.small)").evaluateAll((rows) =>
    rows.map((row) => [row.firstChild.firstChild.textContent, row.lastChild.textContent]));
const named = ({ layer, neuron }) => `L${layer} N${neuron}`;

test("begins with the first token's best neuron, and names its tokens and neighbours", async () => {
  await look(page, "weights");
  const [{ layer, neuron }] = await ask("congruence", { token: " an", top: 1 });
  assert.equal(await heading().textContent(), `Layer ${layer}, neuron ${neuron}`);
  const { top, bottom } = await ask("congruence", { neuron: `${layer}:${neuron}`, top: 8 });
  const row = ({ token, value }) => [visible(token), signed(value)];
  assert.deepEqual(await list("weights", 0), top.map(row));
  assert.deepEqual(await list("weights", 1), bottom.map(row));
  assert.equal(await section("weights").locator(".neighbours li").count(), 10);
  assert.ok((await section("weights").locator(".histogram .outlier").count()) >= 4);
  assert.match(await section("weights").locator(".caption").textContent(), /notebook/);
});

test("says which convention made a figure, and shows each", async () => {
  const { layer, neuron } = (await ask("congruence", { token: " an", top: 1 }))[0];
  for (const [label, convention] of [["raw", "raw"], ["unembedding", "unembed"], ["notebook", "notebook"]]) {
    await section("weights").getByRole("radio", { name: label }).check();
    await settled(page);
    const shown = Number((await heading().textContent()).match(/neuron (\d+)/)[1]);
    const at = Number((await heading().textContent()).match(/Layer (\d+)/)[1]);
    const { top } = await ask("congruence", { neuron: `${at}:${shown}`, convention, top: 8 });
    assert.deepEqual((await list("weights", 0)).map(([, value]) => value), top.map(({ value }) => signed(value)));
    assert.match(await section("weights").locator(".caption").textContent(), new RegExp(convention));
  }
  assert.equal(await heading().textContent(), `Layer ${layer}, neuron ${neuron}`);
});

test("finds a neuron by its numbers, with the keyboard", async () => {
  const box = page.getByRole("combobox", { name: "Neuron", exact: true });
  await box.fill("1:2");
  const options = section("weights").getByRole("option");
  assert.equal(await options.first().textContent(), "L1 N2");
  assert.equal(await options.nth(1).textContent(), "L1 N20");
  await box.press("ArrowDown");
  assert.equal(await options.nth(1).getAttribute("aria-selected"), "true");
  await box.press("Enter");
  await settled(page);
  assert.equal(await heading().textContent(), "Layer 1, neuron 20");
  assert.ok((await page.evaluate(() => location.hash)).includes("&w=1:20"));
});

test("holds the neuron against a set of tokens", async () => {
  for (const token of [" an", " a"]) {
    const box = page.getByRole("combobox", { name: "Add a token" }).first();
    await box.fill(token);
    await box.press("Enter");
  }
  await settled(page);
  const { set } = await ask("congruence", { neuron: "1:20", tokens: [" an", " a"] });
  const line = await section("weights").locator(".token-set .readout").textContent();
  assert.equal(line, `sum ${signed(set.sum)}, mean ${signed(set.mean)}`);
});

test("leads from a neuron to patching it in the prompts at hand", async () => {
  await section("weights").getByRole("button", { name: "Patch it" }).click();
  await look(page, "edits");
  assert.deepEqual(await page.locator(".edit > code").allTextContents(), ["1:20=clean@all"]);
  // and back from where it is named there
  await page.locator(".edit").getByRole("button", { name: "Its weights" }).click();
  await look(page, "weights");
  assert.equal(await heading().textContent(), "Layer 1, neuron 20");
  await page.getByRole("button", { name: /Remove/ }).first().click();
});

test("lays tokens over each other and lists each one's neurons", async () => {
  await look(page, "tokens");
  const lists = section("tokens").locator(".value-list");
  assert.equal(await lists.count(), 2);
  for (const [index, token] of [" an", " a"].entries()) {
    const best = await ask("congruence", { token, top: 5 });
    assert.deepEqual(await list("tokens", index), best.map((found) => [named(found), signed(found.value)]));
    assert.equal(await lists.nth(index).locator(".readout b").textContent(), written(best[0].value - best[1].value));
  }
  assert.equal(await section("tokens").locator("canvas").count(), 2);
  const box = section("tokens").getByRole("combobox");
  await box.fill("the");
  await section("tokens").getByRole("option").first().click();
  await settled(page);
  assert.equal(await lists.count(), 3);
  await section("tokens").locator(".compared button").first().click();
  await settled(page);
  assert.equal(await lists.count(), 2);
});

test("one click leads from a neuron's name to its page", async () => {
  const [name] = (await list("tokens", 0))[0];
  await section("tokens").locator(".value-list").first().locator("ol button").first().click();
  await look(page, "weights");
  const [, layer, neuron] = name.match(/L(\d+) N(\d+)/);
  assert.equal(await heading().textContent(), `Layer ${layer}, neuron ${neuron}`);
});

const rows = () =>
  section("pairs").locator("tbody tr").evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));

test("lists mutual pairs and exclusive neurons as the search finds them", async () => {
  await look(page, "pairs");
  const figure = (value) => `${value < 0 ? "−" : ""}${Math.abs(value).toFixed(4)}`;
  for (const [label, kind] of [["mutual pairs", "mutual"], ["exclusive neurons", "exclusive"]]) {
    await section("pairs").getByRole("radio", { name: label }).check();
    await settled(page);
    const found = await ask("search", { kind, top: 20 });
    const expected = found.map((p) => [visible(p.token), named(p), ...[p.token_gap, p.neuron_gap, p.score].map(figure)]);
    assert.deepEqual(await rows(), expected);
  }
  assert.equal(await section("pairs").locator(".table-line").getAttribute("data-stage"), "ready");
});

test("sorts by every column, both ways, and filters by layer, token and score", async (t) => {
  await section("pairs").getByRole("radio", { name: "exclusive neurons" }).check();
  await settled(page);
  const all = await ask("search", { kind: "exclusive", top: 100000 });
  const gaps = section("pairs").getByRole("button", { name: "neuron’s gap" });
  await gaps.click();
  assert.equal(await section("pairs").locator('th[aria-sort="descending"]').textContent(), "neuron’s gap");
  const largest = Math.max(...all.map((pair) => pair.neuron_gap));
  assert.equal((await rows())[0][3], largest.toFixed(4));
  await gaps.click();
  assert.equal((await rows())[0][3], Math.min(...all.map((pair) => pair.neuron_gap)).toFixed(4));
  await section("pairs").getByLabel("Layers").fill("1");
  assert.ok((await rows()).every(([, name]) => name.startsWith("L1 ")));
  await section("pairs").getByLabel("Layers").fill("");
  await watched(t, visit, async () => {
    const begin = await page.evaluate(() => performance.now());
    await section("pairs").getByLabel("Token holds").fill("/^ [aeiou]/");
    await page.waitForFunction(() => [...document.querySelectorAll("#pairs tbody th")].every((cell) => /^·[aeiou]/.test(cell.textContent)));
    t.diagnostic(`a filter answered in ${(await page.evaluate(() => performance.now()) - begin).toFixed(0)} ms, the driver's way included`);
  });
  const count = all.filter((pair) => /^ [aeiou]/.test(pair.token)).length;
  // an expression runs in a worker of its own, so its answer is waited for
  const foot = (text) => section("pairs").locator(".pairs-foot .readout").filter({ hasText: text }).waitFor();
  await foot(new RegExp(`^\\s*${count.toLocaleString("en")} of `));
  await section("pairs").getByLabel("Token holds").fill("/[/");
  await foot(/no regular expression/);
  await section("pairs").getByLabel("Token holds").fill("");
});

test("saves the list as CSV and JSON, and the table as a file that can be opened again", async () => {
  const saved = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), section("pairs").getByRole("button", { name }).click()]);
    return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
  };
  const all = await ask("search", { kind: "exclusive", top: 100000 });
  const json = JSON.parse((await saved("Save as JSON")).bytes);
  assert.equal(json.length, all.length);
  assert.deepEqual(new Set(Object.keys(json[0])), new Set(Object.keys(all[0])));
  const csv = (await saved("Save as CSV")).bytes.toString().trim().split("\n");
  assert.equal(csv[0], "token,id,layer,neuron,token_gap,neuron_gap,score");
  const table = await saved("Save the table");
  assert.equal(table.name, "demo-notebook.safetensors");
  const opened = await page.evaluate((bytes) => window.peartree.openTable(new Uint8Array(bytes)), [...table.bytes]);
  assert.ok(opened);
  table.bytes[table.bytes.length - 1] ^= 0x7f;
  const refused = await page.evaluate((bytes) => window.peartree.openTable(new Uint8Array(bytes)).catch((e) => e.code), [...table.bytes.subarray(0, 500)]);
  assert.equal(refused, "bad_table");
});

test("lists hubs with how unevenly they are spread", async () => {
  for (const [label, side] of [["hub tokens", "tokens"], ["hub neurons", "neurons"]]) {
    await section("pairs").getByRole("radio", { name: label }).check();
    await settled(page);
    const hubs = await ask("hubs", { top: 20 });
    const expected = hubs[side].map((hub) => hub.best_of.toLocaleString("en"));
    assert.deepEqual((await rows()).map((row) => row[1]), expected);
    assert.match(await section("pairs").locator(".pairs-body .readout").textContent(), /skew/);
  }
});

test("a link brings neuron, tokens, convention and search to another visitor", async () => {
  const hash = await page.evaluate(() => location.hash.slice(1));
  assert.match(hash, /&find=neurons/);
  const other = await visitLink(browser, site, `${hash}&conv=raw&view=weights`);
  await look(other.page, "weights");
  assert.equal(await other.page.locator("#weights .neuron-head h3").textContent(), await heading().textContent());
  assert.match(await other.page.locator("#weights .caption").textContent(), /raw/);
  other.assertClean();
  await other.context?.close();
});

test("has said and fetched nothing it should not", () => visit.assertClean());
