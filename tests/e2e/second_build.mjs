// A site as the next build would make it: every hash another one, every file's content too.
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { withPolicy } from "../../scripts/content_policy.mjs";

const SITE = /const SITE = (\{.*\});/;
const HASH = /(?<=[-/])[0-9a-f]{12,16}(?=[._/])/g;
const sha = (content) => createHash("sha256").update(content).digest();

/** A copy of the folder `from`, in a temporary folder. */
export function copyOf(from) {
  const to = mkdtempSync(path.join(tmpdir(), "peartree-site-"));
  cpSync(from, to, { recursive: true });
  return to;
}

/** Puts the site in `from` in the place of the one in `live`, whose files are gone then. */
export function deploy(from, live) {
  for (const name of readdirSync(live)) rmSync(path.join(live, name), { recursive: true });
  cpSync(from, live, { recursive: true });
}

/** The version of the site in a folder. */
export const versionOf = (folder) => readFileSync(path.join(folder, "index.html"), "utf8").match(/<meta name="version" content="(\w+)">/)[1];

/** The second build of the site in `from`. */
export function secondBuild(from) {
  const folder = copyOf(from);
  const renamed = (text) => text.replace(HASH, (hash) => sha(hash).toString("hex").slice(0, hash.length));
  const visit = (dir) => {
    for (const name of readdirSync(dir)) {
      const file = path.join(dir, renamed(`/${name}/`).slice(1, -1));
      if (path.join(dir, name) !== file) renameSync(path.join(dir, name), file);
      if (statSync(file).isDirectory()) visit(file);
      else if (/\.(js|css|html|webmanifest|svg)$/.test(name)) writeFileSync(file, changed(name, renamed(readFileSync(file, "utf8"))));
      // a section of its own, which a browser skips
      else if (name.endsWith(".wasm")) writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from([0, 4, 3, 116, 119, 111])]));
    }
  };
  visit(folder);

  const read = (name) => readFileSync(path.join(folder, name));
  const version = sha(versionOf(from)).toString("hex").slice(0, 16);
  const html = read("index.html").toString().replace(/(<meta name="version" content=")\w+/, `$1${version}`);
  writeFileSync(path.join(folder, "index.html"), withPolicy(html));
  const worker = read("service-worker.js").toString();
  const names = Object.keys(JSON.parse(worker.match(SITE)[1]).files);
  const integrity = (name) => `sha256-${sha(read(name === "./" ? "index.html" : name)).toString("base64")}`;
  const files = Object.fromEntries(names.map((name) => [name, integrity(name)]));
  writeFileSync(path.join(folder, "service-worker.js"), worker.replace(SITE, () => `const SITE = ${JSON.stringify({ version, files })};`));
  return folder;
}

function changed(name, text) {
  if (/\.(js|css)$/.test(name)) return `${text}\n/* the second build */\n`;
  return name.endsWith(".webmanifest") ? `${text}\n` : `${text}\n<!-- the second build -->\n`;
}
