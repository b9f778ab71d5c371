"""How many images per second does a fine-tuning pass, beside the same training written otherwise?

    uv run python benchmarks/training.py [--runs MODEL:SIZE:BATCH:IMAGES …] [--repeats 5] [--epochs 2]
        [--file-side PIXELS] [--against usual timm evaluation] [--device auto] [--threads N] [--quick]

* bare: a plain PyTorch loop on float32 tensors in memory, normalised before, nothing augmented: the limit.
* finecal: `finecal.training.loop.TrainingRun` on the packed file, with random crops, flips, jitter and greying.
* usual: ImageFolder, DataLoader and torchvision's transforms on JPEG files; with the number of workers that is fastest
  here, found before. The workers live on from epoch to epoch.
* timm: timm's data set, loader (its best number of workers, too) and optimiser, with the step of its training script.
* finecal + test: with what the pipeline computes after each epoch, the logits of the test samples.
* usual + evaluation: with the accuracies on training and test files after each epoch, as the paper's code has them.

All have the same model, order of weights in memory, precision, batch size, SGD, augmentation and number of images. They
take turns in every repeat, and ratios are medians over the repeats. Time runs from the end of the preparations to the
end of the last epoch; the state is not saved (in a real run once a minute). Nothing here fails for being slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import timm.data
import timm.optim
import timm.scheduler
import timm.utils
import torch
from _measure import line, table
from _workload import (
    FILE_SIDE,
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
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from finecal.config import Augmentation, Training
from finecal.data.augmentation import resize_and_normalise
from finecal.models.build import normaliser
from finecal.models.extraction import extract
from finecal.recipes import full
from finecal.runtime.device import autocast
from finecal.runtime.memory import Room
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile
from finecal.training.task import TrainingTask

# Small images, a model that is faster than JPEG files are read, a transformer, a model that computes for long.
RUNS = (
    "resnet18:64:64:384",
    "mobilenetv3_small_050:64:64:384",
    "mobilenetv3_small_050:128:64:384",
    "vit_tiny_patch16_224:224:32:96",
    "resnet50:128:32:96",
)
WORKERS = (0, 1, 2, 4, 8)
AGAINST = ("usual", "timm", "evaluation")
FINECAL = "**finecal**"
AUGMENTATION = Augmentation()
LR, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4


class Unsaved(StateFile):
    """A state that is not written."""

    def save(self, state: dict[str, object]) -> None:
        """Nothing."""


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    fused = next(model.parameters()).device.type == "cuda"  # as finecal takes it
    return torch.optim.SGD(
        model.parameters(), LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True, fused=fused or None
    )


def step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> Tensor:
    with autocast(images.device):
        loss = nn.functional.cross_entropy(model(images).float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def bare(work: Workload, epochs: int) -> Callable[[], float]:
    """Train on random batches of tensors in memory."""
    chosen = np.flatnonzero(work.file.train)
    pixels = work.load(work.file.train)[np.arange(len(chosen))]
    images = resize_and_normalise(pixels, work.size, normaliser(work.description, work.device))
    labels = torch.from_numpy(work.file.labels[chosen].astype(np.int64)).to(work.device)

    def run() -> float:
        model = work.new_model().train()
        optimizer = sgd(model)
        start = synchronised(work.device)
        for _ in range(epochs):
            for rows in torch.randperm(len(chosen)).split(work.batch):
                rows = rows.to(work.device)
                step(model, optimizer, images[rows], labels[rows])
        return synchronised(work.device) - start

    return run


def finecal(work: Workload, epochs: int, *, test: bool = False) -> Callable[[], float]:
    data = TrainingData.from_file(work.file, work.file.train, work.device, Room())
    held_out = work.load(work.file.test) if test else None
    training = Training(
        optimizer="sgd", lr=LR, backbone_lr_scale=1.0, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, epochs=epochs,
        batch_size=work.batch, augmentation=AUGMENTATION,
    )  # fmt: skip

    def run() -> float:
        model, ends = work.new_model(), list[float]()

        def observe(model: nn.Module) -> dict[str, float]:
            if held_out is not None and ends:
                extract(model, work.description, held_out, work.device)
            ends.append(synchronised(work.device))
            return {}

        of_s = np.ones(len(work.description.classes), dtype=bool)
        task = TrainingTask(
            model, work.description, data, full.Recipe(full.Options()), training, of_s, ("benchmark",)
        )  # fmt: skip
        TrainingRun(task, Unsaved(Path("none"), {}, 1e9), observe).run()
        return ends[-1] - ends[0]

    return run


def usual(work: Workload, epochs: int, workers: int, *, evaluation: bool = False) -> Callable[[], float]:
    jitter = AUGMENTATION.color_jitter
    normalise = [
        transforms.ToTensor(),
        transforms.Normalize(work.description.mean, work.description.std),
    ]
    augmented = transforms.Compose([
        transforms.RandomResizedCrop(work.size, AUGMENTATION.crop_scale, AUGMENTATION.crop_ratio),
        transforms.RandomHorizontalFlip(AUGMENTATION.horizontal_flip),
        transforms.ColorJitter(jitter, jitter, jitter),
        transforms.RandomGrayscale(AUGMENTATION.grayscale),
        *normalise,
    ])  # fmt: skip
    plain = transforms.Compose([transforms.Resize((work.size, work.size)), *normalise])

    def loader(subset: str, transform: Callable[..., Tensor], *, shuffle: bool) -> Iterable[tuple[Tensor, Tensor]]:
        return DataLoader(
            ImageFolder(str(work.folder / subset), transform), work.batch, shuffle=shuffle, num_workers=workers,
            persistent_workers=workers > 0, pin_memory=work.device.type == "cuda",
        )  # fmt: skip

    batches = loader("train", augmented, shuffle=True)
    evaluated = [loader(subset, plain, shuffle=False) for subset in ("train", "test")] if evaluation else []

    def run() -> float:
        model = work.new_model()
        optimizer = sgd(model)
        start = synchronised(work.device)
        for _ in range(epochs):
            model.train()
            for images, labels in batches:
                step(model, optimizer, images.to(work.device, non_blocking=True), labels.to(work.device))
            model.eval()
            for subset in evaluated:
                right = torch.zeros((), device=work.device)
                with torch.inference_mode(), autocast(work.device):
                    for images, labels in subset:
                        found = model(images.to(work.device, non_blocking=True)).argmax(dim=1)
                        right += (found == labels.to(work.device)).sum()
                float(right)
        return synchronised(work.device) - start

    return run


def timms(work: Workload, epochs: int, workers: int) -> Callable[[], float]:
    """Train as timm's train.py does: with timm's data set, loader, optimiser, schedule and loss meter."""
    folder = timm.data.create_dataset("", root=str(work.folder), split="train", is_training=True)
    batches = timm.data.create_loader(
        folder, (3, work.size, work.size), work.batch, is_training=True, scale=AUGMENTATION.crop_scale,
        ratio=AUGMENTATION.crop_ratio, hflip=AUGMENTATION.horizontal_flip, color_jitter=AUGMENTATION.color_jitter,
        grayscale_prob=AUGMENTATION.grayscale, interpolation="bilinear", mean=work.description.mean,
        std=work.description.std, num_workers=workers, device=work.device, persistent_workers=workers > 0,
        use_prefetcher=work.device.type == "cuda", pin_memory=work.device.type == "cuda",
    )  # fmt: skip

    def run() -> float:
        model = work.new_model().train()
        fused = {"fused": True} if work.device.type == "cuda" else {}
        optimizer = timm.optim.create_optimizer_v2(
            model, "sgd", lr=LR, weight_decay=WEIGHT_DECAY, momentum=MOMENTUM, **fused
        )
        schedule, _ = timm.scheduler.create_scheduler_v2(optimizer, "cosine", num_epochs=epochs)
        start = synchronised(work.device)
        for epoch in range(epochs):
            losses = timm.utils.AverageMeter()
            for number, (images, labels) in enumerate(batches):
                if work.device.type != "cuda":
                    images, labels = images.to(work.device), labels.to(work.device)
                loss = step(model, optimizer, images, labels)
                if number % 50 == 0:  # train.py's --log-interval
                    losses.update(loss.item(), len(images))
            schedule.step(epoch + 1)
        return synchronised(work.device) - start

    return run


def best_workers(way: Callable[[int], Callable[[], float]], candidates: Sequence[int]) -> int:
    """Find the number of workers with the fastest epoch, after one that is not counted."""
    found: dict[int, float] = {}
    for workers in candidates:
        run = way(workers)
        run()
        found[workers] = min(run() for _ in range(2))
    return min(found, key=lambda workers: found[workers])


def compare(
    work: Workload, epochs: int, repeats: int, candidates: Sequence[int], against: Sequence[str]
) -> list[list[str]]:
    ways = {"bare": bare(work, epochs), FINECAL: finecal(work, epochs)}
    same_work = {}  # way → that of finecal which does the same; by default the plain one
    if "usual" in against or "evaluation" in against:
        workers = best_workers(lambda n: usual(work, 1, n), candidates)
    if "usual" in against:
        ways[f"usual (workers: {workers})"] = usual(work, epochs, workers)
    if "timm" in against:
        of_timm = best_workers(lambda n: timms(work, 1, n), candidates)
        ways[f"timm (workers: {of_timm})"] = timms(work, epochs, of_timm)
    if "evaluation" in against:
        evaluated, tested = "usual + evaluation", f"{FINECAL} + test"
        ways |= {tested: finecal(work, epochs, test=True), evaluated: usual(work, epochs, workers, evaluation=True)}
        same_work = dict.fromkeys((tested, evaluated), tested)
    times = in_turns(ways, repeats)
    images = epochs * int(work.file.train.sum())
    return [
        [
            f"{work.model}, {work.size}", way, f"{images / median(times[way]):,.1f}",
            f"{ratio(times, way, 'bare'):.2f}", f"{ratio(times, same_work.get(way, FINECAL), way):.2f}",
        ]
        for way in ways
    ]  # fmt: skip


def main() -> None:
    parser = argument_parser("Images per second of fine-tuning.", repeats=5)
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="MODEL:SIZE:BATCH:IMAGES")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="numbers of workers that are tried")
    parser.add_argument("--file-side", type=int, default=FILE_SIDE, help="side of the JPEG files in pixels")
    parser.add_argument("--against", nargs="+", choices=AGAINST, default=AGAINST, help="besides the bare loop")
    args = parser.parse_args()
    if args.quick:
        args.threads = 1
        args.runs, args.repeats, args.epochs, args.workers = ("test_resnet:32:8:16",), 1, 1, (0, 1)

    device, threads = set_up_device(args.device, args.threads)
    print(
        f"{hardware(device, threads)}; JPEG files of {args.file_side} × {args.file_side} pixels; "
        f"median of {args.repeats} interleaved repeats of {args.epochs} epochs\n"
    )
    began = time.monotonic()
    columns = ("model, image size", "way", "images/s", "÷ bare", "finecal is × as fast (of the same work)")
    print(table(columns, [], words=2), flush=True)
    for model, (size, batch, images) in parse_runs(args.runs):
        with workload(model, size, batch, images, device, args.file_side) as work:
            for row in compare(work, args.epochs, args.repeats, args.workers, args.against):
                print(line(row), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s in all.")


if __name__ == "__main__":
    main()
