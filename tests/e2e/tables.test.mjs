// A table that takes more than a moment: asked for, paused, gone on with after a reload, dropped, kept; or found ready
// beside the site, at the place that the site names, and refused where it is another model's.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { largerModel } from "./larger_model.mjs";
import { look, settled, visitPage } from "./visit.mjs";

const FILE = "files-from-this-device-notebook.safetensors";
const model = largerModel({ layers: 12, heads: 4, width: 64, inner: 6144 });

let site, browser, visit, page, table;
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

const line = (page) => page.locator("#pairs .table-line");
const stage = (page, wanted) => page.locator(`#pairs .table-line[data-stage="${wanted}"]`).waitFor();
const press = (page, name) => page.locator("#pairs").getByRole("button", { name }).click();
/** Picks the model's files, and looks at the searches. */
async function open(page) {
  await page.getByLabel(/Pick the files/).setInputFiles(model);
  await page.waitForFunction(() => window.peartree.info().then(({ model }) => model.config.n_layer === 12));
  await settled(page);
  // figures above may still grow and push it away again
  await page.waitForFunction(() => {
    document.getElementById("pairs").scrollIntoView();
    const line = document.querySelector("#pairs .table-line");
    // the demo's table, of fewer products, may still be what is seen
    return ["waiting", "ready"].includes(line?.dataset.stage) && line.textContent.includes("92,676,096");
  });
}
async function reopen() {
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await settled(page);
  await open(page);
}
/** Presses a button and then Pause, as soon as something is done: no driver is as quick. */
async function startAndPause(name) {
  const paused = page.evaluate(() => new Promise((done) => {
    const look = () => {
      const part = Number(document.querySelector("#pairs .table-line progress")?.value ?? 0);
      const pause = [...document.querySelectorAll("#pairs .table-line button")].find(({ textContent }) => textContent === "Pause");
      if (part > 0 && pause) {
        pause.click();
        observer.disconnect();
        done();
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.getElementById("pairs"), { subtree: true, childList: true, attributes: true, characterData: true });
  }));
  await press(page, name);
  await paused;
  await stage(page, "waiting");
}
/** What the site answers for tables; the browser's console need not hear of one that isn't there. */
const answers = (page, folder, body, contentType) => page.route(`**/${folder}/*.safetensors`, (route) => route.fulfill({ body, contentType }));
const NOTHING = ["<!doctype html><title>Not here</title>", "text/html"];

test("computes nothing before it is told to, and stops where it is told to", async () => {
  await answers(page, "tables", ...NOTHING);
  await open(page);
  await stage(page, "waiting");
  assert.match(await line(page).textContent(), /92,676,096 products of a neuron with a token/);
  await startAndPause("Compute and keep the table");
  assert.match(await line(page).textContent(), /Paused at \d/);
  await visit.shot("table-paused");
});

test("goes on after a reload, to the table that a script gets", async () => {
  await reopen();
  await stage(page, "waiting");
  assert.match(await line(page).textContent(), /Paused at \d/);
  await press(page, "Go on");
  await stage(page, "ready");
  await settled(page);
  const shown = await page.locator("#pairs tbody tr td .link").allTextContents();
  const found = await page.evaluate(() => window.peartree.search({ kind: "mutual", top: 5 }));
  assert.deepEqual(shown.filter((text) => /^L\d+ N\d+$/.test(text)).slice(0, 5), found.map(({ layer, neuron }) => `L${layer} N${neuron}`));
  const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Save the table")]);
  assert.equal(download.suggestedFilename(), FILE);
  table = await readFile(await download.path());
});

test("is there at the next visit", async () => {
  await reopen();
  await stage(page, "ready");
  assert.match(await line(page).textContent(), /It was kept on this device/);
});

test("is dropped, with what was kept of it", async () => {
  const other = await visitPage(browser, site);
  const before = page;
  page = other.page;
  await answers(page, "tables", ...NOTHING);
  await open(page);
  await startAndPause("Compute and keep the table");
  await press(page, "Drop it");
  await page.locator("#pairs").getByRole("button", { name: "Compute and keep the table" }).waitFor();
  await reopen();
  await page.locator("#pairs").getByRole("button", { name: "Compute and keep the table" }).waitFor();
  other.assertClean();
  await other.close();
  page = before;
});

test("is taken from beside the site", async () => {
  const other = await visitPage(browser, site);
  await answers(other.page, "tables", table);
  await open(other.page);
  await press(other.page, "Compute and keep the table");
  await stage(other.page, "ready");
  assert.match(await line(other.page).textContent(), /It came from \.\/tables\/files-from-this-device-notebook\.safetensors/);
  other.assertClean();
  await other.close();
});

test("is taken from the place that the site names", async () => {
  const other = await visitPage(browser, site);
  await other.page.evaluate(() => (document.querySelector("meta[name=table-source]").content = "./elsewhere/"));
  await answers(other.page, "tables", ...NOTHING);
  await answers(other.page, "elsewhere", table);
  await open(other.page);
  await press(other.page, "Compute and keep the table");
  await stage(other.page, "ready");
  assert.match(await line(other.page).textContent(), /It came from \.\/elsewhere\//);
  other.assertClean();
  await other.close();
});

test("another model's table is refused with a reason, and the right one computed", async () => {
  const other = await visitPage(browser, site);
  await look(other.page, "pairs");
  const [download] = await Promise.all([other.page.waitForEvent("download"), press(other.page, "Save the table")]);
  await answers(other.page, "tables", await readFile(await download.path()));
  await open(other.page);
  await press(other.page, "Compute and keep the table");
  await stage(other.page, "ready");
  assert.match(await line(other.page).textContent(), /\.\/tables\/\S+: .*another model/i);
  const [own] = await Promise.all([other.page.waitForEvent("download"), press(other.page, "Save the table")]);
  assert.ok(table.equals(await readFile(await own.path())), "the same table as before");
  other.assertClean();
  await other.close();
});

test("has said and fetched nothing it should not", () => visit.assertClean());
