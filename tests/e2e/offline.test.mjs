// The page kept on the device: it starts without a network, never mixes two versions, says when there is a newer one,
// can be told to forget it all, and isolates itself where threads are wanted and the host can't.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { startServer } from "../../scripts/static_server.mjs";
import { builtSite, launch, openPage, serveSite } from "./harness.mjs";
import { copyOf, deploy, secondBuild, versionOf } from "./second_build.mjs";
import { POST_PROMPT, informed, predictions, prompt, settled, visitPage } from "./visit.mjs";

const CORES = 4; // whatever this machine has
const cores = (page) => page.addInitScript((cores) => Object.defineProperty(navigator, "hardwareConcurrency", { value: cores }), CORES);

let browser, second;
const folders = [];
before(async () => {
  browser = await launch();
  folders.push((second = secondBuild(builtSite())));
});
after(async () => {
  await browser?.close();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A site whose files can be replaced while it is served. */
async function liveSite(options) {
  const live = copyOf(builtSite());
  folders.push(live);
  const site = await serveSite({ root: live, ...options });
  return { ...site, deploy: (folder) => deploy(folder, live), files: live };
}

/** A server that takes connections and says nothing. */
async function stall(port) {
  const sockets = [];
  const server = createServer((socket) => sockets.push(socket.on("error", () => {})));
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "localhost", resolve));
  return { close: () => new Promise((done) => (server.close(done), sockets.forEach((socket) => socket.destroy()))) };
}

const isKept = (page) => page.getByText("it starts without a network too").waitFor();
const caches = (page) => page.evaluate(() => caches.keys());
const version = (page) => page.evaluate(() => document.querySelector("meta[name=version]").content);
const versions = async (page) => (await caches(page)).map((name) => name.split(" ").at(-1));
const reload = async (page) => {
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await settled(page);
};
/** What a browser does by and by: looks whether there is another service worker. */
const lookForUpdate = (page) => page.evaluate(() => navigator.serviceWorker.getRegistration().then((registration) => registration.update().then(() => {})));
const hashes = (text) => [...text.matchAll(/[-/]([0-9a-f]{12,16})[._/]/g)].map((match) => match[1]);
/** The hashes in the names of all that the page and its worker have loaded. */
const loaded = async (page) => {
  const names = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  return new Set(names.flatMap((name) => hashes(new URL(name).pathname)));
};
/** Loads the demo model again, and predicts with it. */
const works = async (page) => {
  const top = await page.evaluate(async () => {
    await window.peartree.load("demo");
    return (await window.peartree.predict({ prompt: "I climbed up the apple tree and picked" })).top[0].token;
  });
  assert.equal(top, " an");
};

test("after one visit the page starts without a network, and nothing was downloaded twice", async (t) => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const first = await predictions(page);
  await isKept(page);
  const sent = site.responses.filter(({ status }) => status === 200).map(({ path }) => path);
  assert.deepEqual(sent.filter((name, i) => sent.indexOf(name) !== i), []);
  assert.ok(!sent.some((name) => name.startsWith("worker-")), "the worker that this browser doesn't use");
  t.diagnostic(`answers: ${site.responses.map(({ path, status, bytes }) => `${path || "./"} ${status} ${bytes}`).join(", ")}`);
  visit.assertClean();

  await site.close();
  await reload(page);
  assert.deepEqual(await predictions(page), first);
  await prompt(page, `${POST_PROMPT}!`);
  assert.equal((await predictions(page)).length, 10);
  await works(page);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await visit.close();
});

test("a new version: the open page goes on with the old, says so, and changes whole at a click", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await isKept(page);
  await reload(page);
  const [one, two] = [versionOf(site.files), versionOf(second)];
  assert.deepEqual([await version(page), await versions(page)], [one, [one]]);
  const before = await loaded(page);
  assert.equal(await page.getByText("A new version of this page is ready").count(), 0);

  site.deploy(second);
  await lookForUpdate(page);
  await page.getByText("A new version of this page is ready").waitFor();
  await visit.shot("new-version");
  assert.deepEqual([await version(page), (await versions(page)).sort()], [one, [one, two].sort()]);
  await works(page);
  assert.deepEqual(await loaded(page), before, "the old page loaded something new");

  const arrived = page.waitForEvent("load");
  await page.getByRole("button", { name: "Reload" }).click();
  await arrived;
  await page.waitForFunction((two) => document.querySelector("meta[name=version]").content === two, two);
  await isKept(page);
  await settled(page);
  await works(page);
  assert.equal(await version(page), two);
  for (const hash of await loaded(page)) assert.ok(!before.has(hash), `${hash} is the old version's`);
  await page.waitForFunction((two) => caches.keys().then((names) => names.length === 1 && names[0].endsWith(two)), two);
  assert.equal(await page.getByText("A new version of this page is ready").count(), 0);
  visit.assertClean();

  await site.close();
  await reload(page);
  assert.equal(await version(page), two);
  await visit.close();
});

