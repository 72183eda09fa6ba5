// What no model can read: each gets a message that says what and what to do, and the page goes on working.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, chips, predictions, prompt, settled, visitPage } from "./visit.mjs";

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

const box = () => page.getByLabel("Prompt", { exact: true });
const failure = () => page.locator("#prompt-failure p");
/** Said once, beside the prompt, and gone with the next good prompt. */
async function recovers() {
  assert.equal(await page.locator(".notice p").count(), 1, "the same failure is said more than once");
  assert.equal(await box().getAttribute("aria-invalid"), "true");
  await prompt(page, POST_PROMPT);
  assert.equal(await page.locator(".notice p").count(), 0);
  assert.equal((await predictions(page)).length, 10);
  assert.equal((await chips(page)).length, (await page.evaluate((p) => window.peartree.predict({ prompt: p }), POST_PROMPT)).ids.length);
}

test("an empty prompt", async () => {
  await prompt(page, "");
  assert.match(await failure().textContent(), /The prompt is empty\. Type some text/);
  await recovers();
});

test("2,000 tokens: nothing is cut", async () => {
  await prompt(page, " a".repeat(2000));
  const n_ctx = (await page.evaluate(() => window.peartree.info())).model.config.n_ctx;
  assert.match(await failure().textContent(), new RegExp(`2001 tokens long and this model reads at most ${n_ctx}.*nothing was cut`));
  assert.equal((await box().inputValue()).length, 4000);
  await recovers();
});

test("half a surrogate pair, in the prompt and in the pair", async () => {
  const half = (element) => {
    element.value += "\ud83c";
    element.dispatchEvent(new InputEvent("input", { bubbles: true }));
  };
  await box().evaluate(half);
  await failure().waitFor();
  assert.match(await failure().textContent(), /half of a surrogate pair/);
  assert.equal(await box().evaluate((element) => element.value.at(-1)), "\ud83c", "the box must keep what was typed");
  // what is asked meanwhile comes to rest too
  await page.getByRole("radio", { name: "final scale" }).check();
  await page.getByLabel("minus logit of").fill(" the");
  await settled(page);
  await page.getByRole("radio", { name: "own LayerNorm" }).check();
  await page.getByLabel("minus logit of").fill(" a");
  await settled(page);
  await recovers();
  await page.getByLabel("minus logit of").evaluate(half);
  await page.locator("#pair-1-failure p").filter({ hasText: "surrogate" }).waitFor();
  await page.getByLabel("minus logit of").fill(" a");
  await settled(page);
  assert.equal(await page.locator(".notice p").count(), 0);
});

test("emoji, right-to-left text, combining marks and control characters are ordinary text", async () => {
  for (const text of ["I picked a 🍐👩‍👩‍👧", "קטפתי אגס מן העץ", "طلعت فوق الشجرة", "e\u0301 u\u0308", "a\u0000b\u0007\u202ec", " ", "\n\n\t", "<b>&amp;</b>"]) {
    await prompt(page, text);
    assert.equal(await failure().count(), 0, JSON.stringify(text));
    assert.equal((await predictions(page)).length, 10);
    assert.equal(await box().inputValue(), text.replaceAll("\r\n", "\n"));
  }
  await prompt(page, POST_PROMPT);
});

test("many changes at once end at the last", async () => {
  for (const text of ["", "I", " a".repeat(2000), "", "I climbed"]) await box().fill(text);
  await settled(page);
  assert.equal(await failure().count(), 0);
  const expected = await page.evaluate(() => window.peartree.predict({ prompt: "I climbed" }));
  assert.deepEqual((await predictions(page)).map(({ id }) => id), expected.top.map(({ id }) => id));
});

test("has said and fetched nothing it should not", () => visit.assertClean());
