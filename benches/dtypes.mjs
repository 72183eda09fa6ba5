// What f16 weights cost in a browser beside f32 ones: the same model loaded both ways, each in a page of its own, and the
// benchmark's tasks in turn.
//
//   node benches/dtypes.mjs --site DIR --model DIR [--threads 1] [--isolated 1] [--rounds 5]
//
// The page is cross-origin isolated, so it has threads and relaxed simd, unless `--isolated 0`: then simd128 alone.
// DIR of the model holds config.json and model.safetensors. Each figure is the least of all rounds.
import { launch } from "../tests/e2e/harness.mjs";
import { startServer } from "../scripts/static_server.mjs";
import { openLoaded, options } from "./loaded_page.mjs";

const { site, model, threads = "1", isolated = "1", rounds = "5" } = options();
if (!site || !model) {
  throw new Error("usage: node benches/dtypes.mjs --site DIR --model DIR [--threads N] [--isolated 0|1] [--rounds N]");
}

const server = await startServer({ root: site });
const browser = await launch();

async function open(dtype) {
  const hide = (page) => page.addInitScript(() => Object.defineProperty(globalThis, "crossOriginIsolated", { value: false }));
  const prepare = isolated === "0" ? hide : undefined;
  const { page, info, ms } = await openLoaded(browser, server.url, { model, threads, dtype, prepare });
  const heap = `heap ${(info.heapBytes / 1e6).toFixed(0)} MB`;
  console.log(`${info.model.dtype}: ${info.threads} threads, ${heap}, loaded in ${(ms / 1e3).toFixed(2)} s`);
  return page;
}

const pages = { f32: await open("f32"), f16: await open("f16") };

const tasks = {
  prefill20: ({ bench }, ids) => bench.prefill(ids(20)),
  prefill512: ({ bench }, ids) => bench.prefill(ids(512)),
  decode: async ({ bench }, ids) => {
    const { ms, steps } = await bench.decode(ids(20), 32);
    return ms / steps;
  },
  batch32: ({ bench }, ids) => bench.batch(Array.from({ length: 32 }, () => ids(20))),
  tail32: async ({ bench }) => (await bench.tail({ B: 32, reps: 2 })).ms,
};

console.log(`${"".padEnd(12)}${["f32 ms", "f16 ms", "f16 : f32"].map((name) => name.padStart(11)).join("")}`);
for (const [name, task] of Object.entries(tasks)) {
  const best = { f32: Infinity, f16: Infinity };
  for (let round = 0; round < Number(rounds); round++) {
    for (const dtype of round % 2 ? ["f16", "f32"] : ["f32", "f16"]) {
      const ms = await pages[dtype].evaluate(async (task) => {
        const ids = (n) => Array.from({ length: n }, (_, i) => (65 + 7 * i) % 1000);
        const start = performance.now();
        // a function's text can cross into the page, the function can't
        const told = await new Function(`return (${task})`)()(window.peartree, ids);
        return typeof told === "number" ? told : performance.now() - start;
      }, task.toString());
      best[dtype] = Math.min(best[dtype], ms);
    }
  }
  const figures = [best.f32.toFixed(2), best.f16.toFixed(2), (best.f16 / best.f32).toFixed(3)];
  console.log(`${name.padEnd(12)}${figures.map((figure) => figure.padStart(11)).join("")}`);
}
await browser.close();
await server.close();
