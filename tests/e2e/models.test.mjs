// The model menu: what there is, what it takes, downloads with pause and resume, what is kept, and links to it.
// Against a hub on this machine, named in the menu as a person names a mirror.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { startHub } from "./hub_server.mjs";
import { largerModel } from "./larger_model.mjs";
import { allowBareFolder, look, namesHub, predictions, prompt, settled, visitLink, visitPage } from "./visit.mjs";

const SMALL = "openai-community/gpt2";
const LARGE = "someone/fine-tune";

let site, browser, hub;
const files = (shape) => Object.fromEntries(largerModel(shape).map(({ name, buffer }) => [name, buffer]));
before(async () => {
  site = await serveSite();
  browser = await launch();
  hub = await startHub({ [SMALL]: files({ layers: 3, heads: 4, width: 64 }), [LARGE]: files({ layers: 4, heads: 8, width: 256 }) });
});
after(async () => {
  await browser?.close();
  await hub?.close();
  await site?.close();
});

/** The page with its menu open, the hub named. */
async function menu(options) {
  hub.reset();
  const visit = await visitPage(browser, site, options);
  await openMenu(visit.page);
  return visit;
}
async function openMenu(page) {
  await page.getByText("Use another model").click();
  await page.getByText("Another hub, or a private model").click();
  await page.getByLabel("Hub", { exact: true }).fill(hub.url);
}
/** Nothing but what the hub's own answers make the browser say, and nothing from anywhere but the site and the hub. */
function assertClean(visit) {
  visit.offOrigin = visit.offOrigin.filter((url) => !hub.origins.some((origin) => url.startsWith(origin)));
  // a download that is paused or cancelled is a request given up
  visit.failed = visit.failed.filter((what) => !(hub.origins.some((origin) => what.startsWith(origin)) && /ERR_ABORTED/.test(what)));
  visit.assertClean();
}
const row = (page, name) => page.locator(".known .a-model", { has: page.getByText(name, { exact: true }) });
const keptRow = (page, name) => page.locator(".kept .a-model", { hasText: name });
const lookUp = async (page, repo, revision = "") => {
  await page.getByLabel("A hub’s model id").fill(repo);
  await page.getByLabel("Revision, if not main").fill(revision);
  await page.getByRole("button", { name: "Look it up" }).click();
};
const isLoaded = async (page, name) => {
  await page.locator(".model-line", { hasText: name }).waitFor();
  await settled(page);
};

