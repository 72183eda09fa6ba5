"""A corpus as a job on Ray (`pip install ray`): one task a shard, those that die are started again.

    python examples/shards/ray_job.py --shards 7 --out findings -- --model DIR --data texts.jsonl.gz --neurons "31:892: an"

What comes after `--` goes to `peartree corpus`. A shard goes on from its last checkpoint, wherever it is started
again, as long as the folder is one that all machines see.
"""
import argparse
import os
import subprocess

import ray

parser = argparse.ArgumentParser()
parser.add_argument("--peartree", default="target/release/peartree")
parser.add_argument("--shards", type=int, required=True)
parser.add_argument("--out", required=True)
parser.add_argument("rest", nargs=argparse.REMAINDER)
options = parser.parse_args()
# Ray starts its workers in other folders
peartree, out = os.path.abspath(options.peartree), os.path.abspath(options.out)
rest = [os.path.abspath(word) if os.path.exists(word) else word for word in options.rest if word != "--"]

ray.init(log_to_driver=False)


@ray.remote(num_cpus=1, max_retries=5, retry_exceptions=True)
def shard(i):
    folder = f"{out}/shard-{i}"
    part = ["--shard", f"{i}/{options.shards}", "--out", folder, "--threads", "1"]
    subprocess.run([peartree, "corpus", *rest, *part], check=True, stdout=subprocess.DEVNULL)
    return folder


folders = ray.get([shard.remote(i) for i in range(options.shards)])
subprocess.run([peartree, "merge", *folders, "--out", f"{out}/merged"], check=True)
