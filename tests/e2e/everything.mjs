// Every part of the page, opened and computed: what tests of the whole page look at.
import { look, settled } from "./visit.mjs";

/** The person's device: { viewport, ... } for playwright's newContext. */
export const SCREENS = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

/** For a visit's `prepare`: `hold(page)` then keeps every further question from the worker, so that figures stay pending. */
export const canHold = (page) =>
  page.addInitScript(() => {
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (...said) {
      if (!window.__held) post.apply(this, said);
    };
  });
export const hold = (page) => page.evaluate(() => void (window.__held = true));

/** Opens the model's menu, patches, looks at a neuron, edits, writes, compares tokens, reads a corpus; unfolds what is folded. */
export async function everything(page) {
  for (const id of ["table", "prompts", "maps", "layers", "neurons"]) await look(page, id);
  await page.locator("#neurons .outliers li button").first().click();
  const card = page.locator(".neuron-card");
  await card.getByRole("button", { name: "Ablate it" }).click();
  await card.getByRole("button", { name: "Steer it" }).click();
  await look(page, "edits");
  await page.locator("#edits").getByRole("switch").last().click();
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator(".outcome .readout").filter({ hasText: "written" }).waitFor();
  await look(page, "weights");
  const set = page.locator("#weights-set");
  await set.fill(" an");
  await set.press("Enter");
  await look(page, "tokens");
  await look(page, "pairs");
  await page.locator("#pairs tbody tr").first().waitFor();
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await page.getByLabel("Per cent of the documents").fill("5");
  await page.locator("#corpus").getByRole("button", { name: "Read", exact: true }).click();
  await page.locator("#corpus .corpus-histogram rect").first().waitFor();
  await settled(page);
  await page.getByRole("button", { name: "Measure the best pairs" }).click();
  await page.locator(".agreement-correlation").waitFor();
  await page.getByText("Use another model").click();
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await settled(page);
}