test("says of each size what it is and what it takes, without asking anybody", async () => {
  const visit = await menu();
  const { page } = visit;
  const rows = await page.locator(".known").first().locator(".a-model").allInnerTexts();
  assert.deepEqual(rows.map((text) => text.split("\n")[0]), ["distilgpt2", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"]);
  const plain = rows.map((text) => text.replace(/\s+/g, " "));
  for (const part of ["36 layers", "20 heads", "width 1,280", "774 million parameters", "3.25 GB to download", "3.10 GB in f32", "1.55 GB in f16"]) {
    assert.ok(plain[3].includes(part), `${plain[3]} lacks ${part}`);
  }
  assert.deepEqual(hub.asked, []);
  const group = page.locator(".stanford");
  assert.equal(await group.locator(".a-model").first().isVisible(), false, "the menu stays short");
  await group.getByText("Stanford’s ten").click();
  const seeds = await group.locator(".a-model b").allTextContents();
  assert.equal(seeds.length, 10);
  assert.deepEqual([seeds[0], seeds[9]], ["alias-gpt2-small-x21", "eowyn-gpt2-medium-x777"]);
  await visit.shot("models-menu");
  assertClean(visit);
  await visit.close();
});

test("nothing is downloaded before a person agrees to what is said; then it is loaded, kept, and named with its commit", async () => {
  const visit = await menu();
  const { page } = visit;
  await row(page, "gpt2").getByRole("button", { name: "Choose gpt2" }).click();
  const offer = page.getByRole("group", { name: `Load ${SMALL}` });
  const begin = offer.getByRole("button", { name: /^Download .* and load it/ });
  await begin.waitFor();
  for (const part of [hub.commit.slice(0, 8), "3 layers", "There is room for", "come from localhost"]) {
    assert.ok((await offer.textContent()).includes(part), `${await offer.textContent()} lacks ${part}`);
  }
  assert.equal(await offer.getByRole("radio", { name: /^f32/ }).isChecked(), true);
  await offer.getByRole("radio", { name: /^f16/ }).check();
  const seen = hub.bytes(SMALL);
  assert.ok(seen < hub.size(SMALL) / 2, `${seen} bytes came unasked`);
  await visit.shot("models-offer");
  await begin.click();
  await isLoaded(page, SMALL);
  const line = await page.locator(".model-line").textContent();
  for (const part of [`at commit ${hub.commit.slice(0, 8)}`, ", f16", "kept on this device"]) assert.ok(line.includes(part), `${line} lacks ${part}`);
  assert.match(await page.evaluate(() => location.hash), new RegExp(`m=${SMALL}@${hub.commit}`));
  assert.equal(await page.evaluate(async () => (await window.peartree.info()).model.dtype), "f16");

  // again, after a reload, without the hub
  const first = await predictions(page);
  hub.asked.length = 0;
  await page.evaluate(() => history.replaceState(null, "", location.pathname));
  await page.reload();
  await settled(page);
  await openMenu(page);
  await row(page, "gpt2").getByText("kept on this device").waitFor();
  await row(page, "gpt2").getByRole("button", { name: "Choose gpt2" }).click();
  await offer.getByText("nothing is downloaded").waitFor();
  await offer.getByRole("radio", { name: /^f16/ }).check();
  await offer.getByRole("button", { name: "Load it" }).click();
  await isLoaded(page, SMALL);
  assert.deepEqual(await predictions(page), first);
  assert.deepEqual(hub.asked, []);
  assertClean(visit);
  await visit.close();
});

test("a download is paused, gone on with and cancelled, while the model before goes on working", async () => {
  const visit = await menu();
  const { page } = visit;
  await lookUp(page, LARGE);
  const offer = page.getByRole("group", { name: `Load ${LARGE}` });
  hub.set({ bitsPerSecond: 16e6 });
  await offer.getByRole("button", { name: /^Download/ }).click();
  const bar = page.locator(".loading");
  await bar.getByText(/\/s, .* left/).waitFor();
  await visit.shot("models-loading");
  await prompt(page, "I climbed up the apple tree");
  assert.equal((await predictions(page)).length, 10);
  await bar.getByRole("button", { name: "Pause" }).click();
  await bar.getByText(`Paused: ${LARGE}`).waitFor();
  await keptRow(page, LARGE).getByText("not whole yet").waitFor();
  assert.equal(await page.locator("#model-failure p").count(), 0);
  await bar.getByRole("button", { name: "Resume" }).click();
  await bar.getByText(`Downloading ${LARGE}`).waitFor();
  await bar.getByRole("button", { name: "Cancel" }).click();
  await bar.waitFor({ state: "detached" });
  assert.match(await page.locator(".model-line").textContent(), /Demo model/);

  await keptRow(page, LARGE).getByRole("button", { name: `Go on with it: ${LARGE}` }).click();
  await offer.getByRole("button", { name: /^Download the other/ }).click();
  // slow to the end: a server that hears late of a broken connection must not pour the whole file into it meanwhile
  await isLoaded(page, LARGE);
  hub.set({ bitsPerSecond: null });
  assert.ok(hub.twice(LARGE) < hub.size(LARGE) / 2, `${hub.twice(LARGE)} bytes came twice`);
  assertClean(visit);
  await visit.close();
});

test("what is kept is listed, checked and deleted", async () => {
  const visit = await menu();
  const { page } = visit;
  await page.getByText(/No model yet\. This page uses/).waitFor();
  await lookUp(page, SMALL, hub.commit);
  await page.getByRole("button", { name: /^Download .* and load it/ }).click();
  await isLoaded(page, SMALL);
  const kept = keptRow(page, SMALL);
  await kept.waitFor();
  const said = await kept.innerText();
  for (const part of ["localhost", hub.commit.slice(0, 8), "f32", String(new Date().getFullYear())]) assert.ok(said.includes(part), `${said} lacks ${part}`);
  await kept.getByRole("button", { name: `Check ${SMALL}` }).click();
  await kept.getByText("Unchanged").waitFor();
  assert.ok((await kept.innerText()).includes(hub.sha256(SMALL)));
  await visit.shot("models-kept");
  await kept.getByRole("button", { name: `Delete ${SMALL}` }).click();
  await kept.getByRole("button", { name: `Really delete ${SMALL}` }).click();
  await kept.waitFor({ state: "detached" });
  assert.equal((await page.evaluate(() => window.peartree.predict({ prompt: "a" }))).top.length, 10, "the loaded model stays");
  assertClean(visit);
  await visit.close();
});

test("what goes wrong is said where it belongs, and a token opens what is private", async () => {
  const visit = await menu();
  const { page } = visit;
  const failure = page.locator("#offer-failure p");
  await lookUp(page, "no such/id/at all");
  await failure.filter({ hasText: "is no model's id" }).waitFor();
  await lookUp(page, "nobody/nothing");
  await failure.filter({ hasText: /has no|no such model/ }).waitFor();
  hub.set({ token: "hf_secret" });
  await lookUp(page, SMALL);
  await failure.filter({ hasText: "give your token" }).waitFor();
  await page.getByLabel("Access token").fill("hf_secret");
  await lookUp(page, SMALL);
  await page.getByRole("button", { name: /^Download .* and load it/ }).click();
  await isLoaded(page, SMALL);
  const everywhere = await page.evaluate(async () => {
    const stored = JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.cookie]);
    return stored + document.documentElement.outerHTML;
  });
  assert.ok(!everywhere.includes("hf_secret"));
  visit.console = visit.console.filter((line) => !/Failed to load resource.*40[14]/.test(line));
  visit.failed = visit.failed.filter((what) => !/: 40[14]$/.test(what));
  assertClean(visit);
  await visit.close();
});

