// The page's state in the address: there and back, by Back and Forward, copied, and from strangers.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, openPage, serveSite } from "./harness.mjs";
import { POST_PROMPT, answerFrom, look, settled, visitLink, visitPage } from "./visit.mjs";

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const fragment = (page) => page.evaluate(() => location.hash.slice(1));
const promptBox = (page) => page.getByLabel("Prompt", { exact: true });
const notices = (page) => page.locator(".link-notice li").allTextContents();
/** Waits until the address says `part`, or no longer does. */
const says = (page, part, does = true) => page.waitForFunction(([part, does]) => location.hash.includes(part) === does, [part, does]);
/** Everything on the page that a link is to bring back. */
async function state(page) {
  for (const id of ["maps", "layers", "neurons", "edits"]) await look(page, id);
  return page.evaluate(() => ({
    boxes: ["prompt", "corrupted", "pair-0", "pair-1", "neuron-layer"].map((id) => document.getElementById(id).value),
    checked: [...document.querySelectorAll("input[type=checkbox], input[type=radio]")].map((input) => input.checked),
    spoken: [...document.querySelectorAll("[role=slider]")].map((slider) => slider.getAttribute("aria-valuetext")),
    edits: [...document.querySelectorAll(".edit > code, .outcome-side .total b, .outcome-side ins")].map((element) => element.textContent),
    card: document.querySelector(".neuron-card h3")?.textContent ?? null,
    difference: document.querySelector(".difference b").textContent,
  }));
}

test("a fresh page's address stays as it is", async () => {
  const visit = await visitPage(browser, site);
  await look(visit.page, "edits");
  assert.equal(await fragment(visit.page), "");
  visit.assertClean();
  await visit.close();
});

test("what is set on one page is the same on another, by the address and by the copied link", async () => {
  const visit = await visitPage(browser, site, { context: { permissions: ["clipboard-read", "clipboard-write"] } });
  const { page } = visit;
  await promptBox(page).fill("The capital of France is");
  await page.getByLabel("Corrupted prompt", { exact: true }).fill("“Yes” & no. The capital of Germany is");
  await page.getByLabel("logit of", { exact: true }).fill(" Paris");
  await page.getByLabel("minus logit of").fill(" Berlin");
  await page.getByRole("checkbox", { name: /begins with/ }).uncheck();
  await page.getByRole("checkbox", { name: /own LayerNorm/ }).uncheck();
  await page.getByRole("radio", { name: "final scale" }).check();
  await page.getByRole("radio", { name: /corrupted into clean/ }).check();
  await settled(page);
  await look(page, "neurons");
  await page.getByLabel("Layer", { exact: true }).selectOption("2");
  await page.getByRole("radio", { name: "by effect" }).check();
  await settled(page);
  await page.locator("#neurons .outliers li button").first().click();
  await page.getByRole("button", { name: "Ablate it" }).click();
  await page.getByLabel("Add an edit").fill("0.h2=clean@last");
  await page.keyboard.press("Enter");
  await page.getByRole("slider", { name: /: scaled/ }).fill("0.5");
  await page.getByRole("switch", { name: /L0 head 2/ }).uncheck();
  await settled(page);
  await says(page, "off=0.h2=clean@last");
  const here = await state(page);

  await page.getByRole("button", { name: "Copy a link to this figure: Neurons", exact: true }).click();
  await page.getByText("Link copied").waitFor();
  const copied = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  assert.equal(copied.origin + copied.pathname, new URL(site.url).origin + new URL(site.url).pathname);
  assert.equal(copied.hash.slice(1).replace("&view=neurons", ""), await fragment(page));
  assert.ok(copied.hash.length < 330, copied.hash);

  for (const there of [await fragment(page), copied.hash.slice(1)]) {
    const other = await visitLink(browser, site, there);
    if (there.includes("view=")) {
      await other.page.waitForFunction(() => Math.abs(document.getElementById("neurons").getBoundingClientRect().top) < 300);
    }
    assert.deepEqual(await state(other.page), here);
    assert.deepEqual(await notices(other.page), []);
    assert.equal((await fragment(other.page)).replace("&view=neurons", ""), await fragment(page));
    other.assertClean();
    await other.close();
  }
  visit.assertClean();
  await visit.close();
});

test("Back and Forward undo and redo deliberate steps; typing is one with the step before it", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await look(page, "prompts");
  const select = page.getByLabel("Example");
  await select.selectOption("Capital city");
  await settled(page);
  await promptBox(page).fill("The capital of Italy is");
  await says(page, "Italy");
  await select.selectOption("Opposites");
  await settled(page);
  assert.equal(await promptBox(page).inputValue(), "The opposite of hot is");

  await page.goBack();
  await settled(page);
  assert.equal(await promptBox(page).inputValue(), "The capital of Italy is");
  assert.equal(await page.getByLabel("logit of", { exact: true }).inputValue(), " Paris");
  const { top } = await page.evaluate((prompt) => window.peartree.predict({ prompt, top: 1 }), "The capital of Italy is");
  assert.equal(await page.locator(".candidates li small").first().textContent(), String(top[0].id));
  await page.goBack();
  await settled(page);
  assert.equal(await promptBox(page).inputValue(), POST_PROMPT);
  assert.equal(await fragment(page), "");
  await page.goForward();
  await page.goForward();
  await settled(page);
  assert.equal(await promptBox(page).inputValue(), "The opposite of hot is");
  assert.equal(await page.getByLabel("Corrupted prompt", { exact: true }).inputValue(), "The opposite of wet is");
  visit.assertClean();
  await visit.close();
});

