// Which model answers, and how a person points the page at another one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import { launch, serveSite } from "./harness.mjs";
import { allowBareFolder, predictions, prompt, settled, visitPage } from "./visit.mjs";
import { inParts } from "./larger_model.mjs";

let site, browser, visit, page, files;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
  const read = (name) => readFileSync(path.join(site.root, "demo", name));
  files = Object.fromEntries(["config.json", "tokenizer.json", "model.safetensors"].map((name) => [name, read(name)]));
  await page.getByText("Use another model").click();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const line = () => page.locator(".model-line").textContent();
const failure = () => page.locator("#model-failure p");
const pick = (chosen) =>
  page.getByLabel(/Pick the files/).setInputFiles(
    Object.entries(chosen).map(([name, buffer]) => ({ name, mimeType: "application/octet-stream", buffer })),
  );
async function backToDemo() {
  await page.getByRole("button", { name: "Back to the demo model" }).click();
  await page.locator(".model-line", { hasText: "Demo model" }).waitFor();
  await settled(page);
}

test("says which model answers", async () => {
  const config = JSON.parse(files["config.json"]);
  const said = await line();
  for (const part of ["Demo model", `${config.n_layer} layers`, `${config.n_head} heads`, `width ${config.n_embd}`, "parameters"]) {
    assert.ok(said.includes(part), `${said} lacks ${part}`);
  }
});

test("loads picked files, and goes back to the demo", async () => {
  const before = await predictions(page);
  await pick(files);
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  await settled(page);
  assert.deepEqual(await predictions(page), before);
  await backToDemo();
});

test("loads files dropped onto the page", async () => {
  const transfer = await page.evaluateHandle((files) => {
    const transfer = new DataTransfer();
    for (const [name, base64] of files) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
    }
    return transfer;
  }, Object.entries(files).map(([name, bytes]) => [name, bytes.toString("base64")]));
  await page.locator(".candidates").dispatchEvent("dragover", { dataTransfer: transfer });
  await page.getByText("Drop a model’s files, or its folder").waitFor();
  await page.locator(".candidates").dispatchEvent("drop", { dataTransfer: transfer });
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  assert.equal(await page.locator(".drop").count(), 0);
  await backToDemo();
});

test("loads picked files in parts, and says which are missing", async () => {
  const parts = Object.fromEntries(
    inParts(Object.entries(files).map(([name, buffer]) => ({ name, buffer }))).map(({ name, buffer }) => [name, buffer]),
  );
  const before = await predictions(page);
  await pick(parts);
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  await settled(page);
  assert.deepEqual(await predictions(page), before);
  const { "model-00002-of-00002.safetensors": _, ...half } = parts;
  await pick(half);
  await failure().filter({ hasText: "model-00002-of-00002.safetensors" }).waitFor();
  const { "model.safetensors.index.json": __, ...unnamed } = parts;
  await pick(unnamed);
  await failure().filter({ hasText: "a part of a model, but not the parts' index" }).waitFor();
  await backToDemo();
});

test("the file that says which token begins a text is read", async () => {
  await pick({ ...files, "tokenizer_config.json": Buffer.from('{"bos_token": "Ġan"}') });
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  const bos = await page.evaluate(async () => (await window.peartree.info()).model.bos);
  assert.equal(bos.token, " an");
  await backToDemo();
});

test("takes token ids when there is no tokenizer", async () => {
  const { ids } = await page.evaluate(() => window.peartree.predict({ prompt: "I climbed up the" }));
  const { "tokenizer.json": _, ...withoutTokenizer } = files;
  await pick(withoutTokenizer);
  const box = page.getByLabel("Prompt, as token ids");
  await box.fill("I climbed");
  await page.getByText('"I" is not a token id').waitFor();
  await box.fill(ids.join(", "));
  await settled(page);
  const expected = await page.evaluate((prompt) => window.peartree.predict({ prompt }), ids);
  assert.deepEqual((await predictions(page)).map(({ id }) => id), expected.top.map(({ id }) => id));
  await page.locator(".candidates button").first().click();
  await settled(page);
  assert.equal(await box.inputValue(), `${ids.join(", ")} #${expected.top[0].id}`);
  await backToDemo();
  await prompt(page, "I climbed up the pear tree and picked");
});

test("loads a folder of this site, refuses any other address", async () => {
  const address = page.getByLabel("Or a folder on this site");
  await address.fill("https://example.com/gpt2/");
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await failure().filter({ hasText: "is not on this site" }).waitFor();
  await address.fill("./demo");
  await page.keyboard.press("Enter");
  await page.locator(".model-line", { hasText: "./demo" }).waitFor();
  await settled(page);
  assert.equal(await failure().count(), 0);
  await backToDemo();
});

test("says what is wrong with a model's files; the model before goes on working", async () => {
  const weights = files["model.safetensors"];
  const headerLength = Number(weights.readBigUInt64LE(0));
  const header = JSON.parse(weights.subarray(8, 8 + headerLength));
  const [name] = Object.keys(header).filter((key) => key !== "__metadata__");
  const withHeader = (change) => {
    const changed = JSON.parse(JSON.stringify(header));
    change(changed);
    const json = Buffer.from(JSON.stringify(changed));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    return Buffer.concat([length, json, weights.subarray(8 + headerLength)]);
  };
  const wrongLength = Buffer.from(weights);
  wrongLength.writeBigUInt64LE(2n ** 60n);
  const withNaN = Buffer.from(weights);
  withNaN.fill(0xff, 8 + headerLength, 8 + headerLength + 64);
  const config = JSON.parse(files["config.json"]);
  for (const [what, changed, message] of [
    ["cut short", { "model.safetensors": weights.subarray(0, weights.length - 1000) }, /model\.safetensors is cut short/],
    ["header length wrong", { "model.safetensors": wrongLength }, /model\.safetensors/],
    ["NaN weights", { "model.safetensors": withNaN }, /model\.safetensors holds NaN/],
    ["a tensor missing", { "model.safetensors": withHeader((h) => { h.other = h[name]; delete h[name]; }) }, /lacks the tensor/],
    ["a shape wrong", { "config.json": Buffer.from(JSON.stringify({ ...config, n_positions: config.n_positions + 1, n_ctx: config.n_ctx + 1 })) }, /in the shape/],
    ["no JSON", { "config.json": Buffer.from("{") }, /config\.json can't be read/],
    ["no tokenizer", { "tokenizer.json": Buffer.from("{}") }, /tokenizer\.json can't be used/],
  ]) {
    await pick({ ...files, ...changed });
    await failure().filter({ hasText: message }).waitFor({ timeout: 10_000 }).catch(async () => {
      assert.fail(`${what}: the page says ${await failure().allTextContents()}`);
    });
    await page.getByText("The model loaded before (demo) goes on working.").waitFor();
    await prompt(page, `I climbed up the pear tree and picked (${what})`);
    assert.equal((await predictions(page)).length, 10);
  }
  await pick({ "config.json": files["config.json"] });
  await failure().filter({ hasText: "model.safetensors" }).waitFor();
  await pick(files);
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  assert.equal(await failure().count(), 0);
});

test("has said and fetched nothing it should not", () => {
  // reading a damaged file ends where the damage is found
  visit.failed = visit.failed.filter((what) => !/^blob:.*ERR_ABORTED$/.test(what));
  allowBareFolder(visit);
  visit.assertClean();
});
