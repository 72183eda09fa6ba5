// window.peartree: what scripts on the page call, held to the oracle's figures and to its promises.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { launch, serveSite } from "./harness.mjs";
import { POST_PROMPT, answerFrom, visitPage } from "./visit.mjs";

const FIXTURES = fileURLToPath(new URL("../fixtures/model-p/", import.meta.url));
const oracle = JSON.parse(readFileSync(path.join(FIXTURES, "pair-0.json"), "utf8"));
const intervene = JSON.parse(readFileSync(path.join(FIXTURES, "intervene.json"), "utf8"));
const TOLERANCE = 1e-4;

let site, browser, visit, page;
before(async () => {
  site = await serveSite();
  browser = await launch();
  visit = await visitPage(browser, site);
  page = visit.page;
  // the oracle's model as one more folder of the site; one folder without a tokenizer, one with a short file
  await page.route("**/models/**", (route) => {
    const [, folder, name] = new URL(route.request().url()).pathname.match(/models\/([^/]+)\/(.+)$/);
    if (folder === "ids" && name === "tokenizer.json") return route.fulfill({ status: 404 });
    if (folder === "short" && name === "model.safetensors") return route.fulfill({ body: readFileSync(path.join(FIXTURES, name)).subarray(0, 50000) });
    return answerFrom(FIXTURES, name, route);
  });
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** Calls `peartree[name](options)` on the page: { value } or { error: { name, code, message } }. */
const call = (name, ...given) =>
  page.evaluate(
    async ([name, given]) => {
      try {
        return { value: await window.peartree[name](...given) };
      } catch (error) {
        return { error: { isError: error instanceof Error, code: error.code, message: error.message } };
      }
    },
    [name, given],
  );
async function value(name, ...given) {
  const answer = await call(name, ...given);
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  return answer.value;
}
async function code(name, ...given) {
  const { error } = await call(name, ...given);
  assert.ok(error?.isError && error.message.length > 20, `${name} gave no error that says anything`);
  return error.code;
}
function close(what, ours, theirs) {
  assert.equal(ours.length, theirs.length, what);
  ours.forEach((figure, i) => assert.ok(Math.abs(figure - theirs[i]) <= TOLERANCE, `${what}[${i}]: ${figure}, oracle ${theirs[i]}`));
}

test("options with names that every object has are refused like any other", async () => {
  const codes = await page.evaluate(async () => {
    const peartree = window.peartree;
    await peartree.ready;
    const told = async (promise) => promise.then(() => "taken", (error) => `${error.code}: ${error.message}`);
    const found = [];
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf", "topp"]) {
      // JSON's __proto__ is a property of the object's own, not its parent
      const option = (more) => JSON.parse(`{ ${more} "${name}": { "prompt": "I" } }`);
      const prompt = option('"prompt": "I",');
      const corpus = option('"data": ["corpora/none.jsonl"],');
      const calls = { predict: [prompt], load: ["demo", option("")], describe: ["gpt2", option("")], verify: ["x", option("")], corpus: [corpus] };
      for (const [call, given] of Object.entries(calls)) found.push([name, call, await told(peartree[call](...given))]);
    }
    // an option is the object's own: what its parent has is no option, and none is made of what is called __proto__
    found.push(["__proto__", "parent", await told(peartree.predict(JSON.parse('{ "__proto__": { "prompt": "I" } }')))]);
    return found;
  });
  for (const [name, call, told] of codes) {
    assert.ok(told.startsWith("bad_option: "), `${call} with ${name}: ${told}`);
    if (call !== "parent") assert.ok(told.includes(name), `${call} with ${name}: ${told}`);
  }
});

test("is ready with the demo model", async () => {
  await page.evaluate(() => window.peartree.ready);
  const info = await value("info");
  assert.equal(info.model.name, "demo");
  assert.equal(info.engine, "cpu");
  assert.ok(info.simd && info.threads >= 1 && info.heapBytes > 1e6 && info.version);
});

test("loads a folder of the site, tells its progress, and the page follows", async () => {
  const progress = await page.evaluate(async () => {
    const seen = [];
    await window.peartree.load("models/p/", { engine: "cpu", dtype: "f32", onProgress: (p) => seen.push(p) });
    return seen;
  });
  const last = progress.filter((p) => p.what === "model.safetensors").at(-1);
  assert.deepEqual([last.done, last.unit], [1421600, "bytes"]);
  await page.locator(".model-line", { hasText: "models/p" }).waitFor();
});

test("loads weights in f16, and refuses a type that there isn't", async () => {
  const figures = () => value("lens", { prompt: oracle.clean, tokens: [" an", " a"] });
  const loaded = await page.evaluate(() => window.peartree.load("models/p/", { dtype: "f16" }));
  assert.equal(loaded.dtype, "f16");
  const { own_ln } = await figures();
  for (const [i, figure] of own_ln.entries()) assert.ok(Math.abs(figure - oracle.lens_own[i]) < 2e-2, `${figure} ${oracle.lens_own[i]}`);
  const code = await page.evaluate(() => window.peartree.load("models/p/", { dtype: "f8" }).catch((error) => error.code));
  assert.equal(code, "bad_option");
  await page.evaluate(() => window.peartree.load("models/p/"));
  assert.equal((await value("info")).model.dtype, "f32");
  assert.notDeepEqual((await figures()).own_ln, own_ln);
});

test("predicts the oracle's figures", async () => {
  const prediction = await value("predict", { prompt: oracle.clean, top: 10 });
  assert.deepEqual(prediction.ids, oracle.clean_ids);
  assert.deepEqual(prediction.top.map((token) => token.id), oracle.clean_top10.map(([id]) => id));
  close("probs", prediction.top.map((token) => token.prob), oracle.clean_top10.map(([, , prob]) => prob));
  close("logprobs", prediction.logprobs, oracle.clean_next_log_prob);
  assert.deepEqual(await value("predict", { prompt: oracle.clean_ids, top: 10 }), prediction);
});

test("reads the lens's figures in both conventions, tokens by text, by # and by id", async () => {
  const lens = await value("lens", { prompt: oracle.clean, tokens: [" an", " a"] });
  close("final_ln", lens.final_ln, oracle.lens_notebook.map((figure) => figure + oracle.lens_bias));
  close("own_ln", lens.own_ln, oracle.lens_own);
  assert.equal(lens.labels.at(-1), "final");
  assert.deepEqual(await value("lens", { prompt: oracle.clean, tokens: ["#259", 257] }), lens);
});

test("generates the oracle's text, and tells it as it grows", async () => {
  const max = oracle.greedy_ids.length - oracle.clean_ids.length;
  const { generation, seen } = await page.evaluate(
    async ([prompt, max]) => {
      const seen = [];
      const generation = await window.peartree.generate({ prompt, max, onProgress: (so_far) => seen.push(so_far.ids.length) });
      return { generation, seen };
    },
    [oracle.clean, max],
  );
  assert.deepEqual(generation.ids, oracle.greedy_ids.slice(oracle.clean_ids.length));
  assert.equal(oracle.clean + generation.text, oracle.greedy_text);
  assert.deepEqual(seen, Array.from({ length: max }, (_, i) => i + 1));
});

const PAIR = { clean: oracle.clean, corrupted: oracle.corrupted, tokens: [oracle.token, oracle.other] };

test("attributes the difference to the oracle's components and heads", async () => {
  const found = await value("attribute", { prompt: oracle.clean, tokens: PAIR.tokens });
  const layers = found.attn.flatMap((attn, layer) => [attn, found.mlp[layer]]);
  close("components", [found.embed, found.pos_embed, ...layers], oracle.dla_components);
  found.heads.forEach((heads, layer) => close(`heads of layer ${layer}`, heads, oracle.dla_heads[layer]));
  close("total", [found.total, found.bias], [oracle.clean_logit_diff, oracle.lens_bias]);
});

test("patches the oracle's heat maps, bars and heads", async () => {
  for (const [site, wholeLayer, key] of [
    ["resid_pre", false, "patch_resid_pre"], ["attn_out", false, "patch_attn_out"], ["mlp_out", false, "patch_mlp_out"],
    ["attn_out", true, "patch_attn_out_all"], ["mlp_out", true, "patch_mlp_out_all"], ["heads", false, "patch_head"],
  ]) {
    const { clean, corrupted, values, estimate } = await value("patch", { ...PAIR, site, wholeLayer });
    close(key, values.flat(), oracle[key].flat());
    close("ends", [clean, corrupted], [oracle.clean_logit_diff, oracle.corrupted_logit_diff]);
    assert.equal(estimate.flat().length, values.flat().length);
  }
});

test("patches the oracle's neurons: estimates first, then every exact figure once, with progress", async () => {
  const { neurons, seen } = await page.evaluate(async (pair) => {
    const seen = [];
    const neurons = await window.peartree.neurons({ ...pair, layer: "all", onProgress: (part) => seen.push(part) });
    return { neurons, seen };
  }, PAIR);
  const flat = neurons.values.flatMap((row, layer) => row.map((figure, i) => [layer, i, figure]));
  const top = flat.sort((a, b) => b[2] - a[2]).slice(0, 10);
  assert.deepEqual(top.map(([layer, i]) => [layer, i]), oracle.patch_neuron_top10.map(([layer, i]) => [layer, i]));
  close("shares", top.map((row) => row[2]), oracle.patch_neuron_top10.map((row) => row[2]));
  assert.deepEqual(seen[0].estimate, neurons.estimate);
  const told = seen.filter((part) => part.figures).flatMap(({ first, figures }) => figures.map((figure, i) => [first + i, figure]));
  assert.deepEqual(told.sort(([a], [b]) => a - b).map(([, figure]) => figure), neurons.values.flat());
  const runs = seen.filter((part) => part.unit === "runs").at(-1);
  assert.deepEqual([runs.done, runs.total], [told.length, told.length]);
  const one = await value("neurons", { ...PAIR, layer: 2 });
  assert.deepEqual([one.values.length, one.direct.length, one.direct_share.length], Array(3).fill(neurons.values[2].length));
});

test("edits the oracle's neuron: zero, mean, a value, the clean run's", async () => {
  const place = `${intervene.layer}:${intervene.neuron}`;
  for (const [prompt, set, expected] of [
    [oracle.clean, [`${place}=0@all`], intervene.zero_all_clean],
    [oracle.clean, [`${place}=zero@last`], intervene.zero_last_clean],
    [oracle.clean, [`${place}=mean:${intervene.mean_act}`], intervene.mean_all_clean],
    [oracle.corrupted, [`blocks.${intervene.layer}.mlp.hook_post[${intervene.neuron}]=0`], intervene.zero_all_corrupted],
    ...intervene.steer_last_clean.map((steered) => [oracle.clean, [`${place}=${steered.value}@last`], steered]),
  ]) {
    const { after } = await value("edit", { prompt, tokens: PAIR.tokens, set, top: 5 });
    close(set[0], [after.diff, ...after.top.map((token) => token.prob)], [expected.logit_diff, ...expected.top5.map((row) => row[2])]);
  }
  const { before, after } = await value("edit", { prompt: oracle.corrupted, clean: oracle.clean, tokens: PAIR.tokens, set: [`${place}=clean`] });
  const [[layer, neuron, share]] = oracle.patch_neuron_top10;
  assert.deepEqual([layer, neuron], [intervene.layer, intervene.neuron]);
  close("share", [(after.diff - before.diff) / (oracle.clean_logit_diff - before.diff)], [share]);
});

test("generates under edits", async () => {
  const set = [`${intervene.layer}:${intervene.neuron}=0`];
  const plain = await value("generate", { prompt: oracle.clean, max: 4 });
  const edited = await value("generate", { prompt: oracle.clean, max: 4, set });
  assert.ok(plain.text.startsWith(" an") && edited.text.startsWith(" a "), `${plain.text}; ${edited.text}`);
});

test("refuses patches and edits it can't make, by code", async () => {
  assert.equal(await code("patch", { ...PAIR, site: "nowhere" }), "bad_option");
  assert.equal(await code("patch", { ...PAIR, corrupted: oracle.clean, site: "heads" }), "same_prompts");
  assert.equal(await code("neurons", { ...PAIR, layer: 99 }), "bad_option");
  assert.equal(await code("neurons", { ...PAIR, layer: "some" }), "bad_option");
  for (const set of ["rubbish", "99:0=0", "0:0=clean"]) {
    assert.equal(await code("edit", { prompt: oracle.clean, tokens: PAIR.tokens, set: [set] }), "bad_option");
  }
});

test("calls at the same time are all answered", async () => {
  const answers = await page.evaluate(
    (prompt) => Promise.all(Array.from({ length: 6 }, (_, i) => window.peartree.predict({ prompt, top: i + 1 }))),
    oracle.clean,
  );
  assert.deepEqual(answers.map((answer) => answer.top.length), [1, 2, 3, 4, 5, 6]);
});

test("a call is stopped by its signal, waiting or running", async () => {
  const codes = await page.evaluate(async (pair) => {
    // as many runs as a model's layers times its longest prompt: no machine ends them before it hears of the signal
    const { n_ctx } = (await window.peartree.info()).model.config;
    const long = { clean: Array(n_ctx).fill(5), corrupted: Array(n_ctx).fill(6), tokens: pair.tokens, site: "resid_pre" };
    const sweep = (options) => window.peartree.patch({ ...long, ...options }).then(() => "went on", (error) => error.code);
    const [waits, runs] = [new AbortController(), new AbortController()];
    const running = sweep({ signal: runs.signal, onProgress: () => runs.abort() });
    const waiting = sweep({ signal: waits.signal });
    waits.abort();
    return Promise.all([running, waiting]);
  }, PAIR);
  assert.deepEqual(codes, ["cancelled", "cancelled"]);
  await value("predict", { prompt: oracle.clean });
});

test("refuses what it can't answer, by code", async () => {
  assert.equal(await code("predict", { prompt: "" }), "empty_prompt");
  assert.equal(await code("predict", { prompt: Array(2000).fill(5) }), "prompt_too_long");
  assert.equal(await code("predict", { prompt: [5, 99999] }), "unknown_id");
  assert.equal(await code("predict", { prompt: "half \ud83c a pear" }), "broken_text");
  assert.equal(await code("lens", { prompt: "I", tokens: [" an", " an apple"] }), "not_one_token");
  assert.equal(await code("lens", { prompt: "I" }), "bad_option");
  assert.equal(await code("predict", { prompt: "I", topp: 3 }), "bad_option");
  assert.equal(await code("predict"), "bad_option");
  assert.equal(await code("generate", { prompt: "I", max: 0 }), "bad_option");
  assert.equal(await code("load", "ftp://example.com/gpt2/"), "unsupported");
  assert.equal(await code("load", "demo", { engine: "gpu" }), "bad_option");
  assert.equal(await code("load", 7), "unsupported");
  assert.equal(await code("load", []), "not_there");
});

test("a model that doesn't load leaves the one before", async () => {
  assert.equal(await code("load", "models/short/"), "bad_weights");
  assert.deepEqual((await value("predict", { prompt: oracle.clean })).ids, oracle.clean_ids);
});

test("loads files", async () => {
  const name = await page.evaluate(async () => {
    const file = async (name) => new File([await (await fetch(`models/p/${name}`)).blob()], name);
    const files = await Promise.all(["model.safetensors", "tokenizer.json", "config.json"].map(file));
    return (await window.peartree.load(files)).name;
  });
  assert.equal(name, "files from this device");
  assert.deepEqual((await value("predict", { prompt: oracle.clean })).ids, oracle.clean_ids);
});

test("a folder without a tokenizer reads ids", async () => {
  assert.equal((await value("load", "models/ids/")).has_tokenizer, false);
  const prediction = await value("predict", { prompt: oracle.clean_ids });
  assert.equal(prediction.top[0].id, oracle.clean_top10[0][0]);
  assert.equal(await code("predict", { prompt: "text" }), "no_tokenizer");
});

test("goes back to the demo", async () => {
  await value("load", "demo");
  const prediction = await value("predict", { prompt: POST_PROMPT });
  assert.equal(prediction.top[0].token, " an");
});

test("has said and fetched nothing it should not, the missing tokenizer aside", () => {
  const missing = /ids\/(tokenizer\.json|vocab\.json|merges\.txt)/;
  visit.console = visit.console.filter((line) => !missing.test(line));
  visit.failed = visit.failed.filter((line) => !missing.test(line) && !/^https?:[^ ]*models\/short\/.*ERR_ABORTED$/.test(line));
  visit.assertClean();
});
