// That a pass over a corpus takes no more memory the longer the text is: makes files of some sizes and forms, reads them
// with the release program, and prints the peak of each run's memory and how fast it went.
//
//   cargo build --release --bin peartree
//   node benches/corpus_memory.mjs [--sizes 10,100,1000] [--whole 20,100] [--folder DIR]
//
// Sizes are in MB of text. Those of --sizes are read with --share 0.001, so that reading is all there is to do; those of
// --whole entirely, once with every neuron of every layer watched and once with a pair counted: some five minutes for
// each 100 MB. It needs GNU time, twice the largest size on the disk, and zstd for the .zst files, left out without it.
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const numbers = (text) => text.split(",").filter(Boolean).map(Number);
const PEARTREE = option("--peartree", "target/release/peartree");
const folder = mkdtempSync(path.join(option("--folder", tmpdir()), "corpus-memory-"));
const DOCUMENT_BYTES = 2000;
const PAIR = ["--neurons", "2:92: an"];
const FEW = ["--share", "0.001"];

// a linear congruence: the same text in every run
let seed = 20260101;
const below = (n) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;
const WORDS = "the a an of and to in apple pear tree river stone house child winter song bread light walked picked found under green old seven never".split(" ");
const sentence = () => `${Array.from({ length: 6 + below(14) }, () => WORDS[below(WORDS.length)]).join(" ")}.`;
const SENTENCES = Array.from({ length: 5000 }, sentence);

/** Documents one after the other, each with numbers that stand nowhere else, until there is enough. */
function write(file, megabytes, asLine) {
  const out = openSync(file, "w");
  for (let bytes = 0, n = 0; bytes < megabytes * 1e6; ) {
    const texts = [];
    for (let some = 0; some < 200; some += 1, n += 1) {
      let text = `Number ${n} of ${below(1e9)}:`;
      while (text.length < DOCUMENT_BYTES) text += ` ${SENTENCES[below(SENTENCES.length)]}`;
      texts.push(asLine ? JSON.stringify({ text }) : text);
    }
    bytes += writeSync(out, `${texts.join("\n")}\n`);
  }
  closeSync(out);
}

function measure(file, size, ...more) {
  const words = ["corpus", "--data", file, "--json", ...more];
  const measured = path.join(folder, "time");
  const run = spawnSync("time", ["-f", "%e %M", "-o", measured, PEARTREE, ...words], { encoding: "utf8", maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(run.stderr || String(run.error));
  const [seconds, kilobytes] = readFileSync(measured, "utf8").trim().split(" ").map(Number);
  const { positions } = JSON.parse(run.stdout);
  const figures = [`${size} MB of text`, `${positions} tokens read`, `${seconds.toFixed(1)} s`, `${(size / seconds).toFixed(1)} MB/s`];
  console.log([path.basename(file).slice("text".length), more.join(" "), ...figures, `peak ${(kilobytes / 1024).toFixed(1)} MB`].join(", "));
}

function pack(command, file) {
  const packed = spawnSync(command, ["-1", "-k", "-f", "-q", file]);
  return packed.error ? null : `${file}.${command === "gzip" ? "gz" : "zst"}`;
}

try {
  const lines = path.join(folder, "text.jsonl"), plain = path.join(folder, "text.txt");
  for (const size of numbers(option("--sizes", "10,100,1000"))) {
    write(lines, size, true);
    measure(lines, size, ...PAIR, ...FEW);
    for (const command of ["gzip", "zstd"]) {
      const packed = pack(command, lines);
      if (packed) measure(packed, size, ...PAIR, ...FEW);
      if (packed) rmSync(packed);
    }
    rmSync(lines);
    write(plain, size, false);
    measure(plain, size, ...PAIR, ...FEW);
    rmSync(plain);
  }
  for (const size of numbers(option("--whole", "20,100"))) {
    write(lines, size, true);
    for (const what of [["--layers", "all"], PAIR]) measure(lines, size, ...what);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
