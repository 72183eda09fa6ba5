// The graphics card, which Chromium pretends to be here (SwiftShader): the same answers as the processor's, its program
// downloaded after the first prediction and only where it is of use, and what becomes of a card that fails.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage, serveSite } from "./harness.mjs";
import { informed, settled } from "./visit.mjs";

const CLEAN = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";
const CORRUPTED = "I climbed up the pear tree and picked a pear. I climbed up the lemon tree and picked";

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch({ webgpu: true });
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

/** Waits for the card: its kernels are compiled by a software here, and held against the processor first. */
const onCard = (visit) => informed(visit.page, (info) => info.engine === "webgpu", 180_000);
const asksForCard = (visit) => visit.requests.some((url) => /\/card-[0-9a-f]+(_bg\.wasm|\.js)$/.test(url));

/** One answer of every kind that a model gives. */
const answers = (page) =>
  page.evaluate(
    async ({ clean, corrupted }) => {
      const p = window.peartree;
      const tokens = [" an", " a"];
      const both = { clean, corrupted, tokens };
      return {
        predict: await p.predict({ prompt: clean, top: 5 }),
        lens: await p.lens({ prompt: clean, tokens }),
        attribute: await p.attribute({ prompt: clean, tokens }),
        maps: await p.patch({ ...both, site: "resid_pre" }),
        heads: await p.patch({ ...both, site: "heads" }),
        neurons: await p.neurons({ ...both, layer: 3 }),
        edit: await p.edit({ prompt: corrupted, clean, tokens, set: ["2:92=3@last", "1.h0=clean@last", "0.mlp=*0.5"], top: 3 }),
        text: await p.generate({ prompt: clean, max: 8, temperature: 0 }),
        neuron: await p.congruence({ neuron: "3:7", top: 5 }),
        token: await p.congruence({ token: " an", top: 5 }),
      };
    },
    { clean: CLEAN, corrupted: CORRUPTED },
  );

/** Every number of one answer beside the other's; the largest difference, of the figure or of 1. */
function difference(ours, right, at = "") {
  if (typeof right === "number") return Math.abs(ours - right) / Math.max(1, Math.abs(right));
  if (right === null || typeof right !== "object") {
    assert.equal(ours, right, at);
    return 0;
  }
  assert.deepEqual(Object.keys(ours), Object.keys(right), at);
  return Math.max(0, ...Object.keys(right).map((key) => difference(ours[key], right[key], `${at}.${key}`)));
}

test("every answer of the card is the processor's", async () => {
  const cpu = await open("?engine=cpu");
  const right = await answers(cpu.page);
  assert.equal((await cpu.page.evaluate(() => window.peartree.info())).engine, "cpu");
  assert.equal(asksForCard(cpu), false, "who wants the processor downloads nothing of the card");
  cpu.assertClean();
  await cpu.close();

  const visit = await open("?engine=webgpu");
  await onCard(visit);
  const info = await visit.page.evaluate(() => window.peartree.info());
  assert.match(info.adapter, /swiftshader/i);
  assert.ok(info.gpuBytes > 0);
  assert.match(await visit.page.textContent("#engine"), /graphics card: .*swiftshader/i);
  const ours = await answers(visit.page);
  for (const [name, answer] of Object.entries(right)) {
    const largest = difference(ours[name], answer, name);
    console.log(`${name}: ${largest.toExponential(1)}`);
    assert.ok(largest < 1e-3, `${name}: ${largest}`);
  }
  visit.assertClean();
  await visit.close();
});

test("its program comes after the first prediction was shown", async () => {
  let asked = null;
  const visit = await open("?engine=webgpu", {
    prepare: (page) => page.on("request", (request) => /\/card-/.test(request.url()) && (asked ??= Date.now())),
  });
  await onCard(visit);
  const shown = await visit.page.evaluate(
    () => performance.timeOrigin + performance.getEntriesByName("first-prediction")[0].startTime,
  );
  assert.ok(asked !== null && asked >= shown - 5, `asked for at ${asked}, shown at ${shown}`);
  visit.assertClean();
  await visit.close();
});

