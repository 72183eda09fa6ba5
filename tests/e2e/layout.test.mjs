// How the page sits on a desk, on a phone, in the dark, and under the keyboard alone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, look, prompt, settled, visitPage } from "./visit.mjs";

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const SCREENS = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, deviceScaleFactor: 2 },
  small: { viewport: { width: 360, height: 640 }, hasTouch: true, deviceScaleFactor: 2 },
};

for (const [screen, context] of Object.entries(SCREENS)) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${screen}, ${colorScheme}: fits its width, nothing sticks out`, async () => {
      const visit = await visitPage(browser, site, { context: { ...context, colorScheme } });
      const { page } = visit;
      const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
      for (const id of ["prompts", "maps", "layers", "neurons"]) await look(page, id);
      await page.locator("#neurons .outliers li button").first().click();
      await page.getByRole("button", { name: "Ablate it" }).click();
      await look(page, "edits");
      assert.ok(await fits(), "the page scrolls sideways");
      await page.evaluate(() => scrollTo(0, 0));
      await visit.shot(`${screen}-${colorScheme}`, { fullPage: true });
      await page.getByText("Use another model").click();
      await page.getByLabel("Add an edit").fill("blocks.1.attn.hook_pattern[2]=clean@0,1,2,3,4,5,6,7,8,9,10,11,12,13");
      await page.keyboard.press("Enter");
      await page.getByLabel("minus logit of").fill(" apple tree, which is no token at all");
      await page.locator("#pair-1-failure p").waitFor();
      await prompt(page, `${POST_PROMPT} ${"unbroken".repeat(30)}`);
      assert.ok(await fits(), "long words make the page scroll sideways");
      await visit.shot(`${screen}-${colorScheme}-full`, { fullPage: true });
      visit.assertClean();
      await visit.close();
    });
  }
}

test("paper and ink follow the system's choice", async () => {
  const grounds = [];
  for (const colorScheme of ["light", "dark"]) {
    const visit = await visitPage(browser, site, { context: { colorScheme } });
    grounds.push(await visit.page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    await visit.close();
  }
  const [light, dark] = grounds.map((color) => color.match(/\d+/g).map(Number).reduce((a, b) => a + b));
  assert.ok(light > 600 && dark < 150, String(grounds));
});

test("every control is reached by Tab, in the order of the page, and shows that it is", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  // figures are worked out once they are on screen; Tab is faster than that on a busy machine
  for (const id of ["maps", "layers", "neurons", "edits"]) await look(page, id);
  const seen = [];
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const style = getComputedStyle(element);
      const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
      return { name: name.trim(), outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
    });
    if (!at) break;
    assert.ok(at.outline, `no focus ring on ${at.name}`);
    seen.push(at.name);
  }
  const order = ["Skip to the prompt", "We Found An Neuron in GPT-2", "Use another model", "begins with", "Prompt", "The prompt's",
    "probability", "logit of", "minus logit of", "Logit difference", "final scale", "own LayerNorm", "own LayerNorm", "Top token by", "Example", "Corrupted prompt", "clean into corrupted", "Residual stream", "Attention output",
    "MLP output", "Attention heads, all", "Attention heads: direct", "Total and direct", "Layer", "by number", "Zoom in", "Neurons by share", "L2 N", "in the clean", "Add an edit", "Add", "Max tokens", "Temperature",
    "Top-k", "Top-p", "Seed", "Generate"];
  let from = 0;
  for (const name of order) {
    const at = seen.findIndex((text, i) => i >= from && text.includes(name));
    assert.ok(at >= 0, `Tab does not reach ${name} after ${seen[from - 1]}: ${JSON.stringify(seen)}`);
    from = at + 1;
  }
  await visit.close();
});

test("the skip link leads to the prompt", async () => {
  const visit = await visitPage(browser, site);
  await visit.page.keyboard.press("Tab");
  await visit.page.keyboard.press("Enter");
  assert.equal(await visit.page.evaluate(() => document.activeElement.id), "prompt");
  await visit.close();
});

test("says what it loads, and how much of it, while it loads", async () => {
  const visit = await visitPage(browser, site, {
    prepare: async (page) => {
      await page.addInitScript(() => {
        window.__said = new Set();
        new MutationObserver(() => {
          const text = document.querySelector(".loading")?.textContent;
          if (text) window.__said.add(text);
        }).observe(document, { subtree: true, childList: true, characterData: true });
      });
    },
  });
  const said = await visit.page.evaluate(() => [...window.__said]);
  assert.ok(said.some((text) => /model.*[\d.]+\s(k|M)B of [\d.]+\s(k|M)B/.test(text)), JSON.stringify(said));
  assert.equal(await visit.page.locator(".loading").count(), 0);
  await visit.close();
});

test("every control and figure has a name", async () => {
  const visit = await visitPage(browser, site);
  for (const id of ["prompts", "maps", "layers", "neurons"]) await look(visit.page, id);
  await visit.page.locator("#neurons .outliers li button").first().click();
  await visit.page.getByRole("button", { name: "Steer it" }).click();
  await look(visit.page, "edits");
  await visit.page.getByText("Use another model").click();
  const nameless = await visit.page.evaluate(() =>
    [...document.querySelectorAll("button, input, textarea, select, [tabindex], section, progress")]
      .filter((element) => {
        const labelledBy = element.getAttribute("aria-labelledby");
        const name = element.getAttribute("aria-label") ?? (labelledBy && document.getElementById(labelledBy)?.textContent);
        return !(name || element.labels?.length || (element.tagName === "BUTTON" && element.textContent.trim()));
      })
      .map((element) => element.outerHTML.slice(0, 120)),
  );
  assert.deepEqual(nameless, []);
  await settled(visit.page);
  await visit.close();
});

test("a map that is wider than a phone begins at its strongest cell, its layers named", async () => {
  const visit = await visitPage(browser, site, { context: SCREENS.phone });
  const { page } = visit;
  await look(page, "maps");
  const map = page.locator("#map-resid_pre");
  const seen = await map.locator(".heat-scroll").evaluate((box) => {
    const [svg, outer] = [box.querySelector("svg[role=slider]"), box.getBoundingClientRect()];
    const strength = (path) => Number(path.style.getPropertyValue("--v"));
    const strongest = [...svg.querySelectorAll("path.positive")].reduce((best, path) => (strength(path) > strength(best) ? path : best));
    const cell = strongest.getBoundingClientRect();
    const name = box.parentElement.querySelector(".row-label").getBoundingClientRect();
    return { scrolled: box.scrollLeft, isSeen: cell.left >= outer.left && cell.right <= outer.right + 1, name: name.left - outer.left };
  });
  assert.ok(seen.scrolled > 0 && seen.isSeen && seen.name >= 0 && seen.name < 30, JSON.stringify(seen));
  visit.assertClean();
  await visit.close();
});
