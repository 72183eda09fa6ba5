// What getting and keeping a large model costs: loads it from a hub on this machine, over a shaped line, in headless
// Chromium: through 25 faults, then cleanly, then from this device, then through tabs that are killed.
//
//   node benches/hub.mjs --model DIR [--site dist] [--mbit 200]
//
// DIR holds config.json and model.safetensors, for example GPT-2 small's. The site is one that scripts/serve built.
import path from "node:path";
import { launch, openPage, serveSite } from "../tests/e2e/harness.mjs";
import { startHub } from "../tests/e2e/hub_server.mjs";

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
process.env.SITE ??= path.resolve(option("--site", "dist"));
const REPO = "org/model";
const hub = await startHub({ [REPO]: path.resolve(option("--model")) });
const site = await serveSite();
const browser = await launch();
const line = { bitsPerSecond: 1e6 * Number(option("--mbit", 200)) };
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const s = (ms) => `${(ms / 1000).toFixed(2)} s`;

// a linear congruence: the same faults in every run
let seed = 20260101;
const below = (n) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;

async function ready(page) {
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => window.peartree.ready);
}

async function open() {
  const visit = await openPage(browser, site.url);
  await ready(visit.page);
  return visit;
}

const load = (page) =>
  page.evaluate(async ([repo, hub]) => {
    const start = performance.now();
    const { origin, parameters } = await window.peartree.load(repo, { hub });
    const ms = performance.now() - start;
    return { ms, parameters, sha256: origin.sha256, heapBytes: (await window.peartree.info()).heapBytes };
  }, [REPO, hub.url]);

function check({ sha256 }) {
  if (sha256 !== hub.sha256(REPO)) throw new Error(`wrong hash: ${sha256}`);
}

// 25 faults
hub.set(line);
const kinds = [() => ({ drop: below(40e6) }), () => ({ drop: below(3e6) }), () => ({ status: 503 }), () => ({ status: 429, retryAfter: 1 }), () => ({ refuse: true })];
hub.faults.push(...Array.from({ length: 24 }, () => kinds[below(kinds.length)]()), { stall: below(20e6) });
let visit = await open();
const faulty = await load(visit.page);
check(faulty);
console.log(`25 faults: right hash after ${s(faulty.ms)}; ${mb(hub.twice(REPO))} of ${mb(hub.size(REPO))} sent twice; ${hub.faults.length} faults left`);
await visit.close();

// first and second load
hub.reset();
hub.set(line);
visit = await open();
const first = await load(visit.page);
check(first);
const asked = hub.asked.length;
await visit.page.reload();
await ready(visit.page);
const second = await load(visit.page);
check(second);
const weights = 4 * second.parameters;
console.log(`first load ${s(first.ms)}, second ${s(second.ms)} (${(first.ms / second.ms).toFixed(1)} times faster); the second asked for ${hub.asked.length - asked} files`);
console.log(`wasm memory: first load ${mb(first.heapBytes)}, second ${mb(second.heapBytes)}; weights ${mb(weights)} (${(first.heapBytes / weights).toFixed(3)} and ${(second.heapBytes / weights).toFixed(3)} times)`);
const verify = await visit.page.evaluate(async (repo) => {
  const start = performance.now();
  await window.peartree.verify(repo);
  return performance.now() - start;
}, REPO);
console.log(`hashed again in ${s(verify)}`);
await visit.page.evaluate((repo) => window.peartree.forget(repo), REPO);

// ten kills
hub.reset();
hub.set(line);
const context = visit.page.context();
for (let kill = 1; kill <= 10; kill++) {
  const page = await context.newPage();
  await page.goto(site.url);
  await ready(page);
  const loading = page.evaluate(([repo, hub]) => window.peartree.load(repo, { hub }), [REPO, hub.url]).catch(() => "killed");
  await Promise.race([loading, new Promise((resolve) => setTimeout(resolve, 300 + below(3500)))]);
  await page.close();
}
const last = await context.newPage();
await last.goto(site.url);
await ready(last);
const { models } = await last.evaluate(() => window.peartree.kept());
const here = models.map(({ whole, bytes_here }) => `${whole ? "whole" : "in part"}, ${mb(bytes_here)}`);
check(await load(last));
await last.evaluate((repo) => window.peartree.verify(repo), REPO);
console.log(`10 kills: ${here} here after them, right hash in the end; ${mb(hub.twice(REPO))} sent twice`);

await browser.close();
await site.close();
await hub.close();
