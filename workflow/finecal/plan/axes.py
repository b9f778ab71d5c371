"""What the selected studies vary, and which figures and tables therefore make sense.

A figure or table that compares something has a literal `AXIS` (a key of `MEANING`); one without it is made always.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from finecal import registry
from finecal.config.extends import study_names
from finecal.config.load import load_study
from finecal.data.dataset import DataSet
from finecal.errors import UserError
from finecal.paths import ALL_CLASSES
from finecal.plan.options import resolve_options

Spec = Mapping[str, Any]
Options = Mapping[tuple[str, ...], Spec]

MEANING = {
    "class_size": "splits that put different numbers of classes into S",
    "training": "recipes that differ in optimiser, learning rate or weight decay only",
    "head": "one model with different heads",
    "recipe": "different recipes",
    "backbone": "different models",
    "toy": "the two-dimensional toy data set",
}
HEAD = ("head", "head_scale", "learn_head_scale")
VARIED = ("optimizer", "lr", "weight_decay")


def axes_of(options: Options) -> frozenset[str]:
    """Return the keys of `MEANING` that a plan has, from its options: (stage, *coordinates) → options."""
    return frozenset(_found(options))


def _found(options: Options) -> Iterator[str]:
    if any(spec["source"] == "toy" for _, spec in _of_stage(options, "prepare")):
        yield "toy"
    sizes, models, recipes = defaultdict(set), defaultdict(list), defaultdict(list)
    for (dataset, split), spec in _of_stage(options, "split"):
        if split != ALL_CLASSES:
            sizes[dataset].add(_size(spec, options[("prepare", dataset)]))
    for (dataset, _), spec in _of_stage(options, "pretrain"):
        models[dataset].append(spec["backbone"])
    for (dataset, backbone, _), spec in _of_stage(options, "finetune"):
        recipes[dataset, backbone].append(spec)
    if any(len(found) > 1 for found in sizes.values()):
        yield "class_size"
    for found in models.values():
        if len({model["model"] for model in found}) > 1:
            yield "backbone"
        if _same_without(found, lambda model: {k: v for k, v in model.items() if k not in HEAD}):
            yield "head"
    for specs in recipes.values():
        if len({spec["recipe"] for spec in specs}) > 1:
            yield "recipe"
        if _same_without(specs, _without_varied):
            yield "training"


def _of_stage(options: Options, stage: str) -> list[tuple[tuple[str, ...], Spec]]:
    return [(key[1:], spec) for key, spec in options.items() if key[0] == stage]


def _size(split: Spec, dataset: Spec) -> float:
    """Return how many classes a split puts into S where that is known beforehand, else what tells sizes apart."""
    data_set = DataSet(dataset["source"], dataset["options"])
    classes = data_set.classes()
    if split["kind"] == "classes":
        return len(split["fine_tuning"])
    if split["kind"] == "present":
        found = data_set.sampled_classes(split["target"])
        return len(found.train) if found else 0
    if split.get("count"):
        return int(split["count"])
    fraction = float(split.get("fraction") or 0)
    return round(fraction * len(classes)) if classes else fraction


def _without_varied(spec: Spec) -> Spec:
    return {**spec, "training": {k: v for k, v in spec["training"].items() if k not in VARIED}}


def _same_without(specs: Iterable[Spec], rest: Any) -> bool:
    """Whether two different options are equal but for what `rest` leaves out."""
    groups = defaultdict(set)
    for spec in specs:
        groups[json.dumps(rest(spec), sort_keys=True)].add(json.dumps(spec, sort_keys=True))
    return any(len(group) > 1 for group in groups.values())


def axis(kind: str, name: str) -> str | None:
    """Return the axis that a figure or table compares; None if it is always made."""
    found: str | None = registry.constant(kind, name, "AXIS", None)
    return found


def applicable(kind: str, axes: frozenset[str]) -> tuple[str, ...]:
    """Return the names of the figures or tables that make sense where these axes vary."""
    return tuple(name for name in registry.names(kind) if axis(kind, name) in (None, *axes))


def read_by_report(axes: frozenset[str]) -> tuple[str, ...]:
    """Return the aggregated tables that the report reads: for its answer, and for its tables."""
    return tuple(dict.fromkeys(["metrics", "calibration", *_needed("table", axes)]))


def aggregated(axes: frozenset[str]) -> tuple[str, ...]:
    """Return all aggregated tables that are made where these axes vary."""
    return tuple(dict.fromkeys([*read_by_report(axes), *_needed("figure", axes)]))


def _needed(kind: str, axes: frozenset[str]) -> list[str]:
    return [table for name in applicable(kind, axes) for table in registry.constant(kind, name, "NEEDS")]


def check_applicable(kind: str, name: str, axes: frozenset[str]) -> None:
    """Raise a UserError if a figure or table needs an axis that is missing; it names the studies that have it."""
    needed = axis(kind, name)
    if needed is None or needed in axes:
        return
    having = [study for study in _built_in() if needed in _axes_of_study(study)]
    raise UserError(
        f"the {kind} {name!r} compares {MEANING[needed]}, and the selected studies have none", where="studies",
        hint=f"The built-in studies that do: {', '.join(having)} (snakemake --config 'studies=[{having[0]}]' …)"
        if having
        else "",
    )  # fmt: skip


def _built_in() -> list[str]:
    return [name for name in study_names() if "/" not in name]


def _axes_of_study(name: str) -> frozenset[str]:
    return axes_of(dict(resolve_options(name, load_study(name))))
