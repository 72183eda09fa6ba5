// The last step of trunk's post_build hook: makes the site fit to be kept by www/service-worker.js, version by version.
//
// What trunk leaves under plain names gets a hash: the icons, the manifest, and the demo model, which the page loads
// from demo/HASH/ (demo/ stays, to be loaded by its plain address). Then the service worker is told the version and its
// files, each with the integrity that it must have, and index.html the version and the demo's folder:
// <meta name="version" content="HASH"><meta name="demo" content="./demo/HASH/">; and for each of the site's corpora
// <meta name="corpus-NAME" …>; and the page's Content-Security-Policy.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { withPolicy } from "./content_policy.mjs";

const site = process.env.TRUNK_STAGING_DIR;
const inSite = (name) => path.join(site, name);
const read = (name) => readFileSync(inSite(name));
const replace = (name, from, to) => {
  const text = read(name).toString();
  if (!text.includes(from)) throw new Error(`${name} does not hold ${from}`);
  writeFileSync(inSite(name), text.replaceAll(from, to));
};
const hash = (...contents) => {
  const sha = createHash("sha256");
  for (const content of contents) sha.update(content);
  return sha.digest("hex").slice(0, 16);
};

/** Puts a file's hash into its name, there and in the files that name it. */
function rename(name, namedIn) {
  const { name: stem, ext } = path.parse(name);
  const hashed = `${stem}-${hash(read(name))}${ext}`;
  renameSync(inSite(name), inSite(hashed));
  for (const other of namedIn) replace(other, `./${name}`, `./${hashed}`);
}

const MANIFEST = "manifest.webmanifest";
rename("matcher.js", ["index.html"]);
rename("icon.svg", ["index.html", MANIFEST]);
rename("icon-192.png", ["index.html", MANIFEST]);
rename("icon-512.png", [MANIFEST]);
rename("icon-maskable-512.png", [MANIFEST]);
rename(MANIFEST, ["index.html"]);

const DEMO = ["config.json", "tokenizer.json", "model.safetensors"];
const demo = `demo/${hash(...DEMO.map((name) => read(`demo/${name}`)))}/`;
mkdirSync(inSite(demo));
for (const name of DEMO) copyFileSync(inSite(`demo/${name}`), inSite(demo + name));

// The texts that a model can be read with without a network; corpora/ stays, for scripts.
const CORPORA = ["demo", "english"].map((name) => {
  const content = read(`corpora/${name}.jsonl.gz`);
  const hashed = `corpora/${name}-${hash(content)}.jsonl.gz`;
  writeFileSync(inSite(hashed), content);
  return `<meta name="corpus-${name}" content="./${hashed}">`;
});

// The bitmaps are for installing the page, which a browser does by itself.
const HASHED = /[-/][0-9a-f]{12,16}[._/]/;
const names = readdirSync(site, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.relative(site, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join("/"))
  .filter((name) => HASHED.test(name) && !name.endsWith(".png"))
  .sort();
const version = hash(names.join(" "), read("index.html"));
replace("index.html", "<head>", `<head><meta name="version" content="${version}"><meta name="demo" content="./${demo}">${CORPORA.join("")}`);

writeFileSync(inSite("index.html"), withPolicy(read("index.html").toString()));

const integrity = (name) => `sha256-${createHash("sha256").update(read(name)).digest("base64")}`;
// the page itself goes by its folder's name: some hosts send index.html elsewhere
const files = Object.fromEntries([["./", integrity("index.html")], ...names.map((name) => [name, integrity(name)])]);
const filled = JSON.stringify({ version, files });
replace("service-worker.js", 'const SITE = { version: "", files: {} };', `const SITE = ${filled};`);
