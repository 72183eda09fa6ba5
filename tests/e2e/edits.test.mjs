// The edit bar: edits typed, switched, slid and removed, and the predictions and the text that follow them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, look, settled, signed, visible, visitLink, visitPage, watched } from "./visit.mjs";

let site, browser, visit, page;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
  await look(page, "edits");
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const CORRUPTED = POST_PROMPT.replace("apple", "lemon");
const TOKENS = [" an", " a"];
const ask = (name, options) => page.evaluate(([name, options]) => window.peartree[name](options), [name, options]);
const codes = () => page.locator(".edit > code").allTextContents();
const failure = () => page.locator("#edit-failure p");
async function add(text) {
  await page.getByLabel("Add an edit").fill(text);
  await page.keyboard.press("Enter");
  await settled(page);
}
/** Both sides of the bar's outcome, as they stand on the screen. */
const outcomes = () =>
  page.locator(".outcome-side").evaluateAll((sides) =>
    sides.map((side) => ({
      diff: side.querySelector(".total b").textContent,
      top: [...side.querySelectorAll("li .tok")].map((token) => token.textContent),
      text: side.querySelector("ins")?.textContent,
    })),
  );
/** What the outcome must be, from window.peartree. */
async function expected(prompt, set) {
  const sources = { clean: POST_PROMPT, corrupted: CORRUPTED };
  const { before, after } = await ask("edit", { prompt, ...sources, tokens: TOKENS, set, top: 5 });
  const [plain, edited] = [await ask("generate", { prompt, max: 14 }), await ask("generate", { prompt, max: 14, set, ...sources })];
  const side = ({ diff, top }, { text }) => ({ diff: signed(diff), top: top.map(({ token }) => visible(token)), text });
  return [side(before, plain), side(after, edited)];
}

test("begins without edits", async () => {
  await page.getByText("No edits yet").waitFor();
  assert.equal((await outcomes()).length, 0);
});

test("shows what an edit that is typed does", async () => {
  await add("1.mlp=*0");
  assert.deepEqual(await codes(), ["1.mlp=*0@all"]);
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["1.mlp=*0@all"]));
});

test("makes several edits at once, and follows their switches", async () => {
  await add("2.h1=zero@last");
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["1.mlp=*0@all", "2.h1=0@last"]));
  await page.getByRole("switch", { name: "L1 MLP on" }).uncheck();
  await settled(page);
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["2.h1=0@last"]));
  assert.deepEqual(await codes(), ["1.mlp=*0@all", "2.h1=0@last"]);
});

test("follows a slider, and a change of kind", async () => {
  await page.getByRole("switch", { name: "L1 MLP on" }).check();
  await page.getByRole("slider", { name: "L1 MLP: scaled" }).fill("1.5");
  await settled(page);
  assert.deepEqual(await codes(), ["1.mlp=*1.5@all", "2.h1=0@last"]);
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["1.mlp=*1.5@all", "2.h1=0@last"]));
  await page.getByLabel("What is done to L1 MLP").selectOption("from corrupted");
  await settled(page);
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["1.mlp=corrupted@all", "2.h1=0@last"]));
});

test("ablates to a mean over the examples' prompts", async () => {
  await page.getByLabel("What is done to L1 MLP").selectOption("at its mean");
  await settled(page);
  assert.deepEqual(await codes(), ["1.mlp=mean@all", "2.h1=0@last"]);
  assert.equal(await failure().count(), 0);
  await page.getByText("over the examples’ prompts").waitFor();
  await page.getByLabel("What is done to L1 MLP").selectOption("from corrupted");
  await settled(page);
});

test("edits the corrupted run too", async () => {
  await page.getByRole("radio", { name: "in the corrupted prompt" }).check();
  await settled(page);
  assert.deepEqual(await codes(), ["1.mlp=corrupted@all", "2.h1=0@last"]);
  assert.deepEqual(await outcomes(), await expected(CORRUPTED, ["1.mlp=corrupted@all", "2.h1=0@last"]));
  await page.getByLabel("What is done to L1 MLP").selectOption("from clean");
  await settled(page);
  assert.deepEqual(await outcomes(), await expected(CORRUPTED, ["1.mlp=clean@all", "2.h1=0@last"]));
  await page.getByRole("radio", { name: "in the clean prompt" }).check();
  await settled(page);
});

