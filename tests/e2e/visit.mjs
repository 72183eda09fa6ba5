// A visitor's moves on the page, said once: open it, wait for its figures, type, read them.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { openPage } from "./harness.mjs";

export const POST_PROMPT =
  "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";

/** Opens the page and waits until every figure of the post's prompt is there. */
export async function visitPage(browser, site, options) {
  const visit = await openPage(browser, site.url, options);
  await visit.page.waitForFunction(() => performance.getEntriesByName("first-prediction").length > 0);
  await settled(visit.page);
  return visit;
}

/** Waits until no figure is being worked out. */
export async function settled(page) {
  await page.waitForFunction(
    () => document.querySelectorAll(".figure").length > 3 && !document.querySelector('[aria-busy="true"]'),
  );
}

const BESIDE = /(tokenizer_config|special_tokens_map|generation_config)\.json/;

/** Passes over that a folder of which no list tells was asked for what may lie in it and doesn't: how texts begin. */
export function allowBareFolder(visit) {
  for (const list of ["failed", "console"]) visit[list] = visit[list].filter((what) => !BESIDE.test(what));
}

/** Answers with a file of a model's folder. Those that say how texts begin are there, and say nothing. */
export function answerFrom(folder, name, route) {
  const file = path.join(folder, name);
  if (existsSync(file)) return route.fulfill({ body: readFileSync(file) });
  return route.fulfill(BESIDE.test(name) ? { body: "{}" } : { status: 404 });
}

/** Waits until what `peartree.info()` answers is as it should be. (`waitForFunction` takes a promise for a yes.) */
export async function informed(page, is, ms = 30_000) {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    if (is(await page.evaluate(() => peartree.info()))) return;
    await page.waitForTimeout(20);
  }
  throw new Error(`in ${ms} ms, info() never was as it should be: ${is}`);
}

/** Opens the page with a link's fragment, and waits as visitPage does. */
export async function visitLink(browser, site, fragment, options) {
  return visitPage(browser, { ...site, url: `${site.url}#${fragment}` }, options);
}

/** For a visit's `prepare`: the page's maker names a hub in its head. */
export const namesHub = (url) => (page) =>
  page.addInitScript((url) => {
    new MutationObserver((_, observer) => {
      if (!document.head || document.querySelector("meta[name=peartree-hub]")) return;
      document.head.append(Object.assign(document.createElement("meta"), { name: "peartree-hub", content: url }));
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
  }, url);

/** Scrolls to a figure, which is worked out only where it can be seen, and waits for it. */
export async function look(page, id) {
  await page.evaluate((id) => document.getElementById(id).scrollIntoView(), id);
  // an observer tells the page what is on screen; two frames later it has
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 120)))));
  await settled(page);
}

/**
 * Does something and tells of the page's tasks over 50 ms meanwhile. Told, not judged: tasks are timed by the clock, so
 * whatever else runs on the machine counts too.
 */
export async function watched(t, visit, act) {
  await visit.resetLongTasks();
  await act();
  const long = (await visit.longTasks()).map(({ duration }) => duration).filter((duration) => duration > 50);
  t.diagnostic(`tasks over 50 ms: ${JSON.stringify(long)}`);
}

/** Replaces the prompt, as pasting does, and waits for the figures. */
export async function prompt(page, text) {
  await page.getByLabel("Prompt", { exact: true }).fill(text);
  await settled(page);
}

/** The ten predictions as they stand on the screen: [{ token, id, probability, logit }]. */
export async function predictions(page) {
  return page.locator(".candidates li").evaluateAll((rows) =>
    rows.map((row) => {
      const [name, , probability, logit] = row.querySelector("button").children;
      const id = Number(name.querySelector("small").textContent);
      const token = name.querySelector(".tok").textContent;
      return { token, id, probability: probability.textContent, logit: logit.textContent };
    }),
  );
}

/** The prompt's tokens as they stand on the screen: ["·apple 411", ...]. */
export async function chips(page) {
  return page.locator(".chips .chip").evaluateAll((all) => all.map((chip) => [...chip.children].map((part) => part.textContent).join(" ")));
}

/** A number as the page writes it: a real minus, two decimals. */
export const written = (value) => Math.abs(value).toFixed(2).replace(/^/, value < 0 && Math.abs(value) >= 0.005 ? "−" : "");
export const signed = (value) => (value > 0 && value >= 0.005 ? "+" : "") + written(value);

/** A token as the page shows it: its leading space as a dot. */
export const visible = (token) => token.replace(/^ +/, (spaces) => "·".repeat(spaces.length && 1) + spaces.slice(1)).replaceAll("\n", "↵");

/** A share as the page writes it: `+54.1 %`, with a thin space. */
export const share = (value) => {
  const text = (Math.abs(value) * 100).toFixed(1);
  const sign = text === "0.0" ? "" : value < 0 ? "−" : "+";
  return `${sign}${text}\u202f%`;
};
