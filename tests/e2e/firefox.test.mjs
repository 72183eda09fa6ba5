// The page in another browser, Debian's Firefox: a first visit, and a worker killed at ten moments, on one thread and on
// several; a model from a hub kept over a reload.
//
// The former in a Firefox that nobody drives, by a script in the page, which tells what it saw. For where something listens for
// workers, as WebDriver BiDi does since Firefox 153, a worker that starts another waits until the page's thread has noted it, and
// about once in 50 times Firefox wakes the new one instead: `new Worker` never comes back, and the worker that waits in it
// can't be terminated and holds its lock for ever. The hub's model is driven by BiDi, which Playwright's own builds don't speak.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Browser, createProfile } from "@puppeteer/browsers";
import puppeteer from "puppeteer-core";
import { builtSite, onPath, serveSite } from "./harness.mjs";
import { startHub } from "./hub_server.mjs";
import { largerModel } from "./larger_model.mjs";
import { copyOf } from "./second_build.mjs";
import { POST_PROMPT } from "./visit.mjs";

const REPO = "org/name";
const SOON_MS = Number(process.env.SOON_MS ?? 2000);
const FIGURES_MS = 60_000;
const VISIT_MS = 300_000;
const ROUNDS = 2;
const FIREFOX = process.env.FIREFOX ?? onPath(["firefox-esr", "firefox"]);
const SWEEP = { clean: POST_PROMPT, corrupted: POST_PROMPT.replace("apple", "lemon"), tokens: [" an", " a"], layer: "all" };
const MOMENTS = [
  ["idle", null],
  ["loading", "load", "demo"],
  ["a sweep", "neurons", SWEEP],
  ["a generation", "generate", { prompt: POST_PROMPT, max: 60, temperature: 0.8, seed: 1 }],
  ["a corpus pass", "corpus", { data: "demo", neurons: ["2:92: an"] }],
];

/** Whether the first screen's figures are there. */
const figured = () => document.querySelectorAll(".figure").length > 3 && !document.querySelector('[aria-busy="true"]');

/** What `script(tell, input)` tells from the site's page, of which it is the first script, in a Firefox of its own. */
async function toldBy(script, input, { isolated }) {
  const root = copyOf(builtSite());
  const profile = mkdtempSync(path.join(tmpdir(), "peartree-profile-"));
  const index = path.join(root, "index.html");
  writeFileSync(index, readFileSync(index, "utf8").replace("<head>", '<head><script src="./tell.js"></script>'));
  writeFileSync(
    path.join(root, "tell.js"),
    `{
      const figured = ${figured};
      const tell = (what) => fetch("./told?" + encodeURIComponent(JSON.stringify(what)), { cache: "no-store" });
      (${script})(tell, ${JSON.stringify(input)}).catch((error) => tell({ broke: String(error) })).then(() => tell("end"));
    }`,
  );
  const site = await serveSite({ root, isolated });
  await createProfile(Browser.FIREFOX, { path: profile, preferences: {} });
  const firefox = spawn(FIREFOX, ["--headless", "--no-remote", "--profile", profile, site.url], { stdio: "ignore" });
  const ended = once(firefox, "exit");
  const told = () => {
    const asked = site.responses.map((response) => /^told\?(.*)/.exec(response.path)?.[1]);
    return asked.filter((what) => what !== undefined).map((what) => JSON.parse(decodeURIComponent(what)));
  };
  const until = Date.now() + VISIT_MS;
  while (told().at(-1) !== "end" && Date.now() < until && firefox.exitCode === null) await sleep(200);
  firefox.kill();
  await ended;
  await site.close();
  for (const folder of [root, profile]) rmSync(folder, { recursive: true, force: true });
  assert.equal(told().at(-1), "end", `it ended early: ${JSON.stringify(told())}`);
  return told().slice(0, -1);
}

