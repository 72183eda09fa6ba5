// The built site as a visitor's browser sees it: what is fetched, from where, how much, and what the console says.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import { launch, openPage, serveSite } from "./harness.mjs";

const FIRST_VISIT_MAX_BYTES = 1.8e6; // gzip, the demo model aside

let site, browser, visit;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await openPage(browser, site.url);
  // The page marks the moment its first prediction is on screen. Where it never does, the last test says so.
  visit.firstPrediction = await visit.page
    .waitForFunction(() => performance.getEntriesByName("first-prediction")[0]?.startTime, null, { timeout: 30_000 })
    .then((handle) => handle.jsonValue(), () => null);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test("works from a sub-path, in silence, from its own origin", async () => {
  assert.ok(visit.page.url().includes(site.prefix));
  assert.ok(visit.requests.length >= 5, `asked for only ${visit.requests}`);
  visit.assertClean();
  await visit.shot("first-visit");
});

test("has no address that leaves its folder", () => {
  const html = readFileSync(path.join(site.root, "index.html"), "utf8");
  const addresses = [...html.matchAll(/\b(?:href|src)=["']([^"']*)["']/g)].map((match) => match[1]);
  assert.deepEqual(addresses.filter((address) => /^(\/|https?:(?!\/\/github\.com\/))/.test(address)), []);
});

test("is cross-origin isolated when the server says so", async () => {
  assert.equal(await visit.page.evaluate(() => globalThis.crossOriginIsolated), true);
});

test("downloads at most 1.8 MB gzip at the first visit, the demo model aside", (t) => {
  const bytes = new Map();
  for (const { path: file, status, bytes: sent } of site.responses) {
    if (status === 200 && !file.startsWith("demo/")) bytes.set(file, sent);
  }
  const total = [...bytes.values()].reduce((sum, sent) => sum + sent, 0);
  t.diagnostic(`${(total / 1e6).toFixed(2)} MB: ${[...bytes].map(([file, sent]) => `${file} ${sent}`).join(", ")}`);
  assert.ok(total > 1e4, "nothing was counted");
  assert.ok(total <= FIRST_VISIT_MAX_BYTES, `${total} bytes`);
});

test("makes a first prediction; how soon is told, not judged, here", (t) => {
  assert.ok(visit.firstPrediction, "none within 30 s");
  t.diagnostic(`first prediction ${Math.round(visit.firstPrediction)} ms after navigation`);
});
