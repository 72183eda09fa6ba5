// The prompt, its tokens and what comes next, driven as a person drives them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, chips, predictions, prompt, settled, visible, visitPage, written } from "./visit.mjs";

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

const ask = (options) => page.evaluate((options) => window.peartree.predict(options), options);

test("opens with the post's prompt and its predictions", async () => {
  assert.equal(await page.getByLabel("Prompt", { exact: true }).inputValue(), POST_PROMPT);
  const expected = await ask({ prompt: POST_PROMPT, top: 10 });
  const shown = await predictions(page);
  assert.deepEqual(shown.map(({ id }) => id), expected.top.map(({ id }) => id));
  assert.deepEqual(shown.map(({ token }) => token), expected.top.map(({ token }) => visible(token)));
  assert.deepEqual(shown.map(({ logit }) => logit), expected.top.map(({ logit }) => written(logit)));
  for (const [i, { probability }] of shown.entries()) {
    const percent = expected.top[i].prob * 100;
    assert.equal(probability, percent < 0.005 ? "<\u202f0.01\u202f%" : `${percent.toFixed(2)}\u202f%`);
  }
});

test("shows each token with its id, leading spaces visible", async () => {
  const expected = await ask({ prompt: POST_PROMPT });
  assert.deepEqual(await chips(page), expected.ids.map((id, i) => `${visible(expected.tokens[i])} ${id}`));
  assert.ok((await chips(page)).some((chip) => chip.startsWith("·apple ")));
});

test("tells a token's log-probability under the mouse and under the arrow keys", async () => {
  const { logprobs, ids } = await ask({ prompt: POST_PROMPT });
  const readout = page.locator(".tokens .readout");
  await page.locator(".chips .chip").nth(5).hover();
  assert.match(await readout.textContent(), new RegExp(`position 5, id ${ids[5]}: log-probability ${written(logprobs[4])} `));
  await page.mouse.move(5, 5);
  assert.match(await readout.textContent(), /tokens/);
  await page.getByRole("listbox", { name: /tokens/ }).focus();
  await page.keyboard.press("ArrowLeft");
  const before = ids.length - 2;
  assert.match(await readout.textContent(), new RegExp(`position ${before}, .*${written(logprobs[before - 1])} `));
  await page.keyboard.press("Home");
  assert.match(await readout.textContent(), /nothing stands before it/);
});

test("follows the typing", async () => {
  const box = page.getByLabel("Prompt", { exact: true });
  await box.focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" a pear. I", { delay: 15 });
  await settled(page);
  const expected = await ask({ prompt: `${POST_PROMPT} a pear. I` });
  assert.deepEqual((await predictions(page)).map(({ id }) => id), expected.top.map(({ id }) => id));
  assert.equal((await chips(page)).length, expected.ids.length);
});

test("typing and deleting at once ends where it began", async () => {
  await prompt(page, POST_PROMPT);
  const before = await predictions(page);
  await page.getByLabel("Prompt", { exact: true }).focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("x");
  await page.keyboard.press("Backspace");
  await settled(page);
  assert.deepEqual(await predictions(page), before);
});

test("writes a clicked prediction into the prompt, by mouse and by keyboard", async () => {
  await prompt(page, POST_PROMPT);
  const [first] = (await ask({ prompt: POST_PROMPT })).top;
  await page.locator(".candidates button").first().click();
  await settled(page);
  const box = page.getByLabel("Prompt", { exact: true });
  assert.equal(await box.inputValue(), POST_PROMPT + first.token);
  const [next] = (await ask({ prompt: POST_PROMPT + first.token })).top;
  await page.locator(".candidates button").first().focus();
  await page.keyboard.press("Enter");
  await settled(page);
  assert.equal(await box.inputValue(), POST_PROMPT + first.token + next.token);
});

test("leaves the first token out when told to", async () => {
  await prompt(page, POST_PROMPT);
  const toggle = page.getByRole("checkbox", { name: /begins with/ });
  await toggle.uncheck();
  await settled(page);
  const expected = await ask({ prompt: POST_PROMPT, noBos: true });
  assert.deepEqual((await predictions(page)).map(({ logit }) => logit), expected.top.map(({ logit }) => written(logit)));
  assert.equal((await chips(page)).length, expected.ids.length);
  await toggle.check();
  await settled(page);
  assert.match((await chips(page))[0], /<\|endoftext\|>/);
});

test("has said and fetched nothing it should not", () => visit.assertClean());

test("longest task on the page's thread, told but not judged here", async (t) => {
  await visit.resetLongTasks();
  await page.getByLabel("Prompt", { exact: true }).focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" an apple. I climbed up the pear tree and picked", { delay: 20 });
  await settled(page);
  t.diagnostic(`tasks over 50 ms while typing: ${JSON.stringify(await visit.longTasks())}`);
});
