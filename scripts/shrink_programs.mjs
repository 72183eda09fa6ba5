// A step of trunk's post_build hook: makes every program of the site smaller to download, and changes nothing that it does.
//
// Its functions are put into the order of their names: those made of one generic function stand side by side then, and gzip,
// which looks back 32 KiB, finds what they share (a fortieth of the download). Then the names go: they are for debuggers, and
// a tenth of the download; wasm-bindgen needs them, so the linker can't leave them out.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const site = process.env.TRUNK_STAGING_DIR;
const WASM_OPT = fileURLToPath(new URL("npm/node_modules/binaryen/bin/wasm-opt", import.meta.url));
/** What the programs use of wasm; no pass that rewrites a function is among what is done. */
const FEATURES = [
  "threads", "simd", "relaxed-simd", "bulk-memory", "mutable-globals", "nontrapping-float-to-int", "sign-ext", "reference-types",
  "multivalue",
].map((feature) => `--enable-${feature}`);

/** A number in LEB128 at `at`: its value, and where what follows begins. */
function number(bytes, at) {
  let [value, shift] = [0, 0];
  for (;;) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
    shift += 7;
  }
}

function withoutNames(bytes) {
  const kept = [bytes.subarray(0, 8)];
  for (let at = 8; at < bytes.length; ) {
    const [size, start] = number(bytes, at + 1);
    const end = start + size;
    const isCustom = bytes[at] === 0;
    const [length, text] = isCustom ? number(bytes, start) : [0, 0];
    if (!isCustom || bytes.toString("utf8", text, text + length) !== "name") kept.push(bytes.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

for (const name of readdirSync(site).filter((name) => name.endsWith(".wasm"))) {
  const file = path.join(site, name);
  execFileSync(process.execPath, [WASM_OPT, ...FEATURES, "-g", "--reorder-functions-by-name", file, "-o", file]);
  writeFileSync(file, withoutNames(readFileSync(file)));
}
