// A browser's translator takes texts out of their elements and puts others in their place. The page goes on all the same:
// figures follow the prompt, sections open, and nothing breaks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { predictions, prompt, settled, visitPage } from "./visit.mjs";

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** What a translator does to every text: the text node goes, two <font> elements with another text come. */
const translate = (page) =>
  page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, {
      acceptNode: ({ data, parentElement }) =>
        data.trim() && parentElement.translate && !parentElement.closest("script, style, textarea")
          ? NodeFilter.FILTER_ACCEPT
          : NodeFilter.FILTER_REJECT,
    });
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      const [outer, inner] = [document.createElement("font"), document.createElement("font")];
      inner.textContent = text.data;
      outer.append(inner);
      text.replaceWith(outer);
    }
    return texts.length;
  });

test("after a translation the figures follow the prompt, sections open, and nothing fails", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const before = await predictions(page);
  const moved = await translate(page);
  assert.ok(moved >= 15, `headings and explanations are translated, but only ${moved} were`);
  await prompt(page, "The pears on the tree are");
  await settled(page);
  const expected = await page.evaluate(() => window.peartree.predict({ prompt: "The pears on the tree are" }));
  const after = await predictions(page);
  assert.notDeepEqual(after, before);
  assert.deepEqual(after.map(({ id }) => id), expected.top.map(({ id }) => id));
  for (const summary of await page.locator("summary").all()) {
    if (await summary.isVisible()) await summary.click();
  }
  await settled(page);
  await translate(page);
  await page.getByText("Use another model").click();
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator(".written ins").waitFor();
  await settled(page);
  visit.assertClean();
  await visit.close();
});
