// Where the browser keeps nothing for the page: plain http on a name that isn't localhost, and private windows. Models
// load all the same, unshared and unkept, and the page says so.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { builtSite, launch, serveSite } from "./harness.mjs";
import { startHub } from "./hub_server.mjs";
import { largerModel } from "./larger_model.mjs";
import { copyOf } from "./second_build.mjs";
import { predictions, visitPage } from "./visit.mjs";

const REPO = "org/name";

let site, browser, hub;
before(async () => {
  site = await serveSite();
  browser = await launch({ args: ["--host-resolver-rules=MAP peartree.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost"] });
  hub = await startHub({ [REPO]: Object.fromEntries(largerModel().map(({ name, buffer }) => [name, buffer])) });
});
after(async () => {
  await browser?.close();
  await site?.close();
  await hub?.close();
});

const call = (page, method, ...args) =>
  page.evaluate(
    ([method, args]) => peartree[method](...args).then((value) => ({ value }), ({ code, message }) => ({ code, message })),
    [method, args],
  );

/** Loads a model from a hub, twice, with all that is asked about kept ones. */
async function keepsNothing(visit) {
  const { page } = visit;
  const options = { hub: hub.url };
  const described = await call(page, "describe", REPO, options);
  assert.equal(described.value?.kept, false, described.message);
  for (let i = 0; i < 2; i++) {
    const loaded = await call(page, "load", REPO, options);
    assert.equal(loaded.value?.name, REPO, loaded.message);
    const kept = await call(page, "kept");
    assert.deepEqual(kept.value.models, [], kept.message);
    assert.equal(kept.value.room.transient, true);
  }
  assert.equal((await call(page, "forget", REPO)).code, "not_kept");
  assert.equal((await call(page, "verify", REPO)).code, "not_kept");
  assert.ok((await call(page, "predict", { prompt: "I picked" })).value);
  await page.getByRole("button", { name: "Use another model" }).click();
  await page.getByText("This browser lets the page keep nothing here").waitFor();
}

test("plain http on a name that isn't localhost: the page works and keeps nothing", async () => {
  const url = site.url.replace("localhost", "peartree.test");
  const visit = await visitPage(browser, { ...site, url }, { origins: hub.origins });
  const { page } = visit;
  assert.equal(await page.evaluate(() => isSecureContext || "locks" in navigator || "caches" in globalThis), false);
  assert.equal((await predictions(page)).length, 10);
  assert.equal((await call(page, "kept")).value.room.transient, true);
  await keepsNothing(visit);
  const pass = await call(page, "corpus", { data: "demo", neurons: ["0:1: an"], share: 0.02 });
  assert.ok(pass.value, pass.message);
  await visit.shot("keeps-nothing");
  // the browser itself says that it ignores the headers of isolation there
  visit.console = visit.console.filter((said) => !/Cross-Origin-Opener-Policy/.test(said));
  visit.assertClean();
  await visit.close();
});

/** The page with a script in its workers before their own; in a copy of the site, as a request that a test answers has no preflight. */
async function withWorkers(script) {
  const root = copyOf(builtSite());
  for (const name of readdirSync(root).filter((name) => name.endsWith("_loader.js"))) {
    writeFileSync(path.join(root, name), script + readFileSync(path.join(root, name), "utf8"));
  }
  const changed = await serveSite({ root });
  const visit = await visitPage(browser, changed, { context: { serviceWorkers: "block" }, origins: hub.origins });
  const { close, assertClean } = visit;
  visit.assertClean = () => {
    visit.console = visit.console.filter((said) => !/blocked by Playwright/.test(said));
    assertClean();
  };
  visit.close = async () => {
    await Promise.all([close(), changed.close()]);
    rmSync(root, { recursive: true });
  };
  return visit;
}

const REFUSE = "const refuse = () => Promise.reject(new DOMException('no', 'SecurityError'));";

for (const [what, script] of [
  ["files and caches both refuse", `${REFUSE} StorageManager.prototype.getDirectory = refuse; CacheStorage.prototype.open = refuse;`],
  ["files refuse and caches let nothing in", `${REFUSE} StorageManager.prototype.getDirectory = refuse; Cache.prototype.put = refuse;`],
]) {
  test(`a private window where ${what}: the page works and keeps nothing`, async () => {
    const visit = await withWorkers(`{${script}}`);
    await keepsNothing(visit);
    visit.assertClean();
    await visit.close();
  });
}

for (const [what, script] of [
  ["there are none", "Object.defineProperty(WorkerNavigator.prototype, 'locks', { value: undefined });"],
  ["the browser gives none", `${REFUSE} LockManager.prototype.request = refuse;`],
]) {
  test(`locks between tabs: where ${what}, a model is loaded unshared, and kept`, async () => {
    const visit = await withWorkers(`{${script}}`);
    const { page } = visit;
    const loaded = await call(page, "load", REPO, { hub: hub.url });
    assert.equal(loaded.value?.name, REPO, loaded.message);
    const kept = await call(page, "kept");
    assert.deepEqual([kept.value.models.length, kept.value.room.transient], [1, false]);
    assert.deepEqual((await call(page, "forget", REPO)).value.models, []);
    visit.assertClean();
    await visit.close();
  });
}
