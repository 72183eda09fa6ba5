// The post's sweep in a browser: every neuron of layer 8 of a model of GPT-2 small's shape, one token differing at
// position 16 of 20; then all heat maps, how soon a sweep stops, and what it needs of memory.
//
//   node benches/sweep.mjs --site DIR --model DIR [--threads 1] [--layer 8] [--peer MS]
//
// DIR of the model holds config.json and model.safetensors; token ids stand in for text. MS is what a peer needs for
// one neuron by a whole pass (onnxruntime-web's `sweep32` in the same minutes): the ratio is printed against it.
import { launch } from "../tests/e2e/harness.mjs";
import { startServer } from "../scripts/static_server.mjs";
import { openLoaded, options } from "./loaded_page.mjs";

const { site, model, threads = "1", layer = "8", peer } = options();
if (!site || !model) throw new Error("usage: node benches/sweep.mjs --site DIR --model DIR [--threads N] [--layer L] [--peer MS]");

const server = await startServer({ root: site });
const browser = await launch();
const { page, info } = await openLoaded(browser, server.url, { model, threads });
console.log(`${info.model.parameters / 1e6} M parameters, ${info.threads} threads, heap ${(info.heapBytes / 1e6).toFixed(0)} MB`);

const vocab = info.model.config.vocab_size;
const clean = Array.from({ length: 20 }, (_, i) => (i * 7919 + 65) % vocab);
const corrupted = clean.map((id, i) => (i === 16 ? (id + 1) % vocab : id));
const tokens = [1, 2];

const swept = await page.evaluate(
  async ([clean, corrupted, tokens, layer]) => {
    const start = performance.now();
    let estimate, exact;
    const onProgress = (told) => {
      if (told.estimate) estimate ??= performance.now() - start;
      if (told.figures) exact ??= performance.now() - start;
    };
    const { values } = await window.peartree.neurons({ clean, corrupted, tokens, layer, onProgress });
    return { ms: performance.now() - start, estimate, exact, neurons: values.length };
  },
  [clean, corrupted, tokens, Number(layer)],
);
console.log(
  `${swept.neurons} neurons of layer ${layer}: ${(swept.ms / 1e3).toFixed(2)} s; ` +
    `estimates after ${swept.estimate.toFixed(0)} ms, first exact figures after ${swept.exact.toFixed(0)} ms`,
);
if (peer) console.log(`  1/${((Number(peer) * swept.neurons) / swept.ms).toFixed(1)} of the peer's time`);

let all = 0;
for (const asked of ["resid_pre", "attn_out", "mlp_out", "heads"]) {
  const ms = await page.evaluate(
    async ([clean, corrupted, tokens, site]) => {
      const start = performance.now();
      await window.peartree.patch({ clean, corrupted, tokens, site });
      return performance.now() - start;
    },
    [clean, corrupted, tokens, asked],
  );
  all += ms;
  console.log(`${asked}: ${(ms / 1e3).toFixed(2)} s`);
}
console.log(`all heat maps: ${(all / 1e3).toFixed(2)} s`);

const stopped = await page.evaluate(
  async ([clean, corrupted, tokens]) => {
    const controller = new AbortController();
    const call = window.peartree.neurons({ clean, corrupted, tokens, layer: "all", signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const start = performance.now();
    controller.abort();
    return call.then(() => "went on", () => performance.now() - start);
  },
  [clean, corrupted, tokens],
);
console.log(`a sweep of all neurons stopped after ${stopped.toFixed(0)} ms`);
const after = await page.evaluate(() => window.peartree.info());
const weights = after.model.parameters * 4;
console.log(`heap after all of it: ${(after.heapBytes / 1e6).toFixed(0)} MB, ${((after.heapBytes - weights) / 1e6).toFixed(0)} MB above the weights`);
await browser.close();
await server.close();
