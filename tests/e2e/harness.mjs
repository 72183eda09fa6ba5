// What every browser test needs: the built site under a sub-path, a fresh Chromium, and a
// page that keeps account of everything that must not happen.
//
//   const site = await serveSite();             // dist/, or the folder in $SITE
//   const browser = await launch();             // { webgpu: true } for a software GPU
//   const visit = await openPage(browser, site.url);
//   ... drive visit.page (playwright) ...
//   visit.assertClean();
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { startServer } from "../../scripts/static_server.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The first program of these names that there is. */
export function onPath(names) {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    for (const name of names) {
      const file = path.join(folder, name);
      if (existsSync(file)) return file;
    }
  }
  throw new Error(`no ${names.join(" or ")} on PATH: run scripts/setup --test`);
}

/** The folder of the built site. */
export function builtSite() {
  const root = process.env.SITE ?? path.join(ROOT, "dist");
  if (!existsSync(path.join(root, "index.html"))) {
    throw new Error(`no site in ${root}: run scripts/serve --build-only`);
  }
  return root;
}

/**
 * The site under a sub-path, as on GitHub Pages. `responses` grows as it is asked: { path, status, bytes }. `options` go
 * to startServer: { isolated: false } leaves out the headers that GitHub Pages doesn't send.
 */
export async function serveSite({ prefix = "/sub/path/", root = builtSite(), ...options } = {}) {
  const responses = [];
  const server = await startServer({ root, prefix, ...options, onResponse: (response) => responses.push(response) });
  // a test that failed before it closed it must not keep its file from ending
  server.unref();
  return { ...server, root, prefix, responses };
}

/** A Chromium with an empty profile that can reach nothing but localhost. */
export async function launch({ webgpu = false, args = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? onPath(BROWSERS),
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
      ...(webgpu ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] : []),
      ...args,
    ],
  });
}

/**
 * Opens `url` in a context of its own (empty storage). `context` goes to playwright's newContext:
 * { colorScheme: "dark" }, { viewport: { width: 390, height: 844 }, hasTouch: true }, ...
 * `origins` are others than the site's that may be asked, as a test's own hub.
 */
export async function openPage(browser, url, { context = {}, prepare, origins = [] } = {}) {
  const own = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...context });
  const page = await own.newPage();
  const { origin } = new URL(url);
  const visit = {
    page,
    console: [], // "warning: text (where)"; page and workers
    errors: [], // uncaught exceptions; page and workers
    failed: [], // requests that got no answer, or one of 400 and above
    offOrigin: [], // requests to anywhere but the site's own origin
    requests: [],

    /** Main-thread tasks over 50 ms so far, as { start, duration } in ms since navigation. */
    longTasks: () => page.evaluate(() => globalThis.__longTasks),
    /** Forgets the long tasks so far: what comes after is what you measure. */
    resetLongTasks: () => page.evaluate(() => void (globalThis.__longTasks.length = 0)),
    /** A screenshot into target/screenshots/NAME.png, for people to look at. */
    shot: (name, options = {}) => {
      const folder = path.join(ROOT, "target", "screenshots");
      mkdirSync(folder, { recursive: true });
      return page.screenshot({ path: path.join(folder, `${name}.png`), ...options });
    },
    /** Nothing said, nothing thrown, nothing missing, nothing asked of strangers. */
    assertClean: () => {
      const { console, errors, failed, offOrigin } = visit;
      assert.deepEqual({ console, errors, failed, offOrigin }, { console: [], errors: [], failed: [], offOrigin: [] });
    },
    close: () => own.close(),
  };

  page.on("console", (message) => {
    const { url: file, lineNumber } = message.location();
    visit.console.push(`${message.type()}: ${message.text()} (${file}:${lineNumber})`);
  });
  page.on("pageerror", (error) => visit.errors.push(error.stack ?? String(error)));
  page.on("crash", () => visit.errors.push("the tab crashed"));
  page.on("request", (request) => {
    visit.requests.push(request.url());
    // data: and blob: never reach a network.
    if (/^(https?|wss?):/.test(request.url()) && ![origin, ...origins].includes(new URL(request.url()).origin)) {
      visit.offOrigin.push(request.url());
    }
  });
  page.on("requestfailed", (request) => {
    visit.failed.push(`${request.url()}: ${request.failure()?.errorText}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) visit.failed.push(`${response.url()}: ${response.status()}`);
  });
  await page.addInitScript(() => {
    // what the page's policy forbids counts as something said; browsers differ in whether they say it themselves
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
      console.error(`violates ${violatedDirective}: ${blockedURI} at ${sourceFile}:${lineNumber}`);
    });
    globalThis.__longTasks = [];
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) {
        globalThis.__longTasks.push({ start: Math.round(startTime), duration: Math.round(duration) });
      }
    }).observe({ type: "longtask", buffered: true });
  });
  await prepare?.(page, own);
  await page.goto(url, { waitUntil: "load" });
  return visit;
}
