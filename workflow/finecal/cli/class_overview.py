"""Describe as text which images and classes the data sets have, and which classes are in S."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import TypeAdapter

from finecal import display
from finecal.config import PresentSplit, Split
from finecal.config.split_resolution import AnySplit, known_classes
from finecal.data.dataset import DataSet
from finecal.errors import UserError, counted, join_names
from finecal.paths import ALL_CLASSES
from finecal.plan.own_files import inspect_files
from finecal.plan.plan import Plan

SHOWN = 100  # names of classes
Counts = dict[str, dict[str, int]]  # class → subset → number of images
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
        lines.append(f"{dataset}: {_classes(len(classes))}")
        counted: dict[str, Counts] = {}
        for domain in (domain for name, domain in plan.domains() if name == dataset):
            counts = _count(data_set, domain, prepared[dataset]["validation_fraction"])
            if counts is not None:
                counted[domain] = counts
                lines += _describe_counts(domain, counts)
            elif (sizes := data_set.sizes(domain)) is not None:
                lines.append(f"  {domain}: {sizes.train:,} training and {display.count(sizes.test, 'test image')}")
        lines += [f"  {line}" for line in found]
        for name, known in _splits(plan, dataset, data_set, classes):
            if isinstance(known, list):
                _check_pseudo_splits(plan, dataset, name, known, counted)
                known = f"{join_names(known, SHOWN)} ({len(known):,} of {_classes(len(classes))})"
            lines.append(f"  S of {name}: {known}")
        lines.append("")
    return lines


def _classes(number: int) -> str:
    return f"{counted(number, 'class')}"


def _count(data_set: DataSet, domain: str, validation_fraction: float) -> Counts | None:
    """Return class → subset → number of images."""
    counts = data_set.sample_counts(domain)
    if counts is None:
        return None
    from finecal.data.divisions import count_held_out  # and with it pyarrow

    found: Counts = {}
    for name, (train, test) in counts.items():
        held = count_held_out(train, validation_fraction) if validation_fraction and train > 1 else 0
        found[name] = {"training": train - held, "validation": held, "test": test}
        if not validation_fraction:
            del found[name]["validation"]
    return found


def _describe_counts(domain: str, counts: Counts) -> Iterator[str]:
    """Describe the images of a domain: together, and of each class in each subset."""
    parts = list(next(iter(counts.values())))
    sums = {part: sum(row[part] for row in counts.values()) for part in parts}
    there = {name: row for name, row in counts.items() if any(row.values())}
    yield (
        f"  {domain}: {display.count(sum(sums.values()), 'image')} of {_classes(len(there))}, "
        f"{', '.join(f'{number:,} {part}' for part, number in sums.items())}"
    )
    listed = [f"{name}: {' + '.join(map(str, row.values()))}" for name, row in there.items()]
    yield f"    {' + '.join(parts)} of each class: {join_names(listed, SHOWN)}."
    for part in parts:
        if lacking := [name for name, row in there.items() if not row[part]]:
            yield f"    no {part} image of {join_names(lacking, SHOWN)}"
    if single := [name for name, row in there.items() if row["training"] == 1]:
        yield f"    a single training image of {join_names(single, SHOWN)}"
    if absent := [name for name, row in counts.items() if not any(row.values())]:
        yield f"    no image at all of {join_names(absent, SHOWN)}"


def _check_pseudo_splits(plan: Plan, dataset: str, split: str, known: list[str], counted: dict[str, Counts]) -> None:
    """Raise UserError if a class in S has too few training images for calibrators that divide them once more."""
    for run in plan.runs:
        if (run.dataset, run.split) != (dataset, split) or "pseudo_splits" not in plan.reads(run):
            continue
        counts = counted.get(run.target, {})
        if few := [name for name in known if name in counts and counts[name]["training"] < 2]:
            raise UserError(
                f"{join_names([repr(name) for name in few], SHOWN)} {'has' if len(few) == 1 else 'have'} fewer than "
                f"two training images in {run.target!r}", where=f"{plan.studies_of(run)[0]}: splits.{split}",
                why="PCV divides the training images of each class in S in two",
                hint="Give more images, or leave the calibrators out that read pseudo-splits",
            )  # fmt: skip


def _splits(
    plan: Plan, dataset: str, data_set: DataSet, classes: tuple[str, ...]
) -> Iterator[tuple[str, list[str] | str]]:
    """Yield each split with the names of the classes in S, or when they will be known."""
    splits = {key[1]: spec for key, spec in plan.options_of("split").items() if key[0] == dataset}
    for name, spec in splits.items():
        if name == ALL_CLASSES:
            continue
        split: AnySplit = TypeAdapter(Split).validate_python(spec)
        if isinstance(split, PresentSplit):
            there = data_set.sampled_classes(spec["target"])
            chosen = None if there is None else [number for number, one in enumerate(classes) if one in there.train]
        else:
            chosen = known_classes(split, dataset, classes, f"splits.{name}")
        if chosen is None:
            yield name, UNKNOWN.get(spec["kind"], "known when the images are prepared")
        else:
            yield name, [classes[number] for number in chosen]
