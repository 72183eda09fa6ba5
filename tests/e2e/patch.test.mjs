// Two prompts, the heat maps between them, and total beside direct effect by layer: each held to window.peartree's figures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, look, prompt, settled, share, signed, visible, visitPage, watched, written } from "./visit.mjs";

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

const CLEAN = POST_PROMPT;
const CORRUPTED = POST_PROMPT.replace("apple", "lemon");
const TOKENS = [" an", " a"];
const ask = (name, options) => page.evaluate(([name, options]) => window.peartree[name](options), [name, options]);
const corrupted = () => page.getByLabel("Corrupted prompt", { exact: true });
const map = (site) => page.locator(`#map-${site} svg[role=slider]`);
const spoken = (site) => map(site).getAttribute("aria-valuetext");
async function fillCorrupted(text) {
  await corrupted().fill(text);
  await settled(page);
}

test("shows both prompts' tokens, marks where they differ, and says both logit differences", async () => {
  await look(page, "prompts");
  assert.equal(await corrupted().inputValue(), CORRUPTED);
  const sides = page.locator(".side");
  assert.deepEqual(await sides.locator("mark").allTextContents(), ["·apple", "·lemon"]);
  for (const [i, text] of [CLEAN, CORRUPTED].entries()) {
    const lens = await ask("lens", { prompt: text, tokens: TOKENS });
    assert.equal(await sides.nth(i).locator(".total b").textContent(), signed(lens.own_ln.at(-1)));
    const { top } = await ask("predict", { prompt: text, top: 3 });
    const logits = await Promise.all(TOKENS.map(async (token) => (await ask("predict", { prompt: text, top: 2000 })).top.find((t) => t.token === token).logit));
    assert.equal(await sides.nth(i).locator(".parts").textContent(), logits.map(written).join(" − "));
    assert.deepEqual(await sides.nth(i).locator(".says li .tok").allTextContents(), top.map(({ token }) => visible(token)));
  }
});

for (const name of ["resid_pre", "attn_out", "mlp_out", "heads"]) {
  test(`reads every cell of the map ${name} by keyboard`, async () => {
    await look(page, "maps");
    const { values } = await ask("patch", { clean: CLEAN, corrupted: CORRUPTED, tokens: TOKENS, site: name });
    const { tokens } = await ask("predict", { prompt: CORRUPTED });
    await map(name).focus();
    for (let i = 0; i < values.length; i++) await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Home");
    for (let row = 0; row < values.length; row++) {
      for (let column = 0; column < values[row].length; column++) {
        const where = name === "heads" ? `head ${column}` : `position ${column} “${visible(tokens[column])}”`;
        assert.equal(await spoken(name), `Layer ${row}, ${where}: brings back ${share(values[row][column])}`);
        await page.keyboard.press("ArrowRight");
      }
      await page.keyboard.press("Home");
      await page.keyboard.press("ArrowDown");
    }
    assert.ok((await page.locator(`#map-${name} .readout`).textContent()).startsWith(`Layer ${values.length - 1}`));
  });
}

test("reads the cell under the mouse", async () => {
  const { values } = await ask("patch", { clean: CLEAN, corrupted: CORRUPTED, tokens: TOKENS, site: "resid_pre" });
  const ground = await page.locator("#map-resid_pre .ground").boundingBox();
  const [rows, columns] = [values.length, values[0].length];
  await page.mouse.move(ground.x + ((16 + 0.5) * ground.width) / columns, ground.y + (0.5 * ground.height) / rows);
  const said = await page.locator("#map-resid_pre .readout").textContent();
  assert.equal(said, `Layer 0, position 16 “·lemon”: brings back ${share(values[0][16])}`);
});

test("the direct map says what each head writes in both runs", async () => {
  const [clean, other] = await Promise.all([CLEAN, CORRUPTED].map((text) => ask("attribute", { prompt: text, tokens: TOKENS })));
  const direct = page.locator("#map-direct svg[role=slider]");
  await direct.focus();
  for (const _ of clean.heads) await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  const said = await direct.getAttribute("aria-valuetext");
  assert.equal(said, `Layer 1, head 1: writes ${signed(clean.heads[1][1])} logits in the clean run, ${signed(other.heads[1][1])} in the corrupted one`);
});

test("shows total beside direct effect, layer by layer", async () => {
  await look(page, "layers");
  const total = {};
  for (const site of ["attn_out", "mlp_out"]) {
    total[site] = (await ask("patch", { clean: CLEAN, corrupted: CORRUPTED, tokens: TOKENS, site, wholeLayer: true })).values;
  }
  const [clean, other] = await Promise.all([CLEAN, CORRUPTED].map((text) => ask("attribute", { prompt: text, tokens: TOKENS })));
  const chart = page.getByRole("slider", { name: /Total and direct effect/ });
  await chart.focus();
  await page.keyboard.press("Home");
  for (let i = 0; i < 2 * total.attn_out.length; i++) {
    const [layer, part] = [Math.floor(i / 2), i % 2 ? "mlp" : "attn"];
    const direct = (clean[part][layer] - other[part][layer]) / (clean.total - other.total);
    const said = await chart.getAttribute("aria-valuetext");
    assert.equal(said, `L${layer} ${part}: total effect ${share(total[`${part}_out`][layer])}, direct effect ${share(direct)}`);
    await page.keyboard.press("ArrowRight");
  }
  assert.equal(await page.locator(".series.total-effect .a-bar").count(), 2 * total.attn_out.length);
});

