// A step of trunk's post_build hook: takes the functions' names out of every program of the site. They are for
// debuggers, and a tenth of the download; wasm-bindgen needs them, so the linker can't leave them out.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

const site = process.env.TRUNK_STAGING_DIR;

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
  writeFileSync(file, withoutNames(readFileSync(file)));
}