test("two tabs, two versions: each has its own files, to the last", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  await isKept(visit.page);
  await reload(visit.page);
  const old = await loaded(visit.page);
  site.deploy(second);
  // the network's page comes first: another tab has the new version at once
  const other = await visit.page.context().newPage();
  await other.goto(site.url);
  await isKept(other);
  const [one, two] = [versionOf(builtSite()), versionOf(second)];
  assert.deepEqual([await version(visit.page), await version(other)], [one, two]);
  for (const hash of await loaded(other)) assert.ok(!old.has(hash), `${hash} is the old version's`);
  await other.waitForFunction(() => navigator.serviceWorker.getRegistration().then(({ waiting, installing }) => !waiting && !installing));
  await visit.page.getByText("A new version of this page is ready").waitFor();
  await works(visit.page);
  await works(other);
  assert.deepEqual(await loaded(visit.page), old);
  assert.deepEqual((await versions(other)).sort(), [one, two].sort());
  await visit.page.getByRole("button", { name: "Reload" }).click();
  await visit.page.waitForFunction((two) => document.querySelector("meta[name=version]").content === two, two);
  await visit.page.waitForFunction(() => caches.keys().then((names) => names.length === 1));
  visit.assertClean();
  await visit.close();
  await site.close();
});

test("a version that can't be had whole is not had at all", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await isKept(page);
  const broken = copyOf(second);
  folders.push(broken);
  rmSync(path.join(broken, "demo"), { recursive: true });
  site.deploy(broken);
  await lookForUpdate(page);
  const isMissing = ({ path, status }) => path.startsWith("demo/") && status === 404;
  for (let i = 0; i < 300 && !site.responses.some(isMissing); i++) await page.waitForTimeout(100);
  assert.ok(site.responses.some(isMissing), "nobody asked for the missing file");
  // the browser may try again meanwhile, and fail again
  for (let i = 0; i < 100 && (await versions(page)).length > 1; i++) await page.waitForTimeout(100);
  assert.deepEqual(await versions(page), [versionOf(builtSite())]);
  await site.close();
  await reload(page);
  assert.equal(await version(page), versionOf(builtSite()));
  await works(page);
  await visit.close();
});

test("a network that dawdles does not keep the page waiting", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  await isKept(visit.page);
  const { port } = site;
  await site.close();
  const stalled = await stall(port);
  await reload(visit.page);
  assert.equal((await predictions(visit.page)).length, 10);
  await visit.close();
  await stalled.close();
});

test("can be switched off, and stays off until it is switched on", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  const { page } = visit;
  const registrations = () => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length);
  await isKept(page);
  await page.evaluate(() => caches.open("another page's"));
  await page.getByRole("button", { name: "Don’t keep it" }).click();
  await page.getByText("it needs a network to start").waitFor();
  assert.deepEqual([await registrations(), await caches(page)], [0, ["another page's"]]);
  await reload(page);
  await page.getByText("it needs a network to start").waitFor();
  assert.deepEqual([await registrations(), await caches(page)], [0, ["another page's"]]);

  await page.getByRole("button", { name: "Keep it" }).click();
  await isKept(page);
  await reload(page);
  // the address asks, and a click does it
  await page.goto(`${site.url}?offline=off`);
  await page.getByText("This address asks").waitFor();
  assert.equal((await caches(page)).length, 2);
  await page.getByRole("button", { name: "Drop the copy" }).click();
  await page.getByText("it needs a network to start").waitFor();
  assert.deepEqual(await caches(page), ["another page's"]);
  visit.assertClean();
  await visit.close();
  await site.close();
});

