// A variant of GPT-2 on the page: its line says what it is, and its figures are the command line's.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { launch, serveSite } from "./harness.mjs";
import { largerModel } from "./larger_model.mjs";
import { look, predictions, settled, signed, visitPage } from "./visit.mjs";

// `cargo test` has built it
const PROGRAM = process.env.PEARTREE ?? fileURLToPath(new URL("../../target/debug/peartree", import.meta.url));
const CLEAN = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";
const CORRUPTED = CLEAN.replace("apple", "lemon");

/** Relu, scaled by layer, with an unembedding of its own that config.json doesn't speak of, and no biases. */
function variant() {
  const files = largerModel({ layers: 3, heads: 4, width: 32, variant: true });
  return Object.fromEntries(files.map(({ name, buffer }) => [name, buffer]));
}

let site, browser, visit, page, files, folder;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
  files = variant();
  folder = await mkdtemp(path.join(tmpdir(), "peartree-variant-"));
  for (const [name, buffer] of Object.entries(files)) await writeFile(path.join(folder, name), buffer);
});
after(async () => {
  await browser?.close();
  await site?.close();
  if (folder) await rm(folder, { recursive: true });
});

const ask = (name, options) => page.evaluate(([name, options]) => window.peartree[name](options), [name, options]);
const line = () => page.locator(".model-line").textContent();
const conventions = () => page.locator("#weights .conventions label").allTextContents();

/** The command line's answer. */
async function told(...args) {
  const { stdout } = await promisify(execFile)(PROGRAM, [...args, "--json", "--model", folder], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

/**
 * Compares all figures in two answers; one kernel's sums are another's but for their last bits. Shares of the difference
 * between two runs are less exact where that is small.
 */
function same(ours, theirs, where, by = 1) {
  by = Math.min(by, Math.abs(theirs?.clean - theirs?.corrupted) || 1);
  if (typeof theirs === "number") {
    assert.ok(Math.abs(ours - theirs) < (1e-4 / by) * (1 + Math.abs(theirs)), `${where}: ${ours}, ${theirs}`);
  } else if (theirs && typeof theirs === "object") {
    assert.deepEqual(Object.keys(ours), Object.keys(theirs), where);
    for (const [key, value] of Object.entries(theirs)) same(ours[key], value, `${where}.${key}`, by);
  } else {
    assert.equal(ours, theirs, where);
  }
}

test("a usual model has three conventions, and a line without variants", async () => {
  await look(page, "weights");
  assert.deepEqual(await conventions(), ["notebook", "raw", "unembedding"]);
  assert.ok(!/activation|unembedding|scaled/.test(await line()), await line());
});

test("says in words what a variant is, and what of its files was read otherwise", async () => {
  const picked = Object.entries(files).map(([name, buffer]) => ({ name, mimeType: "application/octet-stream", buffer }));
  await page.getByText("Use another model").click();
  await page.getByLabel(/Pick the files/).setInputFiles(picked);
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  await settled(page);
  const said = await line();
  for (const part of ["activation relu", "attention scaled by layer", "an unembedding of its own", "lm_head.weight", "without biases"]) {
    assert.ok(said.includes(part), `${said} lacks ${part}`);
  }
  const { model } = await ask("info");
  const seen = await told("inspect");
  assert.deepEqual(model.config, seen.config);
  assert.deepEqual([...model.notes].sort(), [...seen.notes].sort());
});

test("its figures are the command line's", async () => {
  const tokens = [" an", " a"];
  const pair = ["--clean", CLEAN, "--corrupted", CORRUPTED, "--tokens", ...tokens];
  same(await ask("predict", { prompt: CLEAN }), await told("predict", "--prompt", CLEAN), "predict");
  same(await ask("lens", { prompt: CLEAN, tokens }), await told("lens", "--prompt", CLEAN, "--tokens", ...tokens), "lens");
  const both = { clean: CLEAN, corrupted: CORRUPTED, tokens };
  same(await ask("patch", { ...both, site: "mlp_out" }), await told("patch", ...pair, "--site", "mlp_out"), "patch");
  same(await ask("neurons", { ...both, layer: 1 }), await told("neurons", ...pair, "--layer", "1"), "neurons");
  same(await ask("attribute", { prompt: CLEAN, tokens }), await told("attribute", "--prompt", CLEAN, "--tokens", ...tokens), "attribute");
  const { top } = await ask("predict", { prompt: CLEAN });
  assert.deepEqual((await predictions(page)).map(({ id }) => id), top.map(({ id }) => id));
});

test("offers the conventions that it has, and shows each", async () => {
  await look(page, "weights");
  const labels = ["notebook", "raw", "unembedding", "notebook with unembedding", "raw with unembedding"];
  const names = ["notebook", "raw", "unembed", "notebook-unembedding", "raw-unembedding"];
  assert.deepEqual(await conventions(), labels);
  for (const [index, convention] of names.entries()) {
    await page.locator("#weights").getByRole("radio", { name: labels[index], exact: true }).check();
    await settled(page);
    const [, layer, neuron] = (await page.locator("#weights .neuron-head h3").textContent()).match(/Layer (\d+), neuron (\d+)/);
    const { top } = await told("congruence", "--neuron", `${layer}:${neuron}`, "--convention", convention, "--top", "8");
    const shown = page.locator("#weights .value-list").first().locator("ol li button:not(.small)");
    const values = await shown.evaluateAll((rows) => rows.map((row) => row.lastChild.textContent));
    assert.deepEqual(values, top.map(({ value }) => signed(value)), convention);
    const caption = await page.locator("#weights .caption").textContent();
    assert.ok(caption.includes(index < 2 ? "token’s embedding" : "token’s unembedding"), caption);
  }
  assert.ok((await page.evaluate(() => location.hash)).includes("conv=raw-unembedding"));
});

test("a convention that the next model lacks gives way, and the page says so", async () => {
  await page.getByRole("button", { name: "Back to the demo model" }).click();
  await page.locator(".model-line", { hasText: "Demo model" }).waitFor();
  await settled(page);
  await look(page, "weights");
  assert.equal(await page.locator("#weights").getByRole("radio", { name: "notebook", exact: true }).isChecked(), true);
  await page.getByText("the convention raw-unembedding").first().waitFor();
  await assert.rejects(ask("congruence", { token: " an", convention: "raw-unembedding" }), /raw-unembedding/);
});
