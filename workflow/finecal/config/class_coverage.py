"""Check before anything is prepared that the data sets have the samples that a study needs, as far as is known."""

from __future__ import annotations

from finecal import registry
from finecal.config import ClassesSplit, ClusteredSplit, PresentSplit, Study
from finecal.config.extends import Origin
from finecal.config.split_resolution import AnySplit, check_size, class_numbers, clustered_with, present_in
from finecal.data.dataset import Sampled
from finecal.errors import UserError, join_names

SHOWN = 5


def check_source(study: Study, dataset: str, split: AnySplit, where: Origin) -> None:
    """Check that nothing needs images of a domain that has none.

    Raises
    ------
    UserError
        If a model is to be pretrained on it, a clustered split uses its features, or it is a target.
    """
    without = study.data_set(dataset).without_images()
    sources = dict.fromkeys(task.partition("-")[0] for task in study.tasks[dataset])
    lacking = [name for name in sources if name in without]
    if lacking and study.pretraining.training is not None:
        raise UserError(
            f"the source {lacking[0]!r} of {dataset!r} has no images to train on", where=where.at("pretraining"),
            hint="Say `training: null`, which takes the pretrained model and its head as they are, or give the images",
        )  # fmt: skip
    if isinstance(split, ClusteredSplit):
        chosen, _ = clustered_with(study, dataset, split, "splits")
        if chosen in without:
            raise UserError(
                f"a clustered split needs images of the source, {chosen!r} of {dataset!r} has none",
                where=where.at("splits"),
            )
    for target in dict.fromkeys(task.partition("-")[2] for task in study.tasks[dataset]):
        if target in without:
            raise UserError(f"the target {target!r} of {dataset!r} has no images", where=where.at("tasks", dataset))


def check_presence(study: Study, dataset: str, name: str, classes: tuple[str, ...], where: Origin) -> int | None:
    """Check that the targets have the samples that a split, the calibrators and oracle fine-tuning need.

    Returns
    -------
    The size of S for a split of kind `present`, else None.

    Raises
    ------
    UserError
        Naming the key that asks for too much.
    """
    split, location = study.splits[name], where.at("splits", name)
    data_set = study.data_set(dataset)
    size = None
    if isinstance(split, PresentSplit):
        found = data_set.sampled_classes(present_in(study, dataset, split, location))
        size = len(classes if found is None else found.train)
        if size == len(classes):
            raise UserError(
                f"the target domain of {dataset!r} has all classes", where=location,
                why="With `kind: present`, S are the classes that it has, and none would be absent",
                hint="Kinds that leave some out on purpose: random, clustered, classes",
            )  # fmt: skip
        check_size(size, len(classes), location)
    for target in dict.fromkeys(task.partition("-")[2] for task in study.tasks[dataset]):
        there = data_set.sampled_classes(target)
        if there is not None:
            _check_target(study, target, split, there, classes, where, location)
    return size


def _check_target(
    study: Study,
    target: str,
    split: AnySplit,
    there: Sampled,
    classes: tuple[str, ...],
    where: Origin,
    location: str,
) -> None:
    everything = frozenset(classes)
    if isinstance(split, PresentSplit):
        fine_tuning = there.train
    elif isinstance(split, ClassesSplit):
        fine_tuning = frozenset(classes[i] for i in class_numbers(split.fine_tuning, classes, location))
    else:
        fine_tuning = everything  # any class may be drawn
    if missing := fine_tuning - there.train:
        raise UserError(
            f"the domain {target!r} has no training sample of {_listed(missing)}", where=location,
            hint="`kind: present` takes the classes that it has",
        )  # fmt: skip
    if study.oracle_fine_tuning and (missing := everything - there.train):
        raise UserError(
            f"the domain {target!r} has no training sample of {_listed(missing)}",
            where=where.at("oracle_fine_tuning"), why="This upper bound trains on all classes",
            hint="Say `oracle_fine_tuning: false`",
        )  # fmt: skip
    absent = everything - there.train if fine_tuning == everything else everything - fine_tuning
    if not absent:
        return
    for kind, present, hint in (
        ("validation", there.train, ""),
        ("test", there.test, ", or give test images of absent classes"),
    ):
        reading = [
            name
            for name, use in study.calibrators.items()
            if kind in registry.calibrator_record(use.calibrator or name).reads
        ]
        if reading and not absent & present:
            raise UserError(
                f"{reading[0]} reads the labels of {kind} samples of absent classes, the domain {target!r} has none",
                where=where.at("calibrators", reading[0]), hint=f"Leave it out{hint}",
            )  # fmt: skip


def _listed(names: frozenset[str]) -> str:
    return join_names([repr(name) for name in sorted(names)], SHOWN)
