"""Describe as text which images and classes the data sets have, and which classes are in S."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finecal.data.dataset import DataSet
from finecal.errors import join_names
from finecal.paths import ALL_CLASSES
from finecal.plan.own_files import inspect_files
from finecal.plan.plan import Plan

SHOWN = 100  # names of classes
SHOWN_SPLITS = 40
UNKNOWN = {
    "clustered": "known when the pretrained model is there",
    "official": "as published, known when its files are there",
}


def describe_classes(plan: Plan) -> list[str]:
    """Describe the images and classes of each data set whose classes are known before any job, and S of each split.

    Raises
    ------
    UserError
        If a file of the user's own is missing, or is there with two different uses (`DataSet.inspect_files`).
    """
    lines: list[str] = []
    prepared = {key[0]: options for key, options in plan.options_of("prepare").items()}
    for dataset, found in inspect_files(plan, prepared).items():
        data_set = plan.data_set(dataset)
        classes = data_set.classes()
        if classes is None:
            continue
        lines.append(f"{dataset}: {len(classes):,} classes")
        for domain in (domain for name, domain in plan.domains() if name == dataset):
            lines += _domain(data_set, domain, prepared[dataset]["validation_fraction"])
        lines += [*(f"  {line}" for line in found), *_splits(plan, dataset, data_set, classes), ""]
    return lines


def _domain(data_set: DataSet, domain: str, validation_fraction: float) -> Iterator[str]:
    """Describe the images of a domain: together, and of each class in each subset."""
    from finecal.data.divisions import count_held_out

    counts = data_set.sample_counts(domain)
    if counts is None:
        if (sizes := data_set.sizes(domain)) is not None:
            yield f"  {domain}: {sizes.train:,} training and {sizes.test:,} test images"
        return
    parts = ["training", *(["validation"] if validation_fraction else []), "test"]
    rows: dict[str, list[int]] = {}
    for name, (train, test) in counts.items():
        held = count_held_out(train, validation_fraction) if validation_fraction and train > 1 else 0
        rows[name] = [train - held, *([held] if validation_fraction else []), test]
    sums = [sum(column) for column in zip(*rows.values(), strict=True)]
    there = {name: row for name, row in rows.items() if any(row)}
    yield (
        f"  {domain}: {sum(sums):,} images of {len(there):,} classes, "
        f"{', '.join(f'{number:,} {part}' for number, part in zip(sums, parts, strict=True))}"
    )
    listed = [f"{name} {' + '.join(map(str, row))}" for name, row in there.items()]
    yield f"    {' + '.join(parts)} images of each class: {join_names(listed, SHOWN)}"
    for place, part in enumerate(parts):
        if lacking := [name for name, row in there.items() if not row[place]]:
            yield f"    no {part} image of {join_names(lacking, SHOWN)}"
    if absent := [name for name, row in rows.items() if not any(row)]:
        yield f"    no image at all of {join_names(absent, SHOWN)}"


def _splits(plan: Plan, dataset: str, data_set: DataSet, classes: tuple[str, ...]) -> Iterator[str]:
    """Name the classes in S of each split."""
    splits = {key[1]: spec for key, spec in plan.options_of("split").items() if key[0] == dataset}
    named = [(name, spec) for name, spec in splits.items() if name != ALL_CLASSES]
    for name, spec in named[:SHOWN_SPLITS]:
        known = _fine_tuning(plan, dataset, data_set, classes, name, spec)
        said = (
            UNKNOWN.get(spec["kind"], "known when the images are prepared")
            if known is None
            else f"{len(known):,} classes: {join_names(known, SHOWN)}"
        )
        yield f"  S of {name}: {said}"
    if len(named) > SHOWN_SPLITS:
        yield f"  and {len(named) - SHOWN_SPLITS} more splits"


def _fine_tuning(
    plan: Plan, dataset: str, data_set: DataSet, classes: tuple[str, ...], name: str, spec: dict[str, Any]
) -> list[str] | None:
    """Return the classes in S in their order; None if only a job can tell."""
    from finecal.stages.split import choose_classes

    if spec["kind"] in UNKNOWN:
        return None
    if spec["kind"] == "present":
        there = data_set.sampled_classes(spec["target"])
        return None if there is None else [one for one in classes if one in there.train]
    mask = choose_classes(plan, spec, classes, dataset, f"splits.{name}")
    return [one for one, chosen in zip(classes, mask, strict=True) if chosen]