test("a card that the processor pretends to be is left alone unless it is asked for", async () => {
  const visit = await open("");
  await visit.page.waitForTimeout(3000);
  assert.equal((await visit.page.evaluate(() => window.peartree.info())).engine, "cpu");
  assert.equal(asksForCard(visit), false);
  assert.match(await visit.page.textContent("#engine"), /processor/);
  visit.assertClean();
  await visit.close();
});

test("load takes the engine that it is told", async () => {
  const visit = await open("?engine=cpu");
  const engine = () => visit.page.evaluate(async () => (await window.peartree.info()).engine);
  await visit.page.evaluate(() => window.peartree.load("demo", { engine: "webgpu" }));
  assert.equal(await engine(), "webgpu");
  await visit.page.evaluate(() => window.peartree.load("demo", { engine: "cpu" }));
  assert.equal(await engine(), "cpu");
  visit.assertClean();
  await visit.close();
});

test("where a browser has no card, who asks for one is told so, and computes on the processor", async () => {
  const plain = await launch();
  try {
    const visit = await openPage(plain, `${site.url}?engine=webgpu`);
    await visit.page.waitForFunction(() => window.peartree);
    await visit.page.evaluate(() => window.peartree.ready);
    await visit.page.waitForSelector("#life:not(.empty)");
    assert.match(await visit.page.textContent("#life"), /no graphics card.*the processor computes/s);
    assert.equal(asksForCard(visit), false);
    const refused = await visit.page.evaluate(() => window.peartree.load("demo", { engine: "webgpu" }).catch((e) => e.code));
    assert.equal(refused, "no_card");
    const { top } = await visit.page.evaluate((prompt) => window.peartree.predict({ prompt, top: 1 }), CLEAN);
    assert.equal(top.length, 1);
    visit.assertClean();
    await visit.close();
  } finally {
    await plain.close();
  }
});

/** Puts into the worker what destroys its device at a message: what a driver that crashes does. */
const withDestroyer = (page) =>
  page.route(/_loader\.js$/, async (route) => {
    const response = await route.fetch();
    const hook = `
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...args) {
        const device = await request.apply(this, args);
        const destroyer = new BroadcastChannel("destroy");
        destroyer.onmessage = () => device.destroy();
        return device;
      };
    `;
    await route.fulfill({ response, body: hook + (await response.text()) });
  });

test("a device that is lost in a sweep: the processor does it, and the page says so", async () => {
  const visit = await open("?engine=webgpu", { prepare: withDestroyer });
  await onCard(visit);
  const found = await visit.page.evaluate(
    async ({ clean, corrupted }) => {
      const sweep = window.peartree.neurons({ clean, corrupted, tokens: [" an", " a"], layer: "all" });
      await new Promise((resolve) => setTimeout(resolve, 60));
      new BroadcastChannel("destroy").postMessage("now");
      return { neurons: await sweep, engine: (await window.peartree.info()).engine };
    },
    { clean: CLEAN, corrupted: CORRUPTED },
  );
  assert.equal(found.engine, "cpu");
  assert.match(await visit.page.textContent("#life"), /graphics card failed.*the processor computes/s);
  const right = await visit.page.evaluate(
    ({ clean, corrupted }) => window.peartree.neurons({ clean, corrupted, tokens: [" an", " a"], layer: "all" }),
    { clean: CLEAN, corrupted: CORRUPTED },
  );
  assert.equal(difference(found.neurons, right), 0, "the processor's own figures");
  await visit.close();
});

test("a load that the card has no room for goes to the processor; one that asks for the card gets a fresh device", async () => {
  const visit = await open("?engine=webgpu", { prepare: withDestroyer });
  await onCard(visit);
  const loaded = (options) =>
    settled(visit.page).then(() => visit.page.evaluate(async (options) => {
      new BroadcastChannel("destroy").postMessage("now");
      await new Promise((resolve) => setTimeout(resolve, 300));
      await window.peartree.load("demo", options);
      const { engine } = await window.peartree.info();
      return { engine, top: (await window.peartree.predict({ prompt: "I climbed up the pear tree", top: 1 })).top[0].token };
    }, options));
  const fresh = await loaded({ engine: "webgpu" });
  assert.equal(fresh.engine, "webgpu");
  const left = await loaded({});
  assert.equal(left.engine, "cpu");
  assert.equal(left.top, fresh.top);
  await visit.close();
});
