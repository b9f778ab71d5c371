"""How much faster is a linear probe whose features are computed once?

    uv run python benchmarks/linear_probe.py [--run MODEL:SIZE:BATCH:IMAGES] [--epochs 5 20 50] [--repeats 3] [--quick]

* plain: every batch passes through the backbone in evaluation mode, which needs no gradients, and through the last
  layer, which is trained; after each epoch the test samples pass through both. `linear_probe` with
  `augment: true` does this.
* finecal: `linear_probe` as it is by default: all images pass once, then the last layer is trained on features; test
  samples are classified after each epoch too.

Both train on the same packed file without augmentation; the plain one, too, takes its pixels from memory. The first
column counts everything; the second what one more epoch takes. Nothing here fails for being slow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from _measure import table
from _workload import Workload, argument_parser, hardware, in_turns, parse_runs, set_up_device, synchronised, workload
from torch import nn

from finecal.config import Training
from finecal.data.augmentation import resize_and_normalise
from finecal.models.build import head, normaliser
from finecal.models.extraction import classify, extract
from finecal.recipes import linear_probe
from finecal.runtime.device import autocast
from finecal.runtime.memory import Room
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile
from finecal.training.task import TrainingTask

RUN = "resnet18:64:64:768"


def plain(work: Workload, epochs: int) -> Callable[[], float]:
    scale = normaliser(work.description, work.device)
    chosen = np.flatnonzero(work.file.train)
    pixels, test = work.load(work.file.train), work.load(work.file.test)
    labels = torch.from_numpy(work.file.labels[chosen].astype(np.int64)).to(work.device)

    def normalised(pixels: torch.Tensor) -> torch.Tensor:
        return resize_and_normalise(pixels, work.size, scale)

    def run() -> float:
        model = work.new_model().requires_grad_(False).eval()
        layer = head(model).requires_grad_(True)
        optimizer = torch.optim.SGD(layer.parameters(), 1e-2, momentum=0.9, nesterov=True)
        start = synchronised(work.device)
        for _ in range(epochs):
            for rows in torch.randperm(len(chosen)).split(work.batch):
                with autocast(work.device):
                    logits = model(normalised(pixels[rows.numpy()]))
                loss = nn.functional.cross_entropy(logits.float(), labels[rows.to(work.device)])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.inference_mode(), autocast(work.device):
                for batch in test.batches(256, work.device):
                    model(normalised(batch)).argmax(dim=1)
        return synchronised(work.device) - start

    return run


def finecal(work: Workload, epochs: int, folder: Path) -> Callable[[], float]:
    """Pass the images and train, as the stage `finetune` does."""
    training = Training(optimizer="sgd", lr=1e-2, epochs=epochs, batch_size=work.batch)

    def run() -> float:
        model = work.new_model()
        start = synchronised(work.device)
        data = TrainingData.from_file(work.file, work.file.train, work.device, Room())
        features, _ = extract(model, work.description, work.file, work.device)
        tested: dict[str, Any] = {"features": features[work.file.test]}
        recipe = linear_probe.Recipe(linear_probe.Options(augment=False))
        of_s = np.ones(len(work.description.classes), dtype=bool)
        TrainingRun(
            TrainingTask(model, work.description, data, recipe, training, of_s, ("benchmark",)),
            StateFile(folder / "state.pt", {"start": start}, 60.0),
            lambda model: {"first": float(classify(model, tested["features"], work.device)[0, 0])},
            features=lambda: features[work.file.train],
        ).run()
        return synchronised(work.device) - start

    return run


def main() -> None:
    parser = argument_parser("Time of linear probing.", repeats=3)
    parser.add_argument("--run", default=RUN, metavar="MODEL:SIZE:BATCH:IMAGES")
    parser.add_argument("--epochs", type=int, nargs="+", default=(5, 20, 50))
    args = parser.parse_args()
    if args.quick:
        args.threads = 1
        args.run, args.epochs, args.repeats = "test_resnet:32:8:16", (1, 2), 1

    device, threads = set_up_device(args.device, args.threads)
    model, (size, batch, images) = parse_runs([args.run])[0]
    print(f"{model}, {size} pixels, {images} training samples; ", end="")
    print(f"{hardware(device, threads)}; median of {args.repeats} interleaved repeats\n")
    with workload(model, size, batch, images, device) as work, tempfile.TemporaryDirectory() as folder:
        ways = {f"plain {n}": plain(work, n) for n in args.epochs}
        ways |= {f"finecal {n}": finecal(work, n, Path(folder)) for n in args.epochs}
        times = {name: median(found) for name, found in in_turns(ways, args.repeats).items()}
    few, many = min(args.epochs), max(args.epochs)
    rows = [
        [f"{n} epochs", f"{times[f'plain {n}']:.2f}", f"{times[f'finecal {n}']:.2f}",
         f"{times[f'plain {n}'] / times[f'finecal {n}']:.1f}"]
        for n in args.epochs
    ]  # fmt: skip
    each = {way: (times[f"{way} {many}"] - times[f"{way} {few}"]) / (many - few) for way in ("plain", "finecal")}
    if min(each.values()) > 0:  # else the machine was too busy
        faster = each["plain"] / each["finecal"]
        rows.append(["one more epoch", f"{each['plain']:.3f}", f"{each['finecal']:.4f}", f"{faster:.0f}"])
    print(table(("", "plain (s)", "finecal (s)", "× as fast"), rows))


if __name__ == "__main__":
    main()
