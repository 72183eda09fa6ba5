// The scatter of single neurons: its figures, its orders, its keys, and what one neuron's card says.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, look, settled, share, signed, visitPage, watched } from "./visit.mjs";

let site, browser, visit, page;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
  await look(page, "neurons");
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const PAIR = { clean: POST_PROMPT, corrupted: POST_PROMPT.replace("apple", "lemon"), tokens: [" an", " a"] };
const ask = (name, options) => page.evaluate(([name, options]) => window.peartree[name](options), [name, options]);
const layer = () => page.getByLabel("Layer", { exact: true });
const scatter = () => page.getByRole("slider", { name: /Neurons by share/ });
const listed = () => page.locator("#neurons .outliers li button").evaluateAll((rows) => rows.map((row) => [...row.children].map((part) => part.textContent)));
const strongest = (values) => values.map((value, i) => [value, i]).sort(([a], [b]) => Math.abs(b) - Math.abs(a));
/** Whether anything has been painted on the canvas. */
const painted = () =>
  page.locator(".scatter canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((_, i) => i % 4 === 3 && data[i] > 0).length;
  });

test("begins with the MLP that does most, the first aside", async () => {
  const { values } = await ask("patch", { ...PAIR, site: "mlp_out", wholeLayer: true });
  const most = values.indexOf(Math.max(...values.slice(1)));
  assert.equal(await layer().inputValue(), String(most));
});

test("lists the strongest neurons of each layer with total and direct effect", async () => {
  const { n_layer } = (await ask("info")).model.config;
  for (let l = 0; l < n_layer; l++) {
    await layer().selectOption(String(l));
    await settled(page);
    const { values, direct_share } = await ask("neurons", { ...PAIR, layer: l });
    const expected = strongest(values).slice(0, 8).map(([value, i]) => [`L${l} N${i}`, share(value), share(direct_share[i])]);
    assert.deepEqual(await listed(), expected);
    assert.equal(await page.locator(".neurons-plot .sweep").textContent(), "Exact.");
    assert.ok((await painted()) > 500, "the canvas is empty");
  }
});

test("walks the points by keyboard: along the axis, and from the largest down", async () => {
  await layer().selectOption("1");
  await settled(page);
  const { values, direct_share } = await ask("neurons", { ...PAIR, layer: 1 });
  const says = (i) => `L1 N${i}: brings back ${share(values[i])}, directly ${share(direct_share[i])}`;
  await scatter().focus();
  await page.keyboard.press("Home");
  assert.equal(await scatter().getAttribute("aria-valuetext"), says(0));
  await page.keyboard.press("ArrowRight");
  assert.equal(await scatter().getAttribute("aria-valuetext"), says(1));
  await page.keyboard.press("End");
  assert.equal(await scatter().getAttribute("aria-valuetext"), says(values.length - 1));
  for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowUp");
  const order = strongest(values).map(([, i]) => i);
  const at = Number((await scatter().getAttribute("aria-valuetext")).match(/N(\d+)/)[1]);
  await page.keyboard.press("ArrowUp");
  assert.equal(await scatter().getAttribute("aria-valuetext"), says(order[Math.max(order.indexOf(at) - 1, 0)]));
  assert.equal(await page.locator(".scatter .reading").textContent(), await scatter().getAttribute("aria-valuetext"));
});

test("orders them by effect, and against the direct effect", async () => {
  const { values, direct_share } = await ask("neurons", { ...PAIR, layer: 1 });
  await page.getByRole("radio", { name: "by effect" }).check();
  await scatter().focus();
  await page.keyboard.press("Home");
  const best = values.indexOf(Math.max(...values));
  assert.ok((await scatter().getAttribute("aria-valuetext")).startsWith(`L1 N${best}:`));
  await page.getByRole("radio", { name: "total against direct effect" }).check();
  await scatter().focus();
  await page.keyboard.press("End");
  const farthest = direct_share.indexOf(Math.max(...direct_share));
  assert.ok((await scatter().getAttribute("aria-valuetext")).startsWith(`L1 N${farthest}:`));
  await page.getByRole("radio", { name: "by number" }).check();
});