test("a first visit by a link with ?offline=off decides nothing", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, { ...site, url: `${site.url}?offline=off` });
  const { page } = visit;
  await page.getByText("This address asks").waitFor();
  await page.goto(site.url);
  await isKept(page);
  visit.assertClean();
  await visit.close();
  await site.close();
});

test("?offline=off works where the page itself is broken", async () => {
  const site = await liveSite();
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await isKept(page);
  site.deploy(builtSite());
  await page.addInitScript(() => (WebAssembly.instantiateStreaming = WebAssembly.instantiate = async () => new Promise(() => {})));
  await page.goto(`${site.url}?offline=off`);
  await page.getByRole("button", { name: "Drop the copy" }).click();
  await page.waitForFunction(() => caches.keys().then((names) => names.length === 0));
  await visit.close();
  await site.close();
});

test("where the host sends no headers: threads by the address, after one more load and no loop", async () => {
  const site = await serveSite({ isolated: false });
  let loads = 0;
  const prepare = async (page) => {
    await cores(page);
    page.on("load", () => loads++);
  };
  const visit = await openPage(browser, `${site.url}?threads=2`, { prepare });
  const { page } = visit;
  await page.waitForFunction(() => window.crossOriginIsolated && window.peartree);
  await page.evaluate(() => window.peartree.ready);
  await isKept(page);
  await informed(page, (info) => info.threads === 2);
  await works(page);
  assert.equal(loads, 2);
  await page.getByText("It computes on several threads").waitFor();
  visit.assertClean();
  // and it starts so without a network
  await site.close();
  await reload(page);
  assert.deepEqual([await page.evaluate(() => crossOriginIsolated), loads], [true, 3]);
  await works(page);
  await visit.close();
});

test("where the host sends no headers: threads by a button, and back", async () => {
  const site = await serveSite({ isolated: false });
  const visit = await visitPage(browser, site, { prepare: cores });
  const { page } = visit;
  const isolated = () => page.evaluate(() => crossOriginIsolated);
  await isKept(page);
  await reload(page);
  assert.equal(await isolated(), false, "nobody asked for threads");
  await page.getByRole("button", { name: "Use more threads" }).click();
  await page.waitForFunction(() => crossOriginIsolated);
  await page.getByText("It computes on several threads").waitFor();
  await works(page);
  await reload(page);
  assert.equal(await isolated(), true);
  await page.getByRole("button", { name: "Use one thread" }).click();
  await page.waitForFunction(() => !crossOriginIsolated && window.peartree);
  await page.getByText("It computes on one thread").waitFor();
  await works(page);
  visit.assertClean();
  await visit.close();
  await site.close();
});

test("not in a frame, not for the benchmark", async () => {
  const site = await serveSite();
  const visit = await visitPage(browser, { ...site, url: `${site.url}?bench` });
  const { page } = visit;
  const registrations = () => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length);
  assert.equal(await registrations(), 0);
  await page.goto(`${site.url}demo/config.json`);
  await page.evaluate((url) => (document.body.innerHTML = `<iframe src="${url}"></iframe>`), site.url);
  const frame = page.frames().at(-1);
  await frame.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await settled(frame);
  assert.equal(await registrations(), 0);
  await visit.close();
  await site.close();
});

test("never touches other origins", async () => {
  const site = await serveSite();
  const asked = [];
  const other = await startServer({ root: builtSite(), onResponse: ({ path }) => asked.push(path) });
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await isKept(page);
  await reload(page);
  const url = `${other.url}page-0123456789abcdef.js`;
  for (let i = 0; i < 2; i++) await page.evaluate((url) => fetch(url, { mode: "no-cors" }).catch(() => {}), url);
  assert.equal(asked.length, 2);
  assert.ok(await page.evaluate((url) => caches.match(url).then((found) => found === undefined), url));
  await visit.close();
  await other.close();
  await site.close();
});

test("can be installed", async () => {
  const site = await serveSite();
  const visit = await openPage(browser, site.url);
  const session = await visit.page.context().newCDPSession(visit.page);
  const { url, data, errors } = await session.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  assert.equal(new URL(manifest.start_url, url).href, site.url);
  for (const { src, sizes, purpose } of manifest.icons) {
    const size = await visit.page.evaluate(async (src) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, new URL(src, url).href);
    if (sizes !== "any") assert.equal(size, sizes, `${src} ${purpose ?? ""}`);
  }
  visit.assertClean();
  await visit.close();
  await site.close();
});
