"""How many images per second does extraction pass, beside the bare forward pass?

    uv run python benchmarks/extraction.py [--runs MODEL:SIZE:BATCH:IMAGES …] [--repeats 7] [--device auto] [--quick]

* bare: `model(images)` in inference mode on float32 tensors in memory, in batches of the same size: the limit.
* finecal: `finecal.models.extraction.extract` from the packed file, which is read, scaled and normalised meanwhile, to
  features and logits as NumPy arrays, checked to be finite.

They take turns in every repeat; the ratio is the median over the repeats. Nothing here fails for being slow.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from _measure import table
from _workload import (
    Workload,
    argument_parser,
    hardware,
    in_turns,
    parse_runs,
    ratio,
    set_up_device,
    synchronised,
    workload,
)

from finecal.data.augmentation import resize_and_normalise
from finecal.models.build import normaliser
from finecal.models.extraction import BATCH, extract
from finecal.runtime.device import autocast

# Three batches or more, as nearly every data set has: the first is prepared before the model can begin.
RUNS = ("resnet18:64:1024", "mobilenetv3_small_050:128:4096", "resnet50:128:512", "vit_tiny_patch16_224:224:512")


def bare(work: Workload) -> Callable[[], float]:
    pixels = work.load(np.ones(len(work.file), dtype=bool))[np.arange(len(work.file))]
    images = resize_and_normalise(pixels, work.size, normaliser(work.description, work.device))
    model = work.new_model().eval()

    def run() -> float:
        start = synchronised(work.device)
        with torch.inference_mode(), autocast(work.device):
            for batch in images.split(BATCH):
                model(batch)
        return synchronised(work.device) - start

    return run


def finecal(work: Workload) -> Callable[[], float]:
    model = work.new_model()

    def run() -> float:
        start = synchronised(work.device)
        extract(model, work.description, work.file, work.device)
        return synchronised(work.device) - start

    return run


def main() -> None:
    parser = argument_parser("Images per second of extraction.", repeats=7)
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="MODEL:SIZE:BATCH:IMAGES")
    args = parser.parse_args()
    if args.quick:
        args.threads = 1
        args.runs, args.repeats = ("test_resnet:32:32",), 1

    device, threads = set_up_device(args.device, args.threads)
    print(f"{hardware(device, threads)}; median of {args.repeats} interleaved repeats, batches of {BATCH}\n")
    rows = []
    for model, (size, images) in parse_runs(args.runs):
        with workload(model, size, BATCH, images, device) as work:
            times = in_turns({"bare": bare(work), "finecal": finecal(work)}, args.repeats)
            speeds = [f"{len(work.file) / median(times[way]):,.0f}" for way in ("bare", "finecal")]
            rows.append([f"{model}, {size}", *speeds, f"{ratio(times, 'finecal', 'bare'):.3f}"])
    print(table(("model, image size", "bare (images/s)", "finecal (images/s)", "finecal ÷ bare"), rows))


if __name__ == "__main__":
    main()
