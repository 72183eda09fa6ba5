"""A corpus as a job on Ray (`pip install ray`): one task a shard, those that die are started again.

    python examples/shards/ray_job.py --shards 8 --out out -- --data texts.jsonl.gz --neurons "31:892: an"

What comes after `--` goes to `peartree corpus`. A shard goes on from its last checkpoint, wherever it is started
again, as long as --out is a folder that all machines see. `out/shard-3.log` says what became of shard 3, and
`out/merged` is the whole.
"""
import argparse
import os
import shutil
import subprocess

# nothing is told to anybody about this job
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
import ray  # noqa: E402

parser = argparse.ArgumentParser(usage="%(prog)s --shards N --out DIR [options] -- ARGUMENTS OF peartree corpus")
parser.add_argument("--peartree", default="target/release/peartree", help="the program")
parser.add_argument("--address", default="local", help="of a cluster; auto for one that this machine belongs to")
parser.add_argument("--workers", type=int, help="shards at once on this machine alone [default: its cores]")
parser.add_argument("--shards", type=int, required=True)
parser.add_argument("--out", required=True)
parser.add_argument("rest", nargs=argparse.REMAINDER)
options = parser.parse_args()
# Ray starts its workers in other folders
peartree, out = os.path.abspath(options.peartree), os.path.abspath(options.out)
rest = [os.path.abspath(word) if os.path.exists(word) else word for word in options.rest if word != "--"]
os.makedirs(out, exist_ok=True)

if options.address == "local":
    # a cluster of this machine alone, seen by nobody else; the store is for Ray's objects, and there are none
    alone = {"include_dashboard": False, "object_store_memory": 80 << 20, "_node_ip_address": "127.0.0.1"}
    ray.init("local", num_cpus=options.workers, log_to_driver=False, logging_level="error", **alone)
else:
    ray.init(options.address, log_to_driver=False)


# again if the worker dies (max_retries), and if peartree does (retry_exceptions)
@ray.remote(num_cpus=1, max_retries=5, retry_exceptions=True)
def shard(i):
    folder = f"{out}/shard-{i}"
    part = ["--shard", f"{i}/{options.shards}", "--out", folder, "--threads", "1"]
    # a worker that is killed takes peartree with it: two of them must not write into one folder
    with_worker = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with open(f"{folder}.log", "a") as log:
        print(f"worker {os.getpid()} begins", file=log, flush=True)
        command = [*with_worker, peartree, "corpus", *rest, *part]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=log)
        print(f"worker {os.getpid()} is done", file=log, flush=True)
    return folder


folders = ray.get([shard.remote(i) for i in range(options.shards)])
ray.shutdown()
subprocess.run([peartree, "merge", *folders, "--out", f"{out}/merged"], check=True)