test("another link in the same tab is opened too", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await page.evaluate(() => void (location.hash = "#v1&p=The+opposite+of+hot+is&c=The+opposite+of+wet+is&t=+cold&u=+dry"));
  await page.waitForFunction(() => document.getElementById("prompt").value === "The opposite of hot is");
  await settled(page);
  assert.equal(await page.getByLabel("minus logit of").inputValue(), " dry");
  visit.assertClean();
  await visit.close();
});

test("a stranger's link: each wild piece is refused with its reason, the rest is honoured", async () => {
  const visit = await visitLink(browser, site, "v1&p=The+opposite+of+hot+is&layer=99&neuron=1:999999&colour=red&bos=perhaps&view=%00&e=rm+-rf&e=1:3=0&u=%ff&t=+cold&lens=final");
  const { page } = visit;
  const said = (await notices(page)).join("\n");
  for (const word of ["colour", "bos", "view", "edit", "second token", "layer 99", "neuron 1:999999"]) assert.ok(said.includes(word), `${word}: ${said}`);
  assert.equal(await promptBox(page).inputValue(), "The opposite of hot is");
  assert.equal(await page.getByLabel("logit of", { exact: true }).inputValue(), " cold");
  assert.equal(await page.getByLabel("minus logit of").inputValue(), " a");
  assert.equal(await page.getByRole("checkbox", { name: /own LayerNorm/ }).isChecked(), false);
  await look(page, "edits");
  assert.deepEqual(await page.locator(".edit > code").allTextContents(), ["1:3=0@all"]);
  await page.getByRole("button", { name: "Dismiss" }).click();
  assert.equal(await page.locator(".link-notice").textContent(), "");
  visit.assertClean();
  await visit.close();
});

for (const [what, hostile] of [
  ["no link at all", "what%20is%20this"],
  ["markup", "v1&p=<img src=x onerror=alert(1)>&c=<script>alert(1)</script>&m=javascript:alert(1)"],
  ["a newer version", "v9&p=Hello"],
  ["100,000 characters", `v1&p=${"a".repeat(100_000)}`],
  ["5,000 words", `v1&p=${"pear+".repeat(1_150)}`],
  ["broken codes", "v1&p=%&c=%2&t=%GG&u=%C3%28"],
  ["the same thing a thousand times", `v1${"&e=1:2=0".repeat(1000)}${"&p=x".repeat(1000)}`],
]) {
  test(`a hostile fragment does no harm: ${what}`, async () => {
    const dialogs = [];
    const prepare = (page) => page.on("dialog", (dialog) => (dialogs.push(dialog.message()), dialog.dismiss()));
    const visit = await openPage(browser, `${site.url}#${hostile}`, { prepare });
    const { page } = visit;
    await settled(page);
    await look(page, "maps");
    const isRefused = (await page.locator(".link-notice p, .link-notice li, #prompt-failure p").count()) > 0;
    assert.ok(isRefused, "nothing was said");
    assert.deepEqual(dialogs, []);
    await promptBox(page).fill("I climbed");
    await settled(page);
    assert.equal(await page.locator(".candidates li").count(), 10);
    visit.assertClean();
    await visit.close();
  });
}

test("a link names another model, and loads it only when told to", async () => {
  const folder = path.join(site.root, "demo");
  const route = async (page) =>
    page.route("**/models/mine/**", (route) => answerFrom(folder, path.basename(new URL(route.request().url()).pathname), route));
  const visit = await visitLink(browser, site, "v1&m=./models/mine/&p=The+opposite+of+hot+is&layer=2", { prepare: route });
  const { page } = visit;
  assert.ok(!visit.requests.some((url) => url.includes("models/mine")), "fetched by itself");
  assert.match(await page.locator(".model-line").textContent(), /Demo model/);
  assert.match(await page.locator(".link-notice").textContent(), /made with the model in the folder \.\/models\/mine\//);
  await page.getByRole("button", { name: "Load that model" }).click();
  await page.locator(".model-line", { hasText: "./models/mine/" }).waitFor();
  await settled(page);
  assert.equal(await page.locator(".link-notice").textContent(), "");
  await look(page, "neurons");
  assert.equal(await page.getByLabel("Layer", { exact: true }).inputValue(), "2");
  await says(page, "m=./models/mine/");
  await page.getByText("Use another model").click();
  await page.getByRole("button", { name: "Back to the demo model" }).click();
  await says(page, "m=", false);
  await page.goBack();
  await page.getByText("This link was made with").waitFor();
  visit.assertClean();
  await visit.close();
});

test("a link to every neuron waits for the button", async () => {
  const visit = await visitLink(browser, site, "v1&layer=all&view=neurons");
  const { page } = visit;
  await page.getByRole("button", { name: /Patch all [\d,]+ neurons/ }).waitFor();
  await settled(page);
  assert.equal(await page.locator("#neurons .outliers li").count(), 0, "a sweep began by itself");
  visit.assertClean();
  await visit.close();
});

test("a model elsewhere, or from files, is explained and never fetched", async () => {
  for (const [model, message] of [
    ["https://example.com/gpt2/", /is not on this site/],
    ["//example.com/x", /is not on this site/],
    ["files", /from its maker's own files/],
  ]) {
    const visit = await visitLink(browser, site, `v1&m=${encodeURIComponent(model)}`);
    assert.match(await visit.page.locator(".link-notice").textContent(), message);
    assert.equal(await visit.page.getByRole("button", { name: "Load that model" }).count(), 0);
    visit.assertClean();
    await visit.close();
  }
});
