// Everybody can read it: what axe says of the whole page, in light and dark, on a desk and on a phone, at rest and while
// figures are pending; how large type and targets are; what remains where the system forces its colours; what a tap does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { SCREENS, canHold, everything, hold } from "./everything.mjs";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, look, settled, visitPage } from "./visit.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** All of axe's rules but those of level AAA: what they find, and text whose contrast axe can't tell, SVG's own aside. */
async function judge(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const rules = axe.getRules().filter(({ tags }) => !tags.includes("wcag2aaa"));
    const options = { rules: Object.fromEntries(rules.map(({ ruleId }) => [ruleId, { enabled: true }])) };
    const { violations, incomplete } = await axe.run(document, { ...options, resultTypes: ["violations", "incomplete"] });
    const said = ({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`);
    const untold = incomplete.filter(({ id }) => id === "color-contrast").flatMap(({ nodes }) => nodes);
    // what has been scrolled under the rows' names, or the edge that says that there is more, isn't to be read now
    const covers = [...document.querySelectorAll(".edge, .row-name")];
    const isUnder = (cover, element) => {
      const [above, below] = [cover, element].map((each) => each.getBoundingClientRect());
      return !cover.contains(element) && below.left < above.right && above.left < below.right && below.top < above.bottom && above.top < below.bottom;
    };
    const isText = ({ target }) => {
      const element = document.querySelector(target[0]);
      // a box's arrow is painted on it, and wrapped text lies over its own line ends
      return !element.closest("svg, select, .goes-on ins") && !covers.some((cover) => isUnder(cover, element));
    };
    return [...violations.flatMap(said), ...untold.filter(isText).map(({ target, any }) => `no contrast known: ${target}: ${any[0]?.message}`)];
  });
}

for (const [screen, context] of Object.entries(SCREENS)) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${screen}, ${colorScheme}: axe finds nothing, at rest and while figures are pending`, async () => {
      const visit = await visitPage(browser, site, { context: { ...context, colorScheme }, prepare: canHold });
      const { page } = visit;
      await everything(page);
      await visit.shot(`everything-${screen}-${colorScheme}`, { fullPage: true });
      assert.equal((await judge(page)).join("\n"), "");
      // twenty columns have room on a desk: nothing says that there is more
      assert.equal(await page.locator("#maps .edge").count() > 0, screen === "phone", "a map's edge");
      const cells = await figuresInCells(page);
      assert.ok(cells.length >= 10 && cells.every(({ contrast }) => contrast >= 4.5), JSON.stringify(cells.filter(({ contrast }) => contrast < 4.5)));
      await hold(page);
      await page.getByLabel("Prompt", { exact: true }).fill(POST_PROMPT.replace("apple", "pear"));
      await page.locator("#weights").getByRole("radio", { name: "raw" }).check();
      await page.locator("#corpus").getByRole("button", { name: "Read", exact: true }).click();
      await page.waitForTimeout(500);
      const pending = await page.locator(".stale").count();
      assert.ok(pending >= 10 && (await page.locator('[aria-busy="true"]').count()) >= 3, `only ${pending} figures are pending`);
      await visit.shot(`pending-${screen}-${colorScheme}`, { fullPage: true });
      assert.equal((await judge(page)).join("\n"), "");
      visit.assertClean();
      await visit.close();
    });
  }
}

/** An element's picture as { width, height, at(x, y) -> [r, g, b] }, x and y in CSS pixels from its corner. */
async function picture(page, locator) {
  await locator.scrollIntoViewIfNeeded();
  // what is drawn only where it can be seen is drawn anew by the scrolling
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const { width } = await locator.boundingBox();
  const png = (await locator.screenshot()).toString("base64");
  const image = await page.evaluate(async (png) => {
    const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return { width: bitmap.width, height: bitmap.height, data: btoa(data.reduce((text, byte) => text + String.fromCharCode(byte), "")) };
  }, png);
  const data = Buffer.from(image.data, "base64");
  const scale = image.width / Math.ceil(width);
  const at = (x, y) => [...data.subarray(4 * (Math.floor(y * scale) * image.width + Math.floor(x * scale))).subarray(0, 3)];
  const all = () => Array.from({ length: data.length / 4 }, (_, i) => [...data.subarray(4 * i, 4 * i + 3)]);
  return { width: image.width / scale, height: image.height / scale, at, all };
}