test("turns the direction round", async () => {
  await page.getByRole("radio", { name: /corrupted into clean/ }).check();
  await look(page, "maps");
  const { values } = await ask("patch", { clean: CORRUPTED, corrupted: CLEAN, tokens: TOKENS, site: "attn_out" });
  const last = [values.length - 1, values[0].length - 1];
  await map("attn_out").focus();
  for (const _ of values) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  assert.equal(await spoken("attn_out"), `Layer ${last[0]}, position ${last[1]} “·picked”: brings back ${share(values.at(-1).at(-1))}`);
  await page.getByRole("radio", { name: /clean into corrupted/ }).check();
  await settled(page);
});

test("leads from an MLP's cell to that layer's neurons", async () => {
  await look(page, "maps");
  await map("mlp_out").focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await look(page, "neurons");
  assert.equal(await page.getByLabel("Layer", { exact: true }).inputValue(), "2");
});

test("makes an edit of a head that is clicked", async () => {
  await look(page, "maps");
  const ground = await page.locator("#map-heads .ground").boundingBox();
  const { n_layer, n_head } = (await ask("info")).model.config;
  await page.mouse.click(ground.x + (1.5 * ground.width) / n_head, ground.y + (0.5 * ground.height) / n_layer);
  await look(page, "edits");
  assert.deepEqual(await page.locator(".edit > code").allTextContents(), ["0.h1=clean@all"]);
  assert.equal(await page.getByRole("radio", { name: "in the corrupted prompt" }).isChecked(), true);
  await page.getByRole("button", { name: "Remove L0 head 1" }).click();
  await page.getByRole("radio", { name: "in the clean prompt" }).check();
});

test("aligns prompts of different length, and says where there is no counterpart", async () => {
  const longer = CORRUPTED.replace("lemon", "big old lemon");
  await fillCorrupted(longer);
  await look(page, "maps");
  const { values } = await ask("patch", { clean: CLEAN, corrupted: longer, tokens: TOKENS, site: "mlp_out" });
  const without = values[0].findIndex(Number.isNaN);
  assert.ok(without > 10, `${without}`);
  assert.match(await page.locator(".lengths").textContent(), /20 and 22 tokens/);
  await map("mlp_out").focus();
  await page.keyboard.press("Home");
  for (let i = 0; i < without; i++) await page.keyboard.press("ArrowRight");
  assert.match(await spoken("mlp_out"), /has no counterpart in the other prompt/);
  await fillCorrupted(CORRUPTED);
});

test("explains prompts between which there is nothing to patch", async () => {
  await fillCorrupted(CLEAN);
  await look(page, "maps");
  await page.locator("#maps-failure p").waitFor();
  assert.ok((await page.locator("#maps-failure").textContent()).length > 30);
  await fillCorrupted("");
  await page.locator("#corrupted-failure p").filter({ hasText: "The prompt is empty" }).waitFor();
  await fillCorrupted(CORRUPTED);
  await look(page, "maps");
  assert.equal(await page.locator(".notice p").count(), 0);
});

test("every example can be answered by the demo model", async () => {
  await look(page, "prompts");
  const select = page.getByLabel("Example");
  const names = (await select.locator("option").allTextContents()).filter((name) => name !== "Your own");
  assert.ok(names.length >= 6);
  for (const name of names) {
    await select.selectOption(name);
    await settled(page);
    await look(page, "maps");
    assert.deepEqual(await page.locator(".notice p").allTextContents(), [], name);
    assert.ok((await page.locator(".examples .note").textContent()).includes("demo model"), name);
    assert.equal(await page.locator(".side mark").count() >= 2, true, name);
    assert.match(await spoken("resid_pre"), /brings back/);
  }
  await select.selectOption("an or a");
  await settled(page);
  assert.equal(await page.getByLabel("Prompt", { exact: true }).inputValue(), CLEAN);
});

test("follows the typing", async (t) => {
  await watched(t, visit, async () => {
    await prompt(page, CLEAN);
    await look(page, "maps");
    const box = page.getByLabel("Prompt", { exact: true });
    await box.focus();
    await page.keyboard.press("Control+Home");
    await page.keyboard.type("Look, ", { delay: 30 });
    await settled(page);
    await look(page, "maps");
  });
  const { values } = await ask("patch", { clean: `Look, ${CLEAN}`, corrupted: CORRUPTED, tokens: TOKENS, site: "heads" });
  await map("heads").focus();
  for (const _ of values) await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  assert.equal(await spoken("heads"), `Layer 0, head 0: brings back ${share(values[0][0])}`);
  await prompt(page, CLEAN);
});

test("has said and fetched nothing it should not", () => visit.assertClean());
