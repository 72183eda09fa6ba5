"""What torch needs for the same: GPT-2 small's neurons times its tokens in chunks, the two best kept both ways.

    python3 benches/congruence_torch.py --threads 1 [--blocks 8]

Prints seconds and peak memory. `cargo bench --bench tables -- --whole` is our side: sixteen of each end, and histograms.
"""

import argparse
import resource
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--blocks", type=int, default=72, help="of 512 neurons; 72 are GPT-2 small's")
parser.add_argument("--chunk", type=int, default=2048, help="neurons that are multiplied at once")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(1)
neurons, vocab, d_model = args.blocks * 512, 50257, 768
w_out, wte = torch.randn(neurons, d_model), torch.randn(vocab, d_model)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = time.perf_counter()
w_out -= w_out.mean(1, keepdim=True)
wte -= wte.mean(1, keepdim=True)
best = torch.full((2, vocab), float("-inf"))
best_ids = torch.zeros(2, vocab, dtype=torch.long)
by_neuron = []
for start in range(0, neurons, args.chunk):
    products = w_out[start:start + args.chunk] @ wte.T
    by_neuron.append(products.topk(2, dim=1))
    values, ids = products.topk(2, dim=0)
    merged, places = torch.cat([best, values]).topk(2, dim=0)
    best, best_ids = merged, torch.cat([best_ids, ids + start]).gather(0, places)
seconds = time.perf_counter() - begin
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
flops = 2 * neurons * vocab * d_model
print(f"torch {torch.__version__}, {args.threads} threads: {seconds:.2f} s, {flops / seconds / 1e9:.1f} GFLOP/s, "
      f"{(after - before) / 1024:.0f} MiB above the weights' {before / 1024:.0f}")
