// A pass over a corpus in a browser, beside the engine's own forward passes of the same shape: what the bookkeeping costs.
//
//   node benches/corpus.mjs --site DIR [--model DIR] [--threads 1] [--layers all] [--seconds 20]
//
// Two models: the demo, and DIR's (config.json, model.safetensors, tokenizer.json), or else random weights of GPT-2 small's
// blocks on the tests' small vocabulary. Documents are a little longer than the context, so that every row is one context; the pass
// watches whole layers and one pair of neuron and token. Both are timed from call to answer, three times in turn.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { launch } from "../tests/e2e/harness.mjs";
import { largerModel } from "../tests/e2e/larger_model.mjs";
import { startServer } from "../scripts/static_server.mjs";
import { options } from "./loaded_page.mjs";

const { site, model, threads = "1", layers = "all", seconds = "20" } = options();
if (!site) throw new Error("usage: node benches/corpus.mjs --site DIR [--model DIR] [--threads N] [--layers all|N] [--seconds N]");

const root = mkdtempSync(path.join(path.dirname(path.resolve(site)), "corpus-"));
cpSync(site, root, { recursive: true });
const folder = path.join(root, "models/small");
mkdirSync(folder, { recursive: true });
if (model) {
  for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) cpSync(path.join(model, name), path.join(folder, name));
} else {
  for (const { name, buffer } of largerModel({ layers: 12, heads: 12, width: 768 })) writeFileSync(path.join(folder, name), buffer);
}
const server = await startServer({ root });
const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`${server.url}?threads=${threads}`);
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => window.peartree.ready);
  for (const place of ["demo", "models/small/"]) {
    const found = await page.evaluate(measure, { place, threads: Number(threads), layers, seconds: Number(seconds) });
    console.log(`${place}: a pass over ${found.tokens} tokens, rows of ${found.n_ctx}, layers ${layers}, ${threads} thread(s)`);
    for (const { pass, forward } of found.rounds) {
      console.log(`  ${Math.round(pass)} tokens/s : ${Math.round(forward)} tokens/s = ${(pass / forward).toFixed(2)}`);
    }
  }
} finally {
  await browser.close();
  await server.close();
  rmSync(root, { recursive: true });
}

async function measure({ place, threads, layers, seconds }) {
  const { n_ctx, d_mlp, vocab_size } = (await window.peartree.load(place, { threads })).config ?? (await window.peartree.info()).model.config;
  const rows = Math.max(1, Math.floor(512 / n_ctx));
  const batch = Array.from({ length: rows }, (_, r) => Array.from({ length: n_ctx }, (_, i) => (r * 31 + i * 37) % vocab_size));
  const forward = async (batches) => {
    const start = performance.now();
    for (let i = 0; i < batches; i++) await window.peartree.bench.batch(batch);
    return (batches * rows * n_ctx * 1e3) / (performance.now() - start);
  };
  await forward(1);
  const batches = Math.max(4, Math.ceil((seconds * (await forward(2))) / rows / n_ctx));
  const words = ["I climbed up the pear tree", "and picked a pear.", "The lemon was ripe", "and the apple was not.", "We saw an old house."];
  const text = (i) => Array.from({ length: Math.ceil(n_ctx / 4) }, (_, at) => words[(i * 7 + at * at) % words.length]).join(" ");
  const lines = Array.from({ length: batches * rows }, (_, i) => JSON.stringify({ text: text(i) })).join("\n");
  const data = [new File([lines], "texts.jsonl")];
  const options = { data, neurons: [`1:${Math.min(220, d_mlp - 1)}: an`], layers };
  const rounds = [];
  let tokens;
  // the first pass fetches the reader's program
  await window.peartree.corpus({ ...options, share: 0.01 });
  for (let round = 0; round < 3; round++) {
    const before = await forward(batches);
    const start = performance.now();
    tokens = (await window.peartree.corpus(options)).positions;
    const pass = (tokens * 1e3) / (performance.now() - start);
    rounds.push({ pass, forward: Math.max(before, await forward(batches)) });
  }
  return { tokens, n_ctx, rounds };
}
