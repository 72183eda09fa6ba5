// A walk over the page by chance, on three models: after every step each figure is marked as another state's, or says what
// window.peartree answers for the state in the address. WALK_SEED gives the seed, WALK_STEPS the number of steps.
import assert from "node:assert/strict";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { launch, openPage, serveSite } from "./harness.mjs";
import { answerFrom, settled } from "./visit.mjs";
import { wrong } from "./walk/check.mjs";
import { read } from "./walk/read.mjs";
import { Answers, stateOf } from "./walk/state.mjs";
import { chance, stepsOf } from "./walk/steps.mjs";

const FIXTURES = fileURLToPath(new URL("../fixtures/model-p/", import.meta.url));
const SEED = Number(process.env.WALK_SEED ?? 12);
const STEPS = Number(process.env.WALK_STEPS ?? 300);
/** So many of a walk's steps wait until every figure is there. */
const RESTS = 1 / 8;

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** The oracle's model as a folder of the site, with its tokenizer and without. */
const models = (page) =>
  page.route("**/models/**", (route) => {
    const [, folder, name] = new URL(route.request().url()).pathname.match(/models\/([^/]+)\/(.+)$/);
    if (folder === "ids" && name === "tokenizer.json") return route.fulfill({ status: 404 });
    return answerFrom(FIXTURES, name, route);
  });

/** Typing and sliding are in the address within half a second; what is compared is what stands in both. */
async function snapshotOf(page) {
  for (let tries = 0; ; tries++) {
    const snapshot = await page.evaluate(read);
    const state = stateOf(snapshot.hash);
    const edits = (list, code) => JSON.stringify(list.map((edit) => [edit[code], edit.on]));
    const is = Object.entries(snapshot.fields).every(([key, value]) => value === state[key]) && edits(snapshot.edits, "code") === edits(state.edits, "text");
    if (is || tries === 40) return { ...snapshot, isAddressed: is };
    await page.waitForTimeout(40);
  }
}

const bare = (name) => name.replace(/\/$/, "");

async function walkOn(model, seed, t) {
  const visit = await openPage(browser, site.url, { prepare: models });
  const { page } = visit;
  const random = chance(seed);
  const answers = new Answers(page);
  const walk = {
    answers, broken: [],
    load: async (name) => {
      await page.evaluate((name) => window.peartree.load(name), name);
      await answers.look();
      await page.locator(".model-line b", { hasText: answers.model === "demo" ? "Demo model" : answers.model }).waitFor();
      return name;
    },
  };
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await page.evaluate(() => window.peartree.ready);
  await walk.load(model);
  const steps = stepsOf(page, random, walk);
  const weights = steps.reduce((sum, [weight]) => sum + weight, 0);
  const [done, seen, failures] = [[], {}, []];
  let home = 0;
  for (let step = 1; step <= STEPS && failures.length < 5; step++) {
    let at = random.next() * weights;
    let [, name, act] = steps.find(([weight]) => (at -= weight) < 0);
    // from another model the walk soon comes back
    if (bare(answers.model) !== bare(model) && ++home > 6) [name, act, home] = ["home", () => walk.load(model), 0];
    const what = await act().catch((error) => `not possible: ${error.message.split("\n")[0]}`);
    done.push(`${step}. ${name}${what ? `: ${what}` : ""}`);
    if (random.next() < RESTS) await settled(page);
    else await page.waitForTimeout(random.below(60));
    const snapshot = await snapshotOf(page);
    const found = [...walk.broken.splice(0), ...(await wrong(snapshot, answers, seen))];
    if (!snapshot.isAddressed) found.push(`the fields say what the address doesn't: ${JSON.stringify([snapshot.fields, snapshot.hash])}`);
    if (found.length) failures.push(`after ${done.slice(-4).join("; ")}\n    ${found.slice(0, 4).join("\n    ").slice(0, 1500)}\n    at ${snapshot.hash}`);
  }
  t.diagnostic(`${done.length} steps; figures compared: ${JSON.stringify(seen)}; impossible steps: ${done.filter((line) => line.includes("not possible")).length}`);
  if (process.env.WALK_TELL) t.diagnostic(done.join("\n"));
  const { errors } = visit;
  await visit.close();
  assert.ok(!failures.length, `with WALK_SEED=${SEED}, on ${model}:\n${failures.join("\n")}`);
  assert.deepEqual(errors, []);
  for (const name of ["predictions", "lens", "map mlp_out", "neurons", "edits after", "written", "weights", "token's neurons"]) {
    assert.ok(STEPS < 300 || seen[name] > 0, `the walk never met ${name}`);
  }
}

for (const [i, model] of ["demo", "models/p/", "models/ids/"].entries()) {
  test(`no figure is another state's: ${model}, seed ${SEED + i}`, (t) => walkOn(model, SEED + i, t));
}