const luminance = (color) => {
  const [r, g, b] = color.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const distance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));
/** The strongest contrast of any of its pixels with its corner's. */
const strongest = ({ at, all }) => Math.max(...all().map((color) => contrast(color, at(1, 1))));

/** The figures written into the cells of a map, each with its contrast to the cell. */
async function figuresInCells(page) {
  const map = page.locator("#map-resid_pre svg, #map-heads svg");
  const found = [];
  for (const svg of await map.all()) {
    const image = await picture(page, svg);
    const figures = await svg.locator(".figure-in-cell").evaluateAll((all) =>
      all.map((figure) => ({ x: Number(figure.getAttribute("x")), y: Number(figure.getAttribute("y")), text: figure.textContent, color: getComputedStyle(figure).fill.match(/\d+/g).map(Number) })));
    // under the figure's line there is nothing but the cell
    found.push(...figures.map(({ x, y, text, color }) => ({ text, contrast: contrast(color, image.at(x, y - 9)) })));
  }
  return found;
}

for (const [screen, context] of Object.entries(SCREENS)) {
  test(`${screen}: no target is under 24 pixels, no type under 12`, async () => {
    const visit = await visitPage(browser, site, { context });
    const { page } = visit;
    await everything(page);
    const small = await page.evaluate(() => {
      const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
      const box = (element) => {
        const parts = [element, ...(["checkbox", "radio"].includes(element.type) ? element.labels : [])];
        const sizes = parts.map((part) => part.getBoundingClientRect());
        return ["width", "height"].map((side) => Math.max(...sizes.map((size) => size[side])));
      };
      // in a sentence a link has the height of its line: WCAG 2.5.8 says so
      const isInline = (element) => element.matches("p a");
      const isUnseen = (element) => element.matches(".skip") || element.closest(".unseen");
      const controls = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0'], [role=option]")];
      return controls
        .filter((element) => isSeen(element) && !isInline(element) && !isUnseen(element) && Math.min(...box(element)) < 23.99)
        .map((element) => `${box(element).map((side) => side.toFixed(1)).join(" x ")}: ${element.outerHTML.slice(0, 150)}`);
    });
    assert.equal(small.join("\n"), "");
    const letters = await page.evaluate(() => {
      const found = new Set();
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("option, script, style")) continue;
        const scale = element instanceof SVGElement ? Math.hypot(element.getScreenCTM().a, element.getScreenCTM().b) : 1;
        const size = parseFloat(getComputedStyle(element).fontSize) * scale;
        if (size < 11.99) found.add(`${size.toFixed(1)}: ${element.className.baseVal ?? element.className} in ${element.parentElement.outerHTML.slice(0, 100)}`);
      }
      return [...found];
    });
    assert.equal(letters.join("\n"), "");
    if (context.hasTouch) {
      const cells = await page.locator(".heat svg").evaluateAll((maps) =>
        maps.map((map) => {
          const { width, height } = map.querySelector(".ground").getBoundingClientRect();
          const columns = map.querySelectorAll(".column-label").length;
          const rows = (Number(map.getAttribute("aria-valuemax")) + 1) / columns;
          return [width / columns, height / rows];
        }));
      assert.ok(cells.length >= 5 && cells.flat().every((side) => side >= 23.99), JSON.stringify(cells));
    }
    await visit.close();
  });
}

