// The shards as a job on Ray, for real: four at once, one's program and another's worker killed, their folders merged.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PEARTREE = path.resolve(ROOT, process.env.PEARTREE ?? "target/debug/peartree");
const PYTHON = process.env.RAY_PYTHON ?? "python3";

/** So many that the first checkpoint comes long before the end. */
const DOCUMENTS = 4000;
const PAIR = "1:220: an";
const CHECKPOINT_SECONDS = "0.2";

function texts() {
  const trees = ["apple", "pear", "lemon", "plum", "orange", "fig", "quince"];
  const tree = (i) => trees[i % trees.length];
  const line = (i) => `I climbed up the ${tree(i)} tree and picked ${i % 3 ? "a" : "an"} ${tree(3 * i + 1)}. It was number ${i}. I climbed up the ${tree(5 * i)} tree.`;
  return Array.from({ length: DOCUMENTS }, (_, i) => `${JSON.stringify({ text: line(i) })}\n`).join("");
}

const proc = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // it has ended
  }
};
const pids = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
/** Processes that work in the folder or for one that does: Ray's know it as their home. */
const processesOf = (folder) => pids().filter((pid) => pid !== process.pid && (proc(pid, "cmdline") + proc(pid, "environ")).includes(folder));

/** Waits for what `look` finds. */
async function until(look, what, ms = 60_000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(5)) {
    const found = look();
    if (found) return found;
  }
  throw new Error(`waited in vain for ${what}`);
}

/** The program that computes a shard, once it has been at it for a while and there is something to go on from. */
async function running(out, shard) {
  const folder = `${out}/shard-${shard}`;
  const written = () => statSync(`${folder}/checkpoint.bin`, { throwIfNoEntry: false })?.mtimeMs;
  const first = await until(written, `${folder}'s checkpoint`);
  await until(() => written() > first + 500 || existsSync(`${folder}/corpus.json`), "a later one");
  const is = (pid) => proc(pid, "cmdline").startsWith(`${PEARTREE}\0corpus\0`) && proc(pid, "cmdline").split("\0").includes(folder);
  const pid = pids().find(is);
  assert.ok(pid, `shard ${shard} ended before it could be killed`);
  return pid;
}

const files = (folder) => readdirSync(folder).sort();

const skip = process.platform !== "linux" && "it looks for processes in /proc";
test("a job on Ray, of which a program and a worker are killed, gives one run's folder", { skip, timeout: 300_000 }, async (t) => {
  assert.ok(existsSync(PEARTREE), `there is no ${PEARTREE}: cargo build`);
  // the path of a socket in it must be short
  const folder = mkdtempSync("/tmp/pt-ray-");
  t.after(() => {
    for (const pid of processesOf(folder)) process.kill(pid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const [data, one, out] = ["texts.jsonl", "one", "out"].map((name) => path.join(folder, name));
  writeFileSync(data, texts());
  const options = ["--data", data, "--neurons", PAIR];
  const whole = spawnSync(PEARTREE, ["corpus", ...options, "--out", one, "--threads", "1"], { encoding: "utf8" });
  assert.equal(whole.status, 0, whole.stderr);

  mkdirSync(out);
  const script = path.join(ROOT, "examples/shards/ray_job.py");
  const shards = ["--peartree", PEARTREE, "--shards", "4", "--workers", "4", "--out", out];
  const env = { ...process.env, HOME: folder, RAY_TMPDIR: folder };
  const job = spawn(PYTHON, [script, ...shards, "--", ...options, "--checkpoint", CHECKPOINT_SECONDS], { env });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) job[stream].setEncoding("utf8").on("data", (text) => (said[stream] += text));
  const ended = new Promise((resolve, reject) => job.on("error", reject).on("close", resolve));

  const killProgram = async () => process.kill(await running(out, 1), "SIGKILL");
  const killWorker = async () => {
    const pid = await running(out, 2);
    const worker = Number(/^PPid:\s*(\d+)/m.exec(proc(pid, "status"))[1]);
    assert.match(proc(worker, "cmdline"), /^ray::/);
    process.kill(worker, "SIGKILL");
    // else two programs would write into one folder
    await until(() => !proc(pid, "cmdline").startsWith(PEARTREE), "the end of the killed worker's program", 2000);
  };
  const tooEarly = ended.then((status) => assert.fail(`the job ended with ${status} before both were killed: ${said.stderr}`));
  await Promise.race([Promise.all([killProgram(), killWorker()]), tooEarly]);
  tooEarly.catch(() => {}); // from here on it may end
  const status = await ended;
  assert.equal(status, 0, said.stderr);

  for (const shard of [0, 1, 2, 3]) {
    const log = readFileSync(path.join(out, `shard-${shard}.log`), "utf8");
    const workers = [...log.matchAll(/worker (\d+) begins/g)].map((begun) => begun[1]);
    if (shard === 0 || shard === 3) {
      assert.match(log, /^worker \d+ begins\nworker \d+ is done\n$/);
      continue;
    }
    // begun twice, ended once, and not from the start
    const went = /^worker \d+ begins\nworker \d+ begins\npeartree: going on from (\d+) tokens that were read before\nworker \d+ is done\n$/.exec(log);
    assert.ok(went, log);
    const { positions } = JSON.parse(readFileSync(path.join(out, `shard-${shard}`, "corpus.json"))).index.answer;
    assert.ok(went[1] > 0 && went[1] < positions, `${went[1]} of ${positions} tokens`);
    t.diagnostic(`shard ${shard} went on from ${went[1]} of ${positions} tokens`);
    if (shard === 2) assert.notEqual(workers[0], workers[1]);
  }
  // after what Ray says of the two that died
  assert.ok(said.stdout.endsWith(whole.stdout), `another answer than one run's: ${said.stdout}`);
  const merged = path.join(out, "merged");
  assert.deepEqual(files(merged), files(one));
  for (const file of files(one)) {
    assert.ok(readFileSync(path.join(merged, file)).equals(readFileSync(path.join(one, file))), `${file} differs from one run's`);
  }
  await until(() => processesOf(folder).length === 0, "the end of Ray's processes", 10_000);
});
