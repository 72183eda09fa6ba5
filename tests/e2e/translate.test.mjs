// A browser's translator takes texts out of their elements and puts others in their place. The page goes on all the same:
// figures follow the prompt, sections open, and nothing breaks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, prompt, settled, visitPage } from "./visit.mjs";

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
        data.trim() && !parentElement.closest("script, style, textarea, [translate=no]")
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

/** The likeliest next tokens, as the page shows them. */
const shown = (page) => page.locator(".likeliest tbody th, .candidates .token").allTextContents();

test("after a translation the figures follow the prompt, sections open, and nothing fails", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  assert.ok((await translate(page)) > 30, "explanations are translated");
  console.log(await translate(page));
  await prompt(page, "The pears on the tree are");
  await settled(page);
  for (const summary of await page.locator("summary").all()) {
    if (await summary.isVisible()) await summary.click();
  }
  await settled(page);
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator(".written ins").waitFor();
  await settled(page);
  visit.assertClean();
  await visit.close();
});