for (const colorScheme of ["light", "dark"]) {
  test(`forced colours, ${colorScheme}: bars, legends, shaded tokens and differing words can be told`, async () => {
    const visit = await visitPage(browser, site, { context: { colorScheme, forcedColors: "active" } });
    const { page } = visit;
    assert.ok(await page.evaluate(() => matchMedia("(forced-colors: active)").matches));
    await everything(page);
    await page.evaluate(() => scrollTo(0, 0));
    await visit.shot(`forced-${colorScheme}`, { fullPage: true });

    // a bar is as long as its probability, and can be seen
    const bars = page.locator(".candidates .bar");
    const shares = await page.locator(".candidates .bar i").evaluateAll((bars) => bars.map((bar) => Number(bar.style.getPropertyValue("--p"))));
    const long = shares.indexOf(Math.max(...shares));
    const bar = await picture(page, bars.nth(long));
    assert.ok(shares[long] > 0.3 && contrast(bar.at(bar.width * shares[long] * 0.5, 5), (await picture(page, bars.last())).at(bar.width * 0.9, 5)) >= 3, "the bar is as its ground");
    assert.ok(strongest(await picture(page, page.locator(".outcome-side .bar").first())) >= 3, "the edits' bars");

    // shading follows the probability, and its text can be read
    const shades = await page.locator(".chips .chip[style]").evaluateAll((chips) =>
      chips.map((chip) => ({ share: Number(chip.style.getPropertyValue("--p")), at: chip.id })).sort((a, b) => a.share - b.share));
    const chip = async ({ at }) => picture(page, page.locator(`#${at}`));
    const [faint, deep] = [await chip(shades[0]), await chip(shades.at(-1))];
    assert.ok(distance(faint.at(4, 4), deep.at(4, 4)) > 60, "likely and unlikely tokens look the same");
    // only the columns in sight are there
    const cells = () => page.locator(".grid .cell").evaluateAll((cells) =>
      cells.map((cell) => ({ share: Number(cell.style.getPropertyValue("--p")), at: cell.id })).sort((a, b) => a.share - b.share));
    const pale = await chip((await cells())[0]);
    const dark = await chip((await cells()).at(-1));
    assert.ok(distance(pale.at(3, 3), dark.at(3, 3)) > 60, "likely and unlikely top tokens look the same");
    const lit = page.locator(".lit");
    const heights = await lit.evaluateAll((all) => all.map((each) => Number(each.style.getPropertyValue("--p"))));
    const [low, high] = [Math.min, Math.max].map((most) => heights.indexOf(most(...heights.filter((height) => height <= 0.9))));
    assert.ok(distance((await picture(page, lit.nth(low))).at(1, 1), (await picture(page, lit.nth(high))).at(1, 1)) > 30, "activations look the same");
    for (const image of [faint, deep, pale, dark]) assert.ok(strongest(image) >= 4.5, "text on a shade can't be read");

    // the legend's ends, and the figures in the cells
    const legend = await picture(page, page.locator("#map-resid_pre .heat-legend i"));
    const [left, middle, right] = [0.04, 0.5, 0.96].map((share) => legend.at(legend.width * share, legend.height / 2));
    assert.ok(distance(left, middle) > 60 && distance(right, middle) > 60 && distance(left, right) > 60, String([left, middle, right]));
    const figures = await figuresInCells(page);
    assert.ok(figures.length >= 10 && figures.every(({ contrast }) => contrast >= 4.5), JSON.stringify(figures));

    // keys: each can be seen, and no two look the same
    const ground = (await picture(page, page.locator(".lede"))).at(1, 1);
    for (const keys of [".keys .key svg", ".layer-keys .key i", ".compared i", ".agreement .corpus-key i"]) {
      const images = await Promise.all((await page.locator(keys).all()).map(async (key) => {
        await key.scrollIntoViewIfNeeded();
        return (await picture(page, key)).all().flat();
      }));
      const isSeen = (image) => image.some((_, i) => i % 3 === 0 && contrast(image.slice(i, i + 3), ground) >= 3);
      assert.ok(images.length >= 2 && images.every(isSeen), `${keys}: one can't be seen`);
      const differ = (a, b) => a.length !== b.length || a.some((value, i) => Math.abs(value - b[i]) > 60);
      images.forEach((image, i) => images.slice(0, i).forEach((other, j) => assert.ok(differ(image, other), `${keys}: ${i} looks like ${j}`)));
    }

    // words that differ between the prompts, and words that the model has written
    for (const [marked, plain] of [[".running mark", ".running span:not(.gap):not(.ws)"], [".written ins", ".written .after"]]) {
      const [mark, other] = await page.evaluate((names) => names.map((name) => {
        const { backgroundColor, textDecorationLine } = getComputedStyle(document.querySelector(name));
        return backgroundColor + textDecorationLine;
      }), [marked, plain]);
      assert.notEqual(mark, other, `${marked} looks like ${plain}`);
      assert.ok(strongest(await picture(page, page.locator(marked).first())) >= 4.5, marked);
    }
    const word = await picture(page, page.locator(".running mark").first());
    const around = await picture(page, page.locator(".running span").first());
    assert.ok(distance(word.at(1, 1), around.at(1, 1)) > 60, "a word that differs has the others' ground");
    visit.assertClean();
    await visit.close();
  });
}

