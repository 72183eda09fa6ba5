// What the page may do, in its own head, since its host may send no headers: run its own scripts, and fetch from its own
// site and from others by https. (Loopback is for tests, and for a hub on one's own machine.)
import { createHash } from "node:crypto";

// What the text is written in must be said within its first kilobyte; the policy, before anything that it is about.
const CHARSET = '<meta charset="utf-8">';
const POLICY = /<meta http-equiv="Content-Security-Policy"[^>]*>/;
const SCRIPTS = /<script(?: type="module")?>([^]*?)<\/script>/g;

/** The page with a policy that fits it as it is; one that it had before is replaced. */
export function withPolicy(html) {
  if (!html.includes("<head>") || !html.includes(CHARSET)) throw new Error("index.html has no head, or doesn't say its charset");
  const sha = (script) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`;
  const policy = [
    "default-src 'none'",
    `script-src 'self' 'wasm-unsafe-eval' ${[...html.matchAll(SCRIPTS)].map(([, script]) => sha(script)).join(" ")}`,
    "style-src 'self'",
    "style-src-attr 'unsafe-inline'", // charts and tables set sizes in style attributes
    "img-src 'self' data: blob:",
    "connect-src 'self' blob: https: http://localhost:* http://127.0.0.1:*",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const rest = html.replace(POLICY, "").replace(CHARSET, "");
  return rest.replace("<head>", () => `<head>${CHARSET}<meta http-equiv="Content-Security-Policy" content="${policy}">`);
}