test("zooms by buttons, keys and a dragged rectangle, and back", async () => {
  const whole = page.getByRole("button", { name: "Whole" });
  const marks = () => page.locator(".scatter .mark").allTextContents();
  const before = await marks();
  assert.equal(await whole.isDisabled(), true);
  await page.getByRole("button", { name: "Zoom in" }).click();
  assert.notDeepEqual(await marks(), before);
  await whole.click();
  assert.deepEqual(await marks(), before);
  const box = await page.locator(".scatter-plot").boundingBox();
  await page.mouse.move(box.x + 200, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + 160, { steps: 4 });
  assert.equal(await page.locator(".scatter .drag").count(), 1);
  await page.mouse.up();
  assert.notDeepEqual(await marks(), before);
  await scatter().focus();
  await page.keyboard.press("0");
  assert.deepEqual(await marks(), before);
});

test("looks at a neuron that is clicked, with all its figures", async () => {
  const { values, estimate, direct, direct_share } = await ask("neurons", { ...PAIR, layer: 1 });
  const [[, best]] = strongest(values);
  await page.locator("#neurons .outliers li button").first().click();
  const card = page.getByRole("region", { name: `Neuron ${best} of layer 1` });
  assert.deepEqual(await card.locator("dd b").allTextContents(), [
    share(values[best]), share(estimate[best]), share(direct_share[best]), `${signed(direct[best])}\u202flogits`,
  ]);
  assert.equal(await page.locator(".scatter .selected").count(), 1);
  // the same by the pointer: the name stands beside the point
  await card.getByRole("button", { name: "Close" }).click();
  const label = await page.locator(".scatter .outlier", { hasText: `L1 N${best}` }).boundingBox();
  const isLeft = await page.locator(".scatter .outlier", { hasText: `L1 N${best}` }).evaluate((text) => text.classList.contains("leftwards"));
  await page.mouse.click(isLeft ? label.x + label.width + 8 : label.x - 8, label.y + label.height / 2);
  await card.waitFor();
});

test("puts the neuron into the edits", async () => {
  const { values } = await ask("neurons", { ...PAIR, layer: 1 });
  const [[, best]] = strongest(values);
  await page.getByRole("button", { name: "Patch it" }).click();
  await look(page, "edits");
  assert.deepEqual(await page.locator(".edit > code").allTextContents(), [`1:${best}=clean@all`]);
  const { after } = await ask("edit", { prompt: PAIR.corrupted, clean: PAIR.clean, tokens: PAIR.tokens, set: [`1:${best}=clean@all`] });
  assert.equal(await page.locator(".outcome-side .total b").nth(1).textContent(), signed(after.diff));
  const recovered = (after.diff - (await ask("neurons", { ...PAIR, layer: 1 })).corrupted);
  const { clean, corrupted } = await ask("neurons", { ...PAIR, layer: 1 });
  assert.ok(Math.abs(recovered / (clean - corrupted) - values[best]) < 1e-4, "the edit does what the patch did");
  await look(page, "neurons");
});

test("sweeps every layer only when told to", async () => {
  await layer().selectOption("all");
  await page.waitForTimeout(300);
  assert.equal(await page.locator(".neurons-body.stale").count(), 1, "a sweep began by itself");
  const { n_layer, d_mlp } = (await ask("info")).model.config;
  const button = page.getByRole("button", { name: /Patch all [\d,]+ neurons/ });
  assert.ok((await button.textContent()).includes((n_layer * d_mlp).toLocaleString("en")));
  await button.click();
  await settled(page);
  const { values } = await ask("neurons", { ...PAIR, layer: "all" });
  const flat = values.flatMap((row, l) => row.map((value, i) => [value, `L${l} N${i}`])).sort(([a], [b]) => Math.abs(b) - Math.abs(a));
  assert.deepEqual((await listed()).map(([name, total]) => [name, total]), flat.slice(0, 8).map(([value, name]) => [name, share(value)]));
});

test("goes through every layer and order", async (t) => {
  await watched(t, visit, async () => {
    for (const l of ["0", "1", "2", "3"]) {
      await layer().selectOption(l);
      await settled(page);
    }
    for (const order of ["by effect", "total against direct effect", "by number"]) await page.getByRole("radio", { name: order }).check();
  });
  const { values } = await ask("neurons", { ...PAIR, layer: 3 });
  const [[best, index]] = values.map((value, i) => [value, i]).sort(([a], [b]) => Math.abs(b) - Math.abs(a));
  assert.deepEqual((await listed())[0].slice(0, 2), [`L3 N${index}`, share(best)]);
});

test("has said and fetched nothing it should not", () => visit.assertClean());