/** Draws a finger over the page from a point by so much. */
async function drag(page, { x, y }, by) {
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints });
  await touch("touchStart", [{ x, y }]);
  for (let i = 1; i <= 8; i++) {
    await touch("touchMove", [{ x: x + (by * i) / 8, y }]);
    await page.waitForTimeout(16);
  }
  await touch("touchEnd", []);
  await page.waitForTimeout(700);
}

for (const [device, context] of Object.entries({ "a phone": SCREENS.phone, "a narrow window": { ...SCREENS.phone, isMobile: false } })) {
  test(`${device}: the grid of top tokens begins at its last column, scrolls to its first and back, and shows which way`, async () => {
    const visit = await visitPage(browser, site, { context });
    const { page } = visit;
    await look(page, "table");
    const grid = page.locator(".grid");
    const box = await grid.boundingBox();
    const last = (await page.locator(".chips .chip").count()) - 1;
    const column = (index) => grid.locator(".column-name").filter({ has: page.locator("small", { hasText: new RegExp(`^${index}$`) }) });
    const isWhole = async (index) => {
      const at = (await column(index).count()) && (await column(index).boundingBox());
      const names = await grid.locator(".row-name").first().boundingBox();
      return Boolean(at) && at.x >= names.x + names.width - 1 && at.x + at.width <= box.x + box.width + 1;
    };
    const shown = () => Promise.all(["before", "after"].map((side) => page.locator(`.scrolls:has(.grid) > .edge.${side}`).isVisible()));
    assert.equal(await isWhole(last), true, "the last column is cut off");
    assert.deepEqual(await shown(), [true, false]);
    await visit.shot(`grid-${device.replaceAll(" ", "-")}`);
    const at = { x: box.x + 100, y: box.y + 150 };
    for (let i = 0; i < 14 && !(await isWhole(0)); i++) await drag(page, at, 220);
    assert.equal(await isWhole(0), true);
    assert.deepEqual(await shown(), [false, true]);
    await drag(page, { ...at, x: at.x + 200 }, -150);
    assert.deepEqual(await shown(), [true, true]);
    for (let i = 0; i < 14 && !(await isWhole(last)); i++) await drag(page, { ...at, x: at.x + 200 }, -220);
    assert.equal(await isWhole(last), true, "the last column can't be reached");
    assert.deepEqual(await shown(), [true, false]);
    // a prompt that grows is followed at its end
    await page.getByLabel("Prompt", { exact: true }).fill(`${POST_PROMPT} a pear and`);
    await settled(page);
    await look(page, "table");
    assert.ok((await page.locator(".chips .chip").count()) - 1 > last);
    assert.equal(await isWhole((await page.locator(".chips .chip").count()) - 1), true, "a longer prompt's end is out of sight");
    await visit.close();
  });
}

