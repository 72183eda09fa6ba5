// A step of trunk's post_build hook. The workers' files come without hashes in their names, so a cache could pair a new
// page with an old worker. This renames the workers' files by their content and tells the page the names:
// <meta name="worker" content="./worker-HASH_loader.js">, <meta name="worker-threads" …> and <meta name="reader" …>.
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

const inSite = (name) => path.join(process.env.TRUNK_STAGING_DIR, name);

/** Renames one program's files and, of a worker, writes the loader that `script` makes of their new name. */
function hashed(stem, script) {
  const hash = createHash("sha256")
    .update(readFileSync(inSite(`${stem}.js`)))
    .update(readFileSync(inSite(`${stem}_bg.wasm`)))
    .digest("hex")
    .slice(0, 16);
  const name = `${stem}-${hash}`;
  renameSync(inSite(`${stem}.js`), inSite(`${name}.js`));
  renameSync(inSite(`${stem}_bg.wasm`), inSite(`${name}_bg.wasm`));
  if (!script) return name;
  writeFileSync(inSite(`${name}_loader.js`), script(name));
  return `./${name}_loader.js`;
}

// What whoever started a worker must know of it (src/app/engine.rs): that it lives, by a lock that it holds till its end
// and by an answer to "?"; and that it broke down, at an exception or a trap that nobody caught. It is the first thing
// that runs, so it tells of a program that could not be had, too.
const life = `onunhandledrejection = onerror = (event) => {
  postMessage("! " + String(event.reason?.message ?? event.reason ?? event.message ?? event).slice(0, 300));
};
addEventListener("message", ({ data }) => data === "?" && postMessage("here"));
navigator.locks?.request(name, () => (postMessage("held"), new Promise(() => {}))).catch(() => {});
`;

// The graphics card's program, a module: started when the worker first asks for it (src/worker/card.rs).
const card = hashed("card");
const starts = `var cards;
function card() {
  return (cards ??= import("./${card}.js").then(async (program) => {
    await program.default({ module_or_path: "./${card}_bg.wasm" });
    return program;
  }));
}
`;

const start = (name) => `wasm_bindgen({ module_or_path: "./${name}_bg.wasm" });`;

const only = (name) => `${life}${starts}importScripts("./${name}.js");\n${start(name)}\n`;
const plain = hashed("worker", only);
const reader = hashed("reader", only);

// The same script starts the worker and, in workers of its own (src/worker/threads.rs), its helpers: they
// are sent the compiled program and the memory, and then work for ever.
const threads = hashed(
  "threads",
  (script) => `if (name === "peartree helper") {
  importScripts("./${script}.js");
  onmessage = async ({ data: [module, memory] }) => {
    await wasm_bindgen({ module_or_path: module, memory });
    wasm_bindgen.help();
  };
} else {
${only(script)}}
`,
);

const html = readFileSync(inSite("index.html"), "utf8");
if (!html.includes("<head>")) throw new Error("index.html has no <head>");
const metas = `<meta name="worker" content="${plain}"><meta name="worker-threads" content="${threads}"><meta name="reader" content="${reader}">`;
writeFileSync(inSite("index.html"), html.replace("<head>", `<head>${metas}`));
