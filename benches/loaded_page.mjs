// What the benches in a browser begin with: their options, and a page of the built site that has loaded a model.
import path from "node:path";

/** `--name value …` as an object. */
export function options() {
  const words = process.argv.slice(2).join(" ").split(/\s*--/).filter(Boolean);
  return Object.fromEntries(words.map((option) => option.split(" ")));
}

/**
 * Opens `url` and loads the model in the folder `model`, handed over as a person does it: two files picked from the
 * disk. `prepare(page)` comes before the page is opened. Resolves to { page, info, ms }, ms of the load alone.
 */
export async function openLoaded(browser, url, { model, threads, dtype, prepare }) {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await prepare?.(page);
  await page.goto(`${url}?threads=${threads}`);
  await page.waitForFunction(() => window.peartree);
  await page.evaluate(() => window.peartree.ready);
  await page.evaluate(() => {
    const input = Object.assign(document.createElement("input"), { type: "file", multiple: true, id: "bench-files" });
    document.body.append(input);
  });
  await page.setInputFiles("#bench-files", ["config.json", "model.safetensors"].map((name) => path.join(model, name)));
  const ms = await page.evaluate(
    async (options) => {
      const start = performance.now();
      await window.peartree.load([...document.getElementById("bench-files").files], options);
      return performance.now() - start;
    },
    { threads: Number(threads), ...(dtype && { dtype }) },
  );
  return { page, info: await page.evaluate(() => window.peartree.info()), ms };
}
