// The pair of tokens, the logit lens and the table of top tokens.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, prompt, settled, signed, visible, visitPage } from "./visit.mjs";

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

const PAIR = [" an", " a"];
const ask = (options) => page.evaluate((options) => window.peartree.lens(options), options);
const chart = () => page.getByRole("slider", { name: /Logit difference/ });
const difference = () => page.locator(".difference b").textContent().then((text) => text.replace("= ", ""));

test("says the pair's logit difference and which way it leans", async () => {
  const { own_ln } = await ask({ prompt: POST_PROMPT, tokens: PAIR });
  assert.equal(await difference(), signed(own_ln.at(-1)));
  assert.match(await page.locator(".difference span").first().textContent(), own_ln.at(-1) > 0 ? /leans to.*·an/ : /leans to.*·a/);
});

test("finds a typed token and explains a text that is none", async () => {
  const second = page.getByLabel("minus logit of");
  await second.fill(" the");
  await settled(page);
  const [the] = (await page.evaluate(() => window.peartree.predict({ prompt: " the", noBos: true }))).ids;
  assert.equal(await page.locator(".field").nth(1).locator(".chip small").textContent(), String(the));
  const { own_ln } = await ask({ prompt: POST_PROMPT, tokens: [" an", " the"] });
  assert.equal(await difference(), signed(own_ln.at(-1)));

  await second.fill(" apple tree");
  await page.locator("#pair-1-failure p").waitFor();
  assert.match(await page.locator("#pair-1-failure").textContent(), /2 tokens.*" apple".*" tree".*single token/);
  await second.fill("");
  await page.getByText("A token is needed").waitFor();
  await second.fill(`#${the}`);
  await settled(page);
  assert.equal(await difference(), signed(own_ln.at(-1)));
  await second.fill(" a");
  await settled(page);
});

test("reads every point's value, name and site, in both conventions, by keyboard", async () => {
  const { labels, final_ln, own_ln } = await ask({ prompt: POST_PROMPT, tokens: PAIR });
  await chart().focus();
  await page.keyboard.press("Home");
  for (let i = 0; i < labels.length; i++) {
    const name = i === 0 ? "embed" : `L${Math.floor((i - 1) / 2)} ${i % 2 ? "attn" : "mlp"}`;
    const said = await chart().getAttribute("aria-valuetext");
    assert.equal(said, `${name}: final scale ${signed(final_ln[i])}, own LayerNorm ${signed(own_ln[i])}`);
    const tip = await page.locator(".reading").textContent();
    for (const part of [name, labels[i], signed(final_ln[i]), signed(own_ln[i])]) assert.ok(tip.includes(part), `${tip} lacks ${part}`);
    await page.keyboard.press("ArrowRight");
  }
});

test("reads the point under the mouse", async () => {
  const { labels, final_ln } = await ask({ prompt: POST_PROMPT, tokens: PAIR });
  const dots = page.locator(".series.final circle");
  assert.equal(await dots.count(), labels.length);
  await dots.nth(3).hover({ force: true });
  const tip = await page.locator(".reading").textContent();
  assert.ok(tip.includes("L1 attn") && tip.includes(signed(final_ln[3])), tip);
});

test("hides and shows each convention", async () => {
  const lines = page.locator(".series");
  assert.equal(await lines.count(), 2);
  await page.getByRole("checkbox", { name: /final scale/ }).uncheck();
  assert.equal(await lines.count(), 1);
  assert.ok(!(await chart().getAttribute("aria-valuetext")).includes("final scale"));
  await page.getByRole("checkbox", { name: /final scale/ }).check();
  assert.equal(await lines.count(), 2);
});

test("the table's last row is the model's own prediction, in either convention", async () => {
  const { ids } = await page.evaluate((prompt) => window.peartree.predict({ prompt }), POST_PROMPT);
  const [top] = (await page.evaluate((prompt) => window.peartree.predict({ prompt, top: 1 }), POST_PROMPT)).top;
  const { labels } = await ask({ prompt: POST_PROMPT, tokens: PAIR });
  const grid = page.getByRole("grid");
  assert.equal(await grid.getAttribute("aria-rowcount"), String(labels.length + 1));
  assert.equal(await grid.getAttribute("aria-colcount"), String(ids.length + 1));
  for (const convention of ["final scale", "own LayerNorm"]) {
    await page.getByRole("radio", { name: convention }).check();
    await settled(page);
    const corner = page.locator(`#cell-${labels.length - 1}-${ids.length - 1}`);
    assert.equal(await corner.textContent(), visible(top.token));
    await corner.hover();
    const readout = await page.locator(".lens-table .readout").textContent();
    assert.ok(readout.includes(`${(top.prob * 100).toFixed(2)}`) && readout.includes(convention), readout);
  }
});

test("walks the table by keyboard and keeps the cell in sight", async () => {
  const grid = page.getByRole("grid");
  await page.mouse.move(5, 5);
  await grid.focus();
  await page.keyboard.press("Control+Home");
  assert.match(await page.locator(".lens-table .readout").textContent(), /After embed, at position 0 /);
  const cell = await page.locator("#cell-0-0").boundingBox();
  const box = await grid.boundingBox();
  assert.ok(cell.x >= box.x && cell.x + cell.width <= box.x + box.width, "the cell is out of sight");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator(".lens-table .readout").textContent(), /After L0 attn, at position 1 /);
  assert.equal(await grid.getAttribute("aria-activedescendant"), "cell-1-1");
});

test("draws a long prompt's table a window at a time", async () => {
  await prompt(page, "I climbed up the pear tree and picked a pear. ".repeat(9));
  const columns = Number(await page.getByRole("grid").getAttribute("aria-colcount")) - 1;
  assert.ok(columns > 80, `${columns} columns`);
  const drawn = await page.locator(".row.header .column-name").count();
  assert.ok(drawn < columns / 2, `${drawn} of ${columns} drawn`);
  await page.getByRole("grid").focus();
  await page.keyboard.press("Home");
  await page.locator("#cell-0-0").waitFor();
});

test("has said and fetched nothing it should not", () => visit.assertClean());