test("a folder of another site", async () => {
  const visit = await menu();
  const { page } = visit;
  await page.getByLabel("Or the address of its folder on any site").fill("no address");
  await page.getByRole("button", { name: "Look there" }).click();
  await page.locator("#offer-failure p", { hasText: "is no address" }).waitFor();
  await page.getByLabel("Or the address of its folder on any site").fill(`${hub.url}/${SMALL}/resolve/main/`);
  await page.getByRole("button", { name: "Look there" }).click();
  await page.getByRole("button", { name: /^Download .* and load it/ }).click();
  await isLoaded(page, `${hub.url}/${SMALL}/resolve/main`);
  allowBareFolder(visit);
  assertClean(visit);
  await visit.close();
});

test("a link to a hub's model offers it, with what it takes, and fetches nothing by itself", async () => {
  hub.reset();
  // the page's maker may name another hub in its head
  const prepare = namesHub(hub.url);
  const visit = await visitLink(browser, site, `v1&m=${SMALL}@${hub.commit}&layer=1`, { prepare });
  const { page } = visit;
  assert.deepEqual(hub.asked, []);
  await page.getByRole("button", { name: "Load that model" }).click();
  await page.locator(".link-notice").getByRole("button", { name: /^Download .* and load it/ }).click();
  await isLoaded(page, SMALL);
  assert.equal(await page.locator(".link-notice").textContent(), "");
  await look(page, "neurons");
  assert.equal(await page.getByLabel("Layer", { exact: true }).inputValue(), "1");
  assertClean(visit);
  await visit.close();
});

for (const [screen, context] of Object.entries({
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, deviceScaleFactor: 2 },
})) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${screen}, ${colorScheme}: the menu fits, and is worked by the keyboard`, async () => {
      const visit = await menu({ context: { ...context, colorScheme } });
      const { page } = visit;
      await row(page, "gpt2").getByRole("button").focus();
      await page.keyboard.press("Enter");
      await page.locator(".described").waitFor();
      assert.ok(await page.locator(".described").evaluate((element) => element === document.activeElement), "the answer has the focus");
      for (const name of ["dtype", "Download"]) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => document.activeElement.name || document.activeElement.textContent);
        assert.ok(at.startsWith(name), `${at} is focused in the place of ${name}`);
      }
      await page.keyboard.press("Enter");
      await isLoaded(page, SMALL);
      await keptRow(page, SMALL).waitFor();
      await row(page, "gpt2").getByRole("button").click();
      await page.locator(".described").waitFor();
      const wide = await page.evaluate(() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        const out = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > width);
        return out.map((each) => `${each.tagName}#${each.id}.${each.getAttribute("class")} in ${each.parentElement.className}: ${Math.round(each.getBoundingClientRect().right)}`);
      });
      assert.deepEqual(wide, [], "the page scrolls sideways");
      await page.evaluate(() => scrollTo(0, 0));
      await visit.shot(`models-${screen}-${colorScheme}`, { fullPage: true, clip: { x: 0, y: 0, width: context.viewport.width, height: 2200 } });
      assertClean(visit);
      await visit.close();
    });
  }
}
