// The page's Content-Security-Policy: it is there, it holds, and all that the page does is within it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "../../scripts/static_server.mjs";
import { builtSite, launch, openPage, serveSite } from "./harness.mjs";
import { look, settled, visitPage } from "./visit.mjs";

let site, browser;
before(async () => {
  site = await serveSite();
  browser = await launch({ args: ["--host-resolver-rules=MAP other.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost"] });
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test("scripts of the page's own, and nothing else, run", async () => {
  const visit = await openPage(browser, site.url);
  const { page } = visit;
  const policy = await page.locator('head > meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
  assert.match(policy, /default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-/);
  assert.doesNotMatch(policy, /script-src[^;]*'unsafe-(inline|eval)'/);
  assert.equal(await page.locator("meta[name=referrer]").getAttribute("content"), "no-referrer");
  const before = await page.evaluate(() => document.querySelector("meta[http-equiv]").previousElementSibling.outerHTML);
  assert.equal(before, '<meta charset="utf-8">', "it says nothing of what stands before it");
  visit.assertClean();
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "globalThis.injected = true";
    document.body.append(script);
    const image = document.createElement("div");
    image.innerHTML = "<img src=x onerror='globalThis.injected = true'>";
    document.body.append(image);
    await new Promise((done) => setTimeout(done, 300));
    return globalThis.injected ?? false;
  });
  assert.equal(ran, false);
  assert.ok(visit.console.some((said) => /violates script-src/.test(said)), visit.console.join("\n"));
  await visit.close();
});

test("other hosts are asked by https only", async () => {
  const asked = [];
  const other = await startServer({ root: builtSite(), onResponse: ({ path }) => asked.push(path) });
  const visit = await openPage(browser, site.url);
  const refused = await visit.page.evaluate((url) => fetch(url).then(() => null, String), `http://other.test:${other.port}/demo/config.json`);
  assert.match(refused, /TypeError/);
  await visit.page.waitForTimeout(300);
  await Promise.all([visit.close(), other.close()]);
  assert.deepEqual(asked, []);
  assert.ok(visit.console.some((said) => /violates.*connect-src/.test(said)), visit.console.join("\n"));
});

test("a whole visit is within it: every figure, a model's files, a corpus, tables, threads, a start without a network", async () => {
  const visit = await visitPage(browser, site);
  const { page } = visit;
  for (const id of ["lens", "table", "prompts", "maps", "layers", "neurons", "edits", "weights", "tokens", "pairs", "corpus"]) {
    if (await page.evaluate((id) => document.getElementById(id) !== null, id)) await look(page, id);
  }
  await page.locator("#pairs-token").fill("/^ a/");
  await page.locator(".pairs-foot .readout").filter({ hasText: /pairs/ }).waitFor();
  await page.evaluate(async () => {
    const file = async (name) => new File([await (await fetch(`./demo/${name}`)).blob()], name);
    await peartree.load(await Promise.all(["config.json", "tokenizer.json", "model.safetensors"].map(file)));
    await peartree.corpus({ data: [new File(["I picked an apple."], "notes.txt")], neurons: ["1:220: an"] });
    await peartree.kept();
  });
  await page.getByText("it starts without a network too").waitFor();
  await page.reload();
  await settled(page);
  await visit.shot("csp");
  visit.assertClean();
  await visit.close();
});