test("a tap reads a cell and does nothing else; the button beside the reading does what a click does", async () => {
  const visit = await visitPage(browser, site, { context: SCREENS.phone });
  const { page } = visit;
  await look(page, "maps");
  const edits = page.locator(".edit > code");
  /** Taps a cell, and says where that is. */
  const tap = async (name, row, column) => {
    const map = page.locator(`#map-${name}`);
    await map.scrollIntoViewIfNeeded();
    const columns = await map.locator(".column-label").count();
    const rows = (Number(await map.locator("svg").getAttribute("aria-valuemax")) + 1) / columns;
    await map.locator(".heat-scroll").evaluate((box) => (box.scrollLeft = 0));
    const ground = await map.locator(".ground").boundingBox();
    await page.touchscreen.tap(ground.x + ((column + 0.5) * ground.width) / columns, ground.y + ((row + 0.5) * ground.height) / rows);
    await page.waitForTimeout(100);
    return map;
  };
  for (const [name, place, edit] of [["resid_pre", "position 2", /^blocks.0.hook_resid_pre=clean@2$/], ["attn_out", "position 2", /^blocks.0.hook_attn_out=clean@2$|^0.attn=clean@2$/], ["heads", "head 2", /^0.h2=clean@all$/]]) {
    const map = await tap(name, 0, 2);
    assert.match(await map.locator(".readout").textContent(), new RegExp(`^Layer 0, ${place}\\b`));
    await tap(name, 0, 1);
    await tap(name, 0, 2);
    assert.match(await map.locator(".readout").textContent(), new RegExp(`^Layer 0, ${place}\\b`));
    assert.equal(await edits.count(), 0, "a tap has made an edit");
    const button = map.getByRole("button", { name: /^Patch this here Layer 0/ });
    await button.tap();
    assert.match((await edits.allTextContents()).join(), edit);
    await map.getByRole("button", { name: /^Added to the edits/ }).tap({ force: true });
    assert.match((await edits.allTextContents()).join(), edit);
    await page.locator("#edits .remove").tap();
  }
  assert.equal(await page.getByRole("radio", { name: "in the corrupted prompt" }).isChecked(), true);
  await page.evaluate(() => document.getElementById("maps").scrollIntoView());
  const before = await page.evaluate(() => location.hash);
  const mlp = await tap("mlp_out", 1, 2);
  assert.equal(await page.evaluate(() => location.hash), before, "a tap leads to a layer's neurons");
  await mlp.getByRole("button", { name: /^That layer’s neurons Layer 1/ }).tap();
  await look(page, "neurons");
  assert.equal(await page.getByLabel("Layer", { exact: true }).inputValue(), "1");
  // the same of a scatter's points
  await page.locator("#neurons .outliers li button").first().tap();
  const [x, y] = await page.locator("#neurons .scatter .selected").evaluate((mark) => [Number(mark.getAttribute("cx")), Number(mark.getAttribute("cy"))]);
  await page.locator(".neuron-card").getByRole("button", { name: "Close" }).tap();
  await page.locator("#neurons .scatter-plot").scrollIntoViewIfNeeded();
  const plot = await page.locator("#neurons .scatter-plot").boundingBox();
  await page.touchscreen.tap(plot.x + x, plot.y + y);
  const said = page.locator("#neurons .scatter .reading");
  await said.filter({ hasText: /^L1 N\d+: brings back/ }).waitFor();
  assert.equal(await page.locator(".neuron-card").count(), 0, "a tap has opened a neuron");
  const [, neuron] = (await said.textContent()).match(/^L1 N(\d+)/);
  await page.locator("#neurons").getByRole("button", { name: new RegExp(`^Look at it L1 N${neuron}\\b`) }).tap();
  assert.equal(await page.locator(".neuron-card h3").textContent(), `Layer 1, neuron ${neuron}`);
  await look(page, "tokens");
  const tokens = await page.locator("#tokens .scatter-plot").boundingBox();
  const hash = await page.evaluate(() => location.hash);
  // where neurons lie closest
  await page.touchscreen.tap(tokens.x + tokens.width / 2, tokens.y + tokens.height / 2);
  await page.locator("#tokens").getByRole("button", { name: /^Its weights L\d+ N\d+/ }).waitFor();
  assert.equal(await page.evaluate(() => location.hash), hash, "a tap leads to a neuron's page");
  visit.assertClean();
  await visit.close();
});
