// Threads where the page may share memory, one elsewhere; the same bits with any number. And ?bench, which shows them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage, serveSite } from "./harness.mjs";
import { informed } from "./visit.mjs";

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const open = async (search, options) => {
  const visit = await openPage(browser, `${site.url}${search}`, options);
  await visit.page.waitForFunction(() => window.peartree);
  await visit.page.evaluate(() => window.peartree.ready);
  return visit;
};

/** Waits until so many threads compute: helpers start in their own time. */
const threads = (page, count) => informed(page, (info) => info.threads === count);

const workers = (visit) => visit.requests.filter((url) => /_loader\.js/.test(url)).map((url) => url.match(/(worker|threads)-/)[1]);

/** The bits of what kernels of every kind come to: one row, few, many, and a decode. */
const bits = (page) =>
  page.evaluate(async () => {
    const { bench } = window.peartree;
    const ids = (n) => Array.from({ length: n }, (_, i) => (7 * i + 3) % 200);
    const found = [];
    for (const n of [1, 20, 60]) found.push(...(await bench.prefill(ids(n))).logits);
    const { tokens } = await bench.decode(ids(5), 10);
    const { argmax } = await bench.batch(Array.from({ length: 32 }, (_, i) => ids(20).map((id) => id + i)));
    return JSON.stringify([found, tokens, argmax]);
  });

test("one thread and two give the same bits", async () => {
  const one = await open("?threads=1");
  await threads(one.page, 1);
  const alone = await bits(one.page);
  one.assertClean();
  await one.close();

  const two = await open("?threads=2");
  assert.equal(await two.page.evaluate(() => crossOriginIsolated), true);
  await threads(two.page, 2);
  assert.equal(await bits(two.page), alone);
  assert.deepEqual([...new Set(workers(two))], ["threads"], "one worker is downloaded, not both");
  two.assertClean();
  await two.close();
});

test("load says how many threads", async () => {
  const visit = await open("?threads=2");
  await threads(visit.page, 2);
  await visit.page.evaluate(() => window.peartree.load("demo", { threads: 1 }));
  await threads(visit.page, 1);
  await visit.page.evaluate(() => window.peartree.load("demo", { threads: 2 }));
  await threads(visit.page, 2);
  const code = await visit.page.evaluate(() => window.peartree.load("demo", { threads: 0 }).catch((error) => error.code));
  assert.equal(code, "bad_option");
  visit.assertClean();
  await visit.close();
});

/** Leaves out the headers that isolate a page. */
const unisolated = (page) =>
  page.route("**/*", async (route) => {
    const response = await route.fetch();
    const headers = Object.fromEntries(Object.entries(response.headers()).filter(([name]) => !name.startsWith("cross-origin-")));
    await route.fulfill({ response, headers });
  });

for (const [kind, without, worker] of [
  ["with the fast instructions", () => {}, "threads"],
  ["with plain ones where the browser doesn't know others", () => (WebAssembly.validate = () => false), "worker"],
  [
    "with plain ones where there is no memory that could be shared",
    () => {
      const { Memory } = WebAssembly;
      WebAssembly.Memory = function (size) {
        if (size.shared) throw new RangeError("could not allocate memory");
        return new Memory(size);
      };
    },
    "worker",
  ],
]) {
  test(`a page that may not share memory runs on one thread, ${kind}`, async () => {
    const prepare = async (page) => {
      await page.addInitScript(without);
      await unisolated(page);
    };
    const visit = await open("", { prepare });
    const { page } = visit;
    assert.equal(await page.evaluate(() => crossOriginIsolated), false);
    assert.equal(await page.evaluate(async () => (await window.peartree.info()).threads), 1);
    const { top } = await page.evaluate(() => window.peartree.predict({ prompt: "I climbed up the apple tree and picked" }));
    assert.equal(top[0].token, " an");
    // nobody to help it is started, however many are asked for
    await page.evaluate(() => window.peartree.load("demo", { threads: 4 }));
    assert.equal(await page.evaluate(async () => (await window.peartree.info()).threads), 1);
    assert.deepEqual(workers(visit), [worker]);
    visit.assertClean();
    await visit.close();
  });
}

test("?bench shows the figures in a table", async () => {
  const visit = await open("?bench&threads=2");
  await visit.page.getByRole("button", { name: "Run the benchmark" }).click();
  const table = visit.page.getByRole("table", { name: /threads?, weights in f32/ });
  await table.waitFor({ timeout: 60000 });
  const rows = await table.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
  assert.deepEqual(rows.map(([name]) => name).filter((name) => !name.startsWith("prefill")), ["decode", "batch32", "sweep32", "tail32", "capture"]);
  for (const [name, ...figures] of rows) assert.ok(figures.every((figure) => Number.isFinite(Number(figure))), `${name}: ${figures}`);
  visit.assertClean();
  await visit.close();
});
