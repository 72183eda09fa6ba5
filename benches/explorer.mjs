// Congruence in a browser on a model of GPT-2 small's shape: how fast a table is made beside the engine's own best
// products, and how soon the explorer answers a keystroke once a table is there.
//
//   node benches/explorer.mjs --site DIR --model DIR --table FILE [--threads 1] [--seconds 20]
//
// The model's DIR holds config.json, model.safetensors and tokenizer.json; FILE is what `peartree tables` made of it.
// A keystroke's answer is the second frame after it: by then what it changed has been drawn.
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { launch } from "../tests/e2e/harness.mjs";
import { startServer } from "../scripts/static_server.mjs";
import { options } from "./loaded_page.mjs";

const { site, model, table, threads = "1", seconds = "20" } = options();
if (!site || !model || !table) throw new Error("usage: node benches/explorer.mjs --site DIR --model DIR --table FILE [--threads N] [--seconds N]");

// the site with the model's folder and the table beside it, as somebody would publish them
const root = mkdtempSync(path.join(path.dirname(path.resolve(site)), "explorer-"));
cpSync(site, root, { recursive: true });
for (const folder of ["models/small", "tables"]) mkdirSync(path.join(root, folder), { recursive: true });
for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) cpSync(path.join(model, name), path.join(root, "models/small", name));
cpSync(table, path.join(root, "tables/small-notebook.safetensors"));
const server = await startServer({ root });
const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(`${server.url}?threads=${threads}`);
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => window.peartree.ready);
  await page.evaluate((threads) => window.peartree.load("models/small/", { threads }), Number(threads));
  await keystrokes(page);
  await rate(page);
} finally {
  await browser.close();
  await server.close();
  rmSync(root, { recursive: true });
}

/** GFLOP/s of a table that nobody has, over some seconds, beside those of the engine's best passes in the same page. */
async function rate(page) {
  const found = await page.evaluate(async (seconds) => {
    const { d_model, n_layer, vocab_size } = (await window.peartree.info()).model.config;
    const ids = Array.from({ length: 512 }, (_, i) => (i * 37) % vocab_size);
    const multiplied = 2 * 12 * d_model * d_model * n_layer;
    const timed = async (run, products, times) => {
      let best = Infinity;
      for (let i = 0; i < times; i++) {
        const start = performance.now();
        await run();
        best = Math.min(best, performance.now() - start);
      }
      return products / best / 1e6;
    };
    const passes = async () => ({
      prefill512: await timed(() => window.peartree.bench.prefill(ids), multiplied * 512, 3),
      batch32: await timed(() => window.peartree.bench.batch(Array(32).fill(ids.slice(0, 20))), multiplied * 640, 3),
    });
    const before = await passes();
    const controller = new AbortController();
    const seen = [];
    setTimeout(() => controller.abort(), seconds * 1e3);
    const onProgress = ({ done }) => seen.push([performance.now(), done]);
    await window.peartree.tables({ convention: "raw", signal: controller.signal, onProgress }).catch((error) => {
      if (error.code !== "cancelled") throw error;
    });
    const [first, last] = [seen[0], seen.at(-1)];
    const table = ((last[1] - first[1]) * 2 * d_model) / (last[0] - first[0]) / 1e6;
    const after = await passes();
    return { table, passes: Object.entries(before).map(([name, value]) => [name, Math.max(value, after[name])]) };
  }, Number(seconds));
  console.log(`table: ${found.table.toFixed(1)} GFLOP/s`);
  for (const [name, value] of found.passes) console.log(`  ${(found.table / value).toFixed(2)} of ${name}'s ${value.toFixed(1)}`);
}

/** Takes the table from beside the site, and types into the filters of the pairs and into the boxes with completion. */
async function keystrokes(page) {
  await page.evaluate(() => document.getElementById("pairs").scrollIntoView());
  await page.getByRole("button", { name: "Compute and keep the table" }).click();
  await page.locator("#pairs tbody tr").first().waitFor();
  const boxes = [
    ["pairs by token", page.getByLabel("Token holds"), "/^ an/"],
    ["neuron", page.getByRole("combobox", { name: "Neuron", exact: true }), "11:123"],
    ["token", page.locator("#tokens").getByRole("combobox"), " anto"],
  ];
  await page.evaluate(() => {
    window.answered = [];
    addEventListener("input", () => {
      const start = performance.now();
      requestAnimationFrame(() => requestAnimationFrame(() => window.answered.push(performance.now() - start)));
    }, true);
  });
  for (const [name, box, text] of boxes) {
    await box.scrollIntoViewIfNeeded();
    await box.focus();
    for (const key of text) {
      await page.keyboard.insertText(key);
      await page.waitForTimeout(300);
    }
    const times = await page.evaluate(() => window.answered.splice(0));
    console.log(`keystrokes, ${name}: ${times.map((ms) => ms.toFixed(0)).join(" ")} ms`);
  }
}
