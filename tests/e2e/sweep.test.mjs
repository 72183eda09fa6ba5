// Sweeps that take seconds: estimates at once, exact figures as they come, a button that stops them, a page that stays
// quick meanwhile.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { largerModel } from "./larger_model.mjs";
import { POST_PROMPT, look, settled, share, visitPage, watched } from "./visit.mjs";

let site, browser, visit, page;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
  page.setDefaultTimeout(120_000); // there is much to compute, on whatever machine this is
  await page.getByText("Use another model").click();
  await page.getByLabel(/Pick the files/).setInputFiles(largerModel({ layers: 7, heads: 8, width: 128, inner: 6144 }));
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  await settled(page);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const status = () => page.locator(".neurons-plot .sweep");
const scatter = () => page.getByRole("slider", { name: /Neurons by share/ });
const startAll = async () => {
  await page.getByLabel("Layer", { exact: true }).selectOption("all");
  await page.getByRole("button", { name: /Patch all 43,008 neurons/ }).click();
};

test("shows estimates first, says that they are, and counts the exact figures", async () => {
  await look(page, "neurons");
  await startAll();
  await status().filter({ hasText: /^[\d,]+ of 43,008 exact, the others estimates/ }).waitFor();
  await scatter().focus();
  await page.keyboard.press("End");
  assert.match(await scatter().getAttribute("aria-valuetext"), /^L6 N6143: brings back about /);
});

test("stops when told to, keeps what came, and goes on when told to", async (t) => {
  await page.getByRole("button", { name: "Stop", exact: true }).first().click();
  await status().filter({ hasText: /^Stopped: [\d,]+ of 43,008 exact/ }).waitFor();
  const said = await status().textContent();
  await page.waitForTimeout(400);
  assert.equal(await status().textContent(), said, "it went on");
  // the worker is free at once
  const took = await page.evaluate(async () => {
    const start = performance.now();
    await window.peartree.predict({ prompt: "I" });
    return performance.now() - start;
  });
  t.diagnostic(`the worker was free after ${took.toFixed(0)} ms`);
  await page.getByRole("button", { name: "Go on" }).click();
  await status().filter({ hasText: /^[\d,]+ of 43,008 exact/ }).waitFor();
});

test("typing cancels it, and is answered before it could have ended", async (t) => {
  await status().filter({ hasText: /^[1-9][\d,]* of 43,008 exact/ }).waitFor();
  const start = Date.now();
  await page.getByLabel("Prompt", { exact: true }).fill(`Then ${POST_PROMPT}`);
  await page.waitForFunction(() => !document.querySelector('.predictions[aria-busy="true"], .predictions .stale'));
  const took = Date.now() - start;
  t.diagnostic(`the prediction took ${took} ms`);
  await page.getByRole("button", { name: /Patch all/ }).waitFor();
});

test("an edit is answered while a layer's sweep waits for it", async () => {
  await page.getByLabel("Layer", { exact: true }).selectOption("0");
  await page.getByLabel("Add an edit").fill("1.mlp=*0");
  await page.keyboard.press("Enter");
  await page.locator(".outcome-side").first().waitFor();
  await page.getByRole("button", { name: "Remove L1 MLP" }).click();
});

test("ends with the exact figures of window.peartree", async () => {
  await page.getByLabel("Prompt", { exact: true }).fill(POST_PROMPT);
  await look(page, "neurons");
  await page.getByLabel("Layer", { exact: true }).selectOption("4");
  await settled(page);
  assert.equal(await status().textContent(), "Exact.");
  const { values, direct_share } = await page.evaluate(
    (pair) => window.peartree.neurons({ ...pair, layer: 4 }),
    { clean: POST_PROMPT, corrupted: POST_PROMPT.replace("apple", "lemon"), tokens: [" an", " a"] },
  );
  await scatter().focus();
  await page.keyboard.press("Home");
  assert.equal(await scatter().getAttribute("aria-valuetext"), `L4 N0: brings back ${share(values[0])}, directly ${share(direct_share[0])}`);
});

test("draws GPT-2 small's number of neurons while they come", async (t) => {
  await page.getByLabel(/Pick the files/).setInputFiles(largerModel({ layers: 12, heads: 4, width: 64, inner: 3072 }));
  await page.locator(".model-line", { hasText: "12 layers" }).waitFor();
  await settled(page);
  await look(page, "neurons");
  await watched(t, visit, async () => {
    await page.getByLabel("Layer", { exact: true }).selectOption("all");
    await page.getByRole("button", { name: /Patch all 36,864 neurons/ }).click();
    await status().filter({ hasText: /^[1-9][\d,]* of 36,864 exact/ }).waitFor();
    const box = await scatter().boundingBox();
    for (let i = 0; i < 20; i++) await page.mouse.move(box.x + 60 + 30 * i, box.y + 150 + 5 * (i % 3));
    await page.getByRole("button", { name: "Zoom in" }).click();
    for (const order of ["by effect", "total against direct effect", "by number"]) {
      await page.getByRole("radio", { name: order }).check();
      await page.waitForTimeout(300);
    }
    await scatter().focus();
    for (const key of ["Home", "ArrowRight", "End", "ArrowUp"]) await page.keyboard.press(key);
    await page.getByRole("button", { name: "Stop", exact: true }).first().click();
    await status().filter({ hasText: /^Stopped/ }).waitFor();
  });
});

test("has said and fetched nothing it should not", () => visit.assertClean());
