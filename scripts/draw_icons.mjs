// Draws www/icon-*.png from www/icon.svg in headless Chromium: node scripts/draw_icons.mjs
// The drawings are committed; run it when the icon changes. A maskable icon has its ground, and keeps to its middle.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { launch } from "../tests/e2e/harness.mjs";

const inWww = (name) => fileURLToPath(new URL(`../www/${name}`, import.meta.url));
const svg = readFileSync(inWww("icon.svg"), "utf8");
const browser = await launch();
for (const [name, size, ground, share] of [
  ["icon-192.png", 192, "transparent", 1],
  ["icon-512.png", 512, "transparent", 1],
  ["icon-maskable-512.png", 512, "#fcfcf8", 0.66],
]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(
    `<style>* { margin: 0 } body { height: 100vh; background: ${ground}; display: grid; place-items: center }
     svg { display: block; width: ${share * size}px; height: ${share * size}px }</style>${svg}`,
  );
  writeFileSync(inWww(name), await page.screenshot({ omitBackground: true }));
  await page.close();
}
await browser.close();
