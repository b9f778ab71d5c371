"""Estimate what studies will take: GPU-hours from a throughput, and disk. Rough: whether it is a night or a month.

A data set takes part if it says how many samples it has (`finecal.data.dataset.DataSet.sizes`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from finecal import registry
from finecal.errors import counted
from finecal.paths import ALL_CLASSES, RunKey
from finecal.plan.job_sets import domains, framed
from finecal.plan.network import list_downloads, needs_network
from finecal.plan.plan import Plan

# Images per second that a GPU trains on: a ResNet-50 at 224 × 224 with mixed precision. An assumption, not a
# measurement of finecal; benchmarks/training.py measures what users then give. Other sizes of image are scaled by
# area, other models are not.
IMAGES_PER_SECOND = 500.0
SIDE = 224
# A forward pass takes about a third of a training step: the backward pass takes twice as long.
FORWARD = 1 / 3
FLOAT = 4  # bytes


@dataclass
class Work:
    """Sums over all jobs.

    Attributes
    ----------
    trained, evaluated
        Images of 224 × 224 that pass forward and backward, and forward only.
    downloads, images, models, logits
        Bytes on disk.
    unknown
        Downloads whose size is not known.
    left_out
        Data sets that say nothing of their sizes.
    """

    trained: float = 0.0
    evaluated: float = 0.0
    downloads: int = 0
    images: int = 0
    models: int = 0
    logits: int = 0
    unknown: int = 0
    left_out: set[str] = field(default_factory=set)

    def gpu_hours(self, images_per_second: float) -> float:
        """Hours of one GPU."""
        return (self.trained + FORWARD * self.evaluated) / images_per_second / 3600


def describe(plan: Plan, images_per_second: float) -> list[str]:
    """Describe the work in lines; none for studies that need nothing from the network, which are small."""
    if not needs_network(plan):
        return []
    work = estimate_work(plan)
    given = "as you say" if images_per_second != IMAGES_PER_SECOND else "assumed: give yours with --images-per-second"
    more = f" and {counted(work.unknown, 'file')} of unknown size" if work.unknown else ""
    lines = [
        f"About {work.gpu_hours(images_per_second):,.0f} GPU-hours at {images_per_second:,.0f} images per second "
        f"({given}): {work.trained / 1e6:,.1f} million images to train on, {work.evaluated / 1e6:,.1f} million to "
        "evaluate.",
        f"About {_gb(work.images + work.models + work.logits)} of disk (models {_gb(work.models)}, logits and features "
        f"{_gb(work.logits)}, images {_gb(work.images)}), and downloads of {_gb(work.downloads)}{more}.",
    ]
    if work.left_out:
        lines.append(f"Not counted, since their sizes are not known: {', '.join(sorted(work.left_out))}.")
    return lines


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


def estimate_work(plan: Plan) -> Work:
    """Add up the work of all jobs as if none were done."""
    work = Work()
    for download in list_downloads(plan).values():
        size = download.bytes or download.about
        work.downloads += size or 0
        work.unknown += size is None
    _add_images(work, plan)
    for dataset, source, backbone in dict.fromkeys((r.dataset, r.source, r.backbone) for r in plan.trainings):
        _add_pretraining(work, plan, dataset, source, backbone)
    for run in plan.trainings:
        _add_run(work, plan, run)
    return work


def _add_images(work: Work, plan: Plan) -> None:
    """Add the squares that are stored, and what each backbone with a preprocessing of its own is shown."""
    squares = {(one["dataset"], one["domain"]) for one in domains(plan)}
    shown = {(str(one["dataset"]), str(one["domain"]), str(one["backbone"])) for one in framed(plan)}
    for dataset, domain in plan.domains():
        data_set = plan.data_set(dataset)
        sizes = data_set.sizes(domain)
        if sizes is None:
            work.left_out.add(dataset)
            continue
        backbones = [backbone for *place, backbone in shown if place == [dataset, domain]]
        sides = [plan.options("frame", dataset, backbone)["backbone"]["image_size"] for backbone in backbones]
        sides += [data_set.stored_side()] if (dataset, domain) in squares else []
        work.images += (sizes.train + sizes.test) * 3 * sum(side**2 for side in sides)


def _add_pretraining(work: Work, plan: Plan, dataset: str, source: str, backbone: str) -> None:
    spec, sizes = plan.options("pretrain", dataset, backbone), plan.data_set(dataset).sizes(source)
    if sizes is None:
        return
    work.models += FLOAT * count_parameters(spec["backbone"]["model"])[0]
    if spec["pretraining"]["training"] is not None:
        _add_training(work, spec["pretraining"]["training"], sizes, _area(spec["backbone"]["image_size"]))


def _add_run(work: Work, plan: Plan, run: RunKey) -> None:
    spec = plan.options("finetune", run.dataset, run.backbone, run.recipe)
    sizes = plan.data_set(run.dataset).sizes(run.target)
    if sizes is None:
        return
    train, test, classes = sizes
    parameters, width = count_parameters(plan.options("pretrain", run.dataset, run.backbone)["backbone"]["model"])
    area = _area(spec["image_size"])
    work.models += FLOAT * parameters
    work.logits += FLOAT * (train + test) * (classes + width)
    work.evaluated += (train + test) * area
    if spec["training"]["epochs"] is None:  # a checkpoint, which is not trained
        return
    times = _cycles(spec)
    _add_training(work, spec["training"], sizes, area, times)
    if run.split != ALL_CLASSES and "pseudo_splits" in plan.reads(run):
        pseudo = plan.options("pseudo_splits", run.dataset, run.backbone, run.recipe)["pseudo_splits"]
        held_out = round(pseudo["validation_fraction"] * train)
        for _ in range(pseudo["folds"]):
            _add_training(work, spec["training"], (train - held_out, held_out, classes), area, times)
            work.logits += FLOAT * held_out * classes


def _add_training(
    work: Work, training: Mapping[str, Any], sizes: tuple[int, int, int], area: float, times: int = 1
) -> None:
    train, test, _ = sizes
    batch = min(training["batch_size"], train)
    steps = training["steps_per_epoch"] or math.ceil(train / batch)
    work.trained += times * training["epochs"] * steps * batch * area
    work.evaluated += times * (training["epochs"] + 1) * test * area  # the history has the test accuracy of each epoch


def _area(side: int) -> float:
    return (side / SIDE) ** 2


def _cycles(spec: Mapping[str, Any]) -> int:
    """Return how many trainings in a row a recipe makes."""
    module = registry.load("recipe", spec["recipe"])
    cycles: int = module.Recipe(module.Options.model_validate(spec["options"])).cycles
    return cycles


@cache
def count_parameters(model: str) -> tuple[int, int]:
    """Return the number of parameters of a timm model without its head, and its number of features.

    Nothing is computed or fetched.
    """
    import timm
    import torch

    import finecal.models.toy  # noqa: F401 - registers finecal_mlp
    from finecal.models.joined_heads import join_classifiers
    from finecal.models.last_layer import find_last_layer

    if model.startswith(("hf-hub:", "local-dir:")):
        return 0, 0
    with torch.device("meta"):
        built = timm.create_model(model.partition(".")[0], pretrained=False, num_classes=1)
        join_classifiers(built)
    head = find_last_layer(built)
    if head is None:
        return sum(map(torch.numel, built.parameters())), int(getattr(built, "num_features", 0))
    of_head = sum(map(torch.numel, head.parameters()))
    return sum(map(torch.numel, built.parameters())) - of_head, head.in_features
