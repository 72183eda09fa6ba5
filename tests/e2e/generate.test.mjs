// Writing on from the prompt: streamed, repeatable, stoppable.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, prompt, settled, visitPage } from "./visit.mjs";

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

const status = () => page.locator(".generation").getByRole("status").last();
const written = () => page.locator(".written ins").textContent();
async function generate(settings) {
  for (const [label, value] of Object.entries(settings)) await page.getByLabel(label, { exact: true }).fill(String(value));
  await page.getByRole("button", { name: "Generate" }).click();
}

test("writes what the model writes with the same options", async () => {
  const expected = await page.evaluate(
    (prompt) => window.peartree.generate({ prompt, max: 12, temperature: 0.8, topK: 40, topP: 0.9, seed: 7 }),
    POST_PROMPT,
  );
  await generate({ "Max tokens": 12, Temperature: 0.8, "Top-k": 40, "Top-p": 0.9, Seed: 7 });
  await page.getByText("12 tokens written. Drawn at temperature 0.8, top-k 40, top-p 0.9, seed 7.").waitFor();
  assert.equal(await written(), expected.text);
  assert.equal(await page.locator(".written .after").textContent(), POST_PROMPT);
});

test("appends what it wrote to the prompt", async () => {
  const text = await written();
  await page.getByRole("button", { name: "Append to prompt" }).click();
  await settled(page);
  assert.equal(await page.getByLabel("Prompt", { exact: true }).inputValue(), POST_PROMPT + text);
  assert.equal(await page.locator(".written").count(), 0);
});

test("streams, and stops when told, keeping what came", async () => {
  await prompt(page, POST_PROMPT);
  // slow enough to be stopped: a key-value cache makes the demo model write hundreds of tokens a second
  await page.evaluate(() => {
    const seen = (window.__lengths = []);
    new MutationObserver(() => {
      const text = document.querySelector(".written ins")?.textContent.length ?? 0;
      if (seen.at(-1) !== text) seen.push(text);
      if (seen.length === 4) document.querySelector(".buttons button:last-child").click();
    }).observe(document.querySelector(".generation"), { subtree: true, childList: true, characterData: true });
  });
  await generate({ "Max tokens": 90, Temperature: 1, "Top-k": "", "Top-p": "" });
  await page.getByText(/Stopped after \d+ tokens?\.|90 tokens written\./).waitFor();
  const lengths = await page.evaluate(() => window.__lengths);
  assert.ok(lengths.length >= 3, `the text came at once: ${lengths}`);
  assert.ok((await written()).length > 0);
  assert.equal(await page.getByRole("button", { name: "Stop" }).isDisabled(), true);
});

test("a text says how it was written, whatever the boxes say by then", async () => {
  await generate({ Temperature: "warm", Seed: 8 });
  await page.locator("#generate-failure p").filter({ hasText: "temperature must be a number" }).waitFor();
  assert.match(await page.locator(".generation .outcome .readout").textContent(), / Drawn at temperature 1, seed 7\.$/);
  await generate({ Temperature: 0, "Max tokens": 2 });
  await page.getByText("2 tokens written. The likeliest token each time.").waitFor();
});

test("says what is wrong with a setting, beside it, and goes on working", async () => {
  for (const [settings, message] of [
    [{ Temperature: "warm" }, /temperature must be a number; "warm" is none/],
    [{ Temperature: -1 }, /temperature must be a number from 0/],
    [{ Temperature: 0.8, "Top-p": 3 }, /top-p must be above 0 and at most 1/],
    [{ "Top-p": "", "Top-k": 0 }, /top-k must be at least 1/],
    [{ "Top-k": "", "Max tokens": 5000 }, /max asks for 5000 tokens.*has room for/],
    [{ "Max tokens": 0 }, /max must be at least 1/],
  ]) {
    await generate(settings);
    await page.locator("#generate-failure p").filter({ hasText: message }).waitFor();
  }
  await generate({ "Max tokens": 3 });
  await page.getByText("3 tokens written.").waitFor();
  assert.equal(await page.locator("#generate-failure p").count(), 0);
});

test("can be driven by keyboard alone", async () => {
  await page.getByLabel("Seed", { exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("3 tokens written.").waitFor();
  assert.ok((await status().textContent()).includes("3 tokens"));
});

test("has said and fetched nothing it should not", () => visit.assertClean());