test("removes an edit", async () => {
  await page.getByRole("button", { name: "Remove L1 MLP" }).click();
  await settled(page);
  assert.deepEqual(await codes(), ["2.h1=0@last"]);
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["2.h1=0@last"]));
});

test("an edit typed again takes the other's place", async () => {
  await add("2.h1=0@last");
  assert.deepEqual(await codes(), ["2.h1=0@last"]);
});

test("explains an edit that can't be read or made, and goes on working", async () => {
  for (const [text, message] of [
    ["rubbish", /can't be read.*Write LAYER:NEURON/],
    ["1:2=NaN", /can't be read/],
    ["1:2=0@x", /can't be read/],
  ]) {
    await page.getByLabel("Add an edit").fill(text);
    await page.keyboard.press("Enter");
    await failure().filter({ hasText: message }).waitFor();
    assert.equal(await page.getByLabel("Add an edit").inputValue(), text, "what was typed stays");
  }
  for (const [text, message] of [
    ["99:0=0", /names layer 99, but this model's layers are 0 to/],
    ["0:99999=0", /names neuron 99999/],
    ["0:0=0@500", /names position 500/],
  ]) {
    await add(text);
    await page.locator(".edit.unusable .notice p").filter({ hasText: message }).waitFor();
    assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["2.h1=0@last"]), "the other edits go on");
    await page.locator(".edit .remove").last().click();
    await settled(page);
  }
  await add("0.h1=clean@99");
  await page.locator(".edit.unusable .notice p").filter({ hasText: /position 99/ }).waitFor();
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["2.h1=0@last"]));
  await page.locator(".edit .remove").last().click();
  await settled(page);
  assert.equal(await failure().count(), 0);
  assert.deepEqual(await outcomes(), await expected(POST_PROMPT, ["2.h1=0@last"]));
});

test("writes on under the edits", async () => {
  await page.getByText("under the edit above").waitFor();
  const expected = await ask("generate", { prompt: POST_PROMPT, max: 9, temperature: 0, set: ["2.h1=0@last"] });
  for (const [label, value] of [["Max tokens", "9"], ["Temperature", "0"]]) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: "Generate" }).click();
  await page.getByText("9 tokens written.").waitFor();
  assert.equal(await page.locator(".written ins").textContent(), expected.text);
});

test("follows the prompt", async () => {
  await page.getByLabel("Prompt", { exact: true }).fill("The key near the tables");
  await settled(page);
  await look(page, "edits");
  assert.deepEqual(await outcomes(), await expected("The key near the tables", ["2.h1=0@last"]));
});

test("a slider in motion ends where it was left", async (t) => {
  await add("1:3=*0");
  await watched(t, visit, async () => {
    const slider = page.getByRole("slider", { name: "L1 N3: scaled" });
    for (let value = -2; value <= 3; value += 0.25) await slider.fill(String(value));
    await settled(page);
  });
  assert.deepEqual(await codes(), ["2.h1=0@last", "1:3=*3@all"]);
});

test("has said and fetched nothing it should not", () => visit.assertClean());

test("a list says what the state is after Back, not what was chosen last", async () => {
  const visit = await visitLink(browser, site, "v1&e=2.mlp=*2@all");
  const { page } = visit;
  await look(page, "edits");
  const kind = page.getByLabel("What is done to L2 MLP");
  const chosen = () => kind.evaluate((list) => list.selectedOptions[0].textContent.trim());
  assert.equal(await chosen(), "scaled");
  // a browser never again takes away by itself what a person has chosen once
  for (const [text, code] of [["from corrupted", "corrupted"], ["added to", "%2B3"]]) {
    await kind.selectOption(text);
    await page.waitForFunction((code) => location.hash.includes(`2.mlp=${code}`), code);
    assert.equal(await chosen(), text);
    await settled(page);
  }
  await page.goBack();
  await page.waitForFunction(() => location.hash.includes("2.mlp=corrupted"));
  await settled(page);
  assert.equal(await chosen(), "from corrupted");
  visit.assertClean();
  await visit.close();
});