/** In the page: a first visit, then `rounds` kills at each of the moments. */
async function visitAndKill(tell, { moments, rounds, prompt }) {
  const said = [];
  for (const level of ["error", "warn"]) console[level] = (...what) => said.push(`${level}: ${what.join(" ")}`);
  for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"]) {
    addEventListener(kind, ({ message, reason, violatedDirective }) => said.push(`${kind}: ${message ?? reason ?? violatedDirective}`));
  }
  const workers = [];
  globalThis.Worker = class extends Worker {
    constructor(address, options) {
      super(address, options);
      workers.push(this);
    }
  };
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const ask = async (method, options) => {
    const start = performance.now();
    const outcome = await peartree[method](options).then((value) => ({ value }), ({ code, message }) => ({ code, message }));
    return { ms: performance.now() - start, ...outcome };
  };
  /** Whether it is the answer that there was before. */
  const isSame = ({ value }, before) => value !== undefined && JSON.stringify(value) === JSON.stringify(before.value);
  while (!figured()) await pause(100);
  const rows = [...document.querySelectorAll(".candidates li .tok")].map((token) => token.textContent);
  const before = await ask("predict", { prompt });
  await tell({ isolated: crossOriginIsolated, rows: rows.length, first: rows[0], likeliest: before.value?.top[0].token });
  for (const [moment, method, options] of moments) {
    const whole = method && (await ask(method, options));
    for (let round = 0; round < rounds; round++) {
      const work = method && ask(method, options);
      await pause(Math.random() * Math.min(300, whole?.ms ?? 50));
      workers.at(-1).terminate();
      const after = await ask("predict", { prompt });
      const done = await work;
      const isDone = !method || isSame(done, whole);
      await tell({ moment, ms: Math.round(after.ms), isSame: isSame(after, before), isDone, failures: [after.message, done?.message] });
    }
  }
  await tell({ said });
}

for (const [kind, isolated] of [["with threads", true], ["with one thread", false]]) {
  test(`Firefox, ${kind}: a first visit shows the figures, and a worker killed at any moment is followed by another`, async (t) => {
    const input = { moments: MOMENTS, rounds: ROUNDS, prompt: POST_PROMPT };
    const [visit, ...told] = await toldBy(visitAndKill, input, { isolated });
    assert.equal(visit.isolated, isolated);
    assert.equal(visit.rows, 10);
    assert.equal(visit.first.trim().replace("·", " "), visit.likeliest);
    assert.deepEqual(told.pop(), { said: [] });
    assert.equal(told.length, MOMENTS.length * ROUNDS);
    for (const kill of told) {
      t.diagnostic(`${kill.moment}: ${kill.ms} ms`);
      assert.ok(kill.isSame && kill.isDone && kill.ms < SOON_MS, JSON.stringify(kill));
    }
  });
}

test("Firefox: a model from a hub is kept, found again at the next visit, and deleted", async (t) => {
  // on one thread: loading a model starts no worker in a worker there
  const site = await serveSite({ isolated: false });
  const hub = await startHub({ [REPO]: Object.fromEntries(largerModel().map(({ name, buffer }) => [name, buffer])) });
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX });
  t.after(() => Promise.all([browser.close(), hub.close(), site.close()]));
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(error.stack ?? String(error)));
  await page.setViewport({ width: 1280, height: 900 });
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`violates ${violatedDirective}: ${blockedURI}`);
    });
  });
  const arrive = () => page.waitForFunction(figured, { timeout: FIGURES_MS });
  const ask = (method, ...options) => page.evaluate((method, options) => peartree[method](...options), method, options);
  const load = async () => (await ask("load", REPO, { hub: hub.url })).name;
  const predict = () => ask("predict", { prompt: [1, 2, 3, 4] });

  await page.goto(site.url);
  await arrive();
  assert.equal(await load(), REPO);
  const before = await predict();
  const sent = hub.sent.length;
  await page.reload();
  await arrive();
  assert.equal(await load(), REPO);
  assert.deepEqual(await predict(), before);
  assert.equal(hub.sent.length, sent, "its weights were asked for again");
  await ask("forget", REPO);
  assert.deepEqual((await ask("kept")).models, []);
  assert.deepEqual(said, []);
});
