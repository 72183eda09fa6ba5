// A folder that is picked or dropped: what lies in it is said, then it is loaded, or why it can't be.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { launch, serveSite } from "./harness.mjs";
import { informed, predictions, settled, visitPage } from "./visit.mjs";

let site, browser, visit, page, root;
before(async () => {
  site = await serveSite();
  browser = await launch();
  root = mkdtempSync(path.join(os.tmpdir(), "peartree-folders-"));
  visit = await visitPage(browser, site);
  page = visit.page;
});
after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(root, { recursive: true });
});

/** A folder with the demo's files and these, in a folder. */
function folder(name, more = {}, less = []) {
  const at = path.join(root, name);
  mkdirSync(at, { recursive: true });
  for (const file of ["config.json", "tokenizer.json", "model.safetensors"].filter((file) => !less.includes(file))) {
    cpSync(path.join(site.root, "demo", file), path.join(at, file));
  }
  for (const [file, text] of Object.entries(more)) writeFileSync(path.join(at, file), text);
  return at;
}

const offer = () => page.locator("[aria-labelledby=here-title] .offer");

/** What a person's drag from the desktop is to the page. */
async function drop(paths) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) await session.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
}

test("a picked folder is described, file by file, and loaded when told", async () => {
  const before = await predictions(page);
  await page.getByText("Use another model").click();
  await page.locator("#folder").setInputFiles(folder("mine", { "generation_config.json": "{}", "readme.md": "hello" }));
  const load = offer().getByRole("button", { name: "Load it" });
  await load.waitFor();
  const listed = await offer().locator(".found li").allTextContents();
  assert.deepEqual(listed.map((line) => line.split(",")[0]), ["config.json", "tokenizer.json", "generation_config.json", "model.safetensors"]);
  assert.match(listed.at(-1), /kB|MB.*weights in f(32|16)/);
  const said = await offer().textContent();
  for (const part of ["A text begins with", "config.json says", "read from this device"]) assert.ok(said.includes(part), `${said} lacks ${part}`);
  await load.click();
  await page.locator(".model-line", { hasText: "files from this device" }).waitFor();
  await settled(page);
  assert.deepEqual(await predictions(page), before);
});

test("a folder that can't be loaded is listed, and the reason said", async () => {
  await page.locator("#folder").setInputFiles(folder("adapter", { "adapter_model.safetensors": "x" }, ["model.safetensors"]));
  await offer().getByText("adapter_model.safetensors, an adapter").waitFor();
  assert.deepEqual((await offer().locator(".found li").allTextContents()).sort(), ["adapter_model.safetensors", "config.json", "tokenizer.json"]);
  await offer().getByRole("button", { name: "Close" }).click();
  await page.locator("#folder").setInputFiles(folder("other", { "model.gguf": "x" }, ["model.safetensors"]));
  await offer().getByText(/There is model\.gguf/).waitFor();
  await offer().getByRole("button", { name: "Close" }).click();
});

test("a folder is dropped, with the model one level down", async () => {
  await page.getByText("Use another model").click();
  folder("outer/inner", { "tokenizer_config.json": '{"bos_token": "Ġan"}' });
  await drop([path.join(root, "outer")]);
  const load = offer().getByRole("button", { name: "Load it" });
  await load.waitFor();
  assert.ok((await offer().textContent()).includes("as tokenizer_config.json says"));
  await load.focus();
  await page.keyboard.press("Enter");
  await informed(page, ({ model }) => model.bos?.token === " an");
});

test("has said and fetched nothing it should not", () => {
  visit.failed = visit.failed.filter((what) => !/^blob:.*ERR_ABORTED$/.test(what));
  visit.assertClean();
});
