"""What does it save on the CPU to keep freed memory instead of giving it back to the kernel?

    uv run python benchmarks/allocation.py [--runs MODEL:SIZE:BATCH …] [--steps 12] [--repeats 3]
        [--threads N] [--quick]

A plain PyTorch training loop on random tensors, in processes of their own that take turns: with glibc as it comes, and
after `finecal.runtime.malloc.keep_freed_memory`, which every finecal job that runs a model calls. Nothing here fails
for being slow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

import torch
from _measure import Measured, measure, table
from _workload import CLASSES, hardware, parse_runs, synchronised
from torch import nn

from finecal.models.build import architecture, build
from finecal.runtime.device import place_model
from finecal.runtime.malloc import keep_freed_memory

RUNS = ("test_resnet:32:64", "mobilenetv3_small_050:128:64", "resnet18:64:64", "vit_tiny_patch16_224:224:32")
WAYS = {"glibc as it comes": "plain", "freed memory is kept": "kept"}


def train(model: str, size: int, batch: int, steps: int) -> float:
    """Return the seconds of some steps, after two that are not counted."""
    torch.manual_seed(0)
    description = architecture({"model": model, "options": {}, "image_size": size}, CLASSES, 3)
    network = place_model(build(description, weights="random"), torch.device("cpu")).train()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    images, labels = torch.randn(batch, 3, size, size), torch.arange(batch) % len(CLASSES)
    start = 0.0
    for number in range(-2, steps):
        if number == 0:
            start = synchronised(images.device)
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return synchronised(images.device) - start


def compare(model: str, size: int, batch: int, args: argparse.Namespace) -> list[list[str]]:
    found: dict[str, list[Measured]] = {name: [] for name in WAYS}
    for _ in range(args.repeats):
        for name, way in WAYS.items():
            run = [
                f"--run={model}:{size}:{batch}",
                f"--way={way}",
                f"--steps={args.steps}",
                f"--threads={args.threads}",
            ]
            found[name].append(measure([sys.executable, Path(__file__), *run]))
    seconds = {name: [float(one.output.splitlines()[-1]) for one in several] for name, several in found.items()}
    plain = next(iter(seconds.values()))
    return [
        [
            f"{model}, {size}", name, f"{args.steps * batch / median(seconds[name]):,.1f}",
            f"{median(b / a for a, b in zip(seconds[name], plain, strict=True)):.2f}",
            f"{median(one.memory for one in found[name]):,.0f}",
        ]
        for name in WAYS
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What keeping freed memory saves.")
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="MODEL:SIZE:BATCH")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # what one of the processes does
    parser.add_argument("--way", choices=list(WAYS.values()), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        if args.way == "kept":
            keep_freed_memory()
        torch.set_num_threads(args.threads)
        ((model, (size, batch)),) = parse_runs([args.run])
        print(train(model, size, batch, args.steps))
        return
    if args.quick:
        args.runs, args.steps, args.repeats = RUNS[:1], 2, 1
    print(f"{hardware(torch.device('cpu'), args.threads)}; median of {args.repeats} interleaved repeats\n")
    rows = [row for model, (size, batch) in parse_runs(args.runs) for row in compare(model, size, batch, args)]
    print(table(["model, image size", "way", "images/s", "× as fast", "peak memory (MiB)"], rows, words=2))


if __name__ == "__main__":
    main()
