// What others can do to a visitor: links that would make the page fetch, lists that lead elsewhere, expressions that
// take for ever, files put into the site's caches.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launch, openPage, serveSite } from "./harness.mjs";
import { look, namesHub, settled, visitLink, visitPage } from "./visit.mjs";

let site, browser;
/** Strangers' servers that are still up: one left open by a failed test would keep the whole file from ending. */
const up = new Set();
before(async () => {
  [browser, site] = await Promise.all([launch(), serveSite()]);
});
after(async () => {
  await browser?.close();
  for (const { close } of up) await close();
  await site?.close();
});

/** A stranger's server, and what it was asked. */
async function stranger(answer = (req, res) => res.writeHead(404).end()) {
  const asked = [];
  const server = createServer((req, res) => {
    asked.push(req.url);
    res.setHeader("Access-Control-Allow-Origin", "*");
    answer(req, res);
  });
  await new Promise((listens) => server.listen(0, "localhost", listens));
  const host = `localhost:${server.address().port}`;
  const close = () => {
    up.delete(other);
    return new Promise((down) => (server.close(down), server.closeAllConnections()));
  };
  const other = { host, url: `http://${host}`, asked, close };
  up.add(other);
  return other;
}

const figure = (page) => page.locator("#corpus");

test("a link to a stranger's findings asks nobody before a click that names the host", async () => {
  const other = await stranger();
  for (const address of [`${other.url}/f/`, `//${other.host}/f/`, ` ${other.url}/f`]) {
    other.asked.length = 0;
    const visit = await visitLink(browser, site, `v1&p=I+picked&c=&t=+an&u=+a&data=${encodeURIComponent(`folder:${address}`)}&view=corpus`, { origins: [other.url] });
    const { page } = visit;
    await look(page, "corpus");
    await figure(page).getByText(`lie at ${other.host}. Nothing has been asked of it.`).waitFor();
    // nor when another neuron is looked at, nor after a step back and forward
    await figure(page).getByLabel("Neuron", { exact: true }).fill("1:7");
    await page.evaluate(() => (location.hash += "&seed=3"));
    await page.goBack();
    await page.waitForTimeout(500);
    assert.deepEqual(other.asked, []);
    visit.assertClean();
    if (address.endsWith("/f/")) await visit.shot("stranger");
    await figure(page).getByRole("button", { name: `Ask ${other.host}` }).click();
    await figure(page).locator("#corpus-neuron-failure").filter({ hasText: /./ }).waitFor();
    assert.ok(other.asked.length > 0 && other.asked.every((path) => path.startsWith("/f/")), other.asked.join());
    await visit.close();
  }
  // an address that a person types is one that a person has named
  const visit = await visitPage(browser, site, { origins: [other.url] });
  other.asked.length = 0;
  await look(visit.page, "corpus");
  await figure(visit.page).getByLabel("Text", { exact: true }).selectOption("folder");
  await figure(visit.page).getByLabel("Its address").fill(`${other.url}/mine/`);
  await visit.page.keyboard.press("Tab");
  await figure(visit.page).locator("#corpus-neuron-failure").filter({ hasText: /./ }).waitFor();
  assert.ok(other.asked.length > 0);
  await visit.close();
  await other.close();
});

test("a link to a data set or to a hub's model asks nobody before a click that names the hub", async () => {
  for (const [fragment, label] of [
    ["v1&data=hub:org/pears&view=corpus", "Read from"],
    ["v1&m=org/name&view=corpus", "Load that model from"],
  ]) {
    // one for each link: what the page asks again as it is closed isn't the next link's
    const hub = await stranger();
    const visit = await visitLink(browser, site, fragment, { prepare: namesHub(hub.url), origins: [hub.url] });
    const { page } = visit;
    await look(page, "corpus");
    await page.waitForTimeout(300);
    assert.deepEqual(hub.asked, []);
    await page.getByRole("button", { name: `${label} ${hub.host}` }).click();
    for (let i = 0; i < 100 && hub.asked.length === 0; i++) await page.waitForTimeout(50);
    assert.ok(hub.asked.length > 0, label);
    await visit.close();
    await hub.close();
  }
});

test("a data set's list that leads to another host is refused, and nobody there is asked", async () => {
  const other = await stranger();
  const list = (req, res) => res.end(JSON.stringify({ default: { train: [`http://${req.headers.host}/0.parquet`, `${other.url}/1.parquet`] } }));
  const hub = await stranger(list);
  const visit = await visitPage(browser, site, { prepare: namesHub(hub.url), origins: [hub.url] });
  const refused = await visit.page.evaluate(() => peartree.corpus({ data: "org/pears", neurons: ["1:220: an"] }).catch(({ code, message }) => ({ code, message })));
  assert.equal(refused.code, "read_failed");
  assert.match(refused.message, new RegExp(`leads to another host, ${other.host}`));
  assert.deepEqual(other.asked, []);
  assert.deepEqual(hub.asked, ["/api/datasets/org/pears/parquet"]);
  visit.assertClean();
  await visit.close();
  await Promise.all([hub.close(), other.close()]);
});

test("an expression that takes for ever is stopped, and the page goes on meanwhile", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await look(page, "pairs");
  const said = page.locator(".pairs-foot .readout");
  await said.filter({ hasText: /pairs/ }).waitFor();
  const whole = await said.textContent();
  await page.locator("#pairs-token").fill("/^ an?$/");
  await said.filter({ hasText: /^\d+ of/ }).waitFor();
  const tokens = await page.locator(".pairs-table tbody th").allTextContents();
  assert.ok(tokens.every((token) => /an?$/.test(token)), tokens.join());
  await page.locator("#pairs-token").fill(`/(${Array(24).fill(".").join("|")})*#$/`);
  await said.filter({ hasText: "Looking" }).waitFor();
  const start = Date.now();
  assert.equal(await page.evaluate(() => 1 + 1), 2);
  assert.ok(Date.now() - start < 1000, "the page itself hangs");
  await said.filter({ hasText: "takes too long" }).waitFor({ timeout: 10_000 });
  for (const [text, problem] of [["/(/", "no regular expression"], ["/a/g", "no flag"]]) {
    await page.locator("#pairs-token").fill(text);
    await said.filter({ hasText: problem }).waitFor();
  }
  await page.locator("#pairs-token").fill("");
  await said.filter({ hasText: whole }).waitFor();
  await settled(page);
  visit.assertClean();
  await visit.close();
});

test("a file that another page of the origin has put into the site's cache is not run", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  await page.getByText("it starts without a network too").waitFor();
  const replaced = await page.evaluate(async () => {
    const [name] = (await caches.keys()).filter((name) => name.startsWith("peartree /"));
    const cache = await caches.open(name);
    const all = (await cache.keys()).map(({ url }) => url);
    const scripts = all.filter((url) => url.endsWith(".js") || url.endsWith("/"));
    for (const url of scripts) {
      const type = url.endsWith("/") ? "text/html" : "text/javascript";
      await cache.put(url, new Response("globalThis.evil = true", { headers: { "Content-Type": type } }));
    }
    return scripts.length;
  });
  assert.ok(replaced > 2);
  await page.reload();
  await page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  assert.equal(await page.evaluate(() => globalThis.evil ?? false), false);
  await settled(page);
  visit.assertClean();
  await visit.close();
});
