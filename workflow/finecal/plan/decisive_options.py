"""The options of a stage as far as they decide its result: contents of the user's own files in place of their paths.

What has the same bytes is the same wherever it lies, so a moved folder or checkpoint makes nothing out of date, and
another one under the same path does. The jobs themselves read the paths, from `Plan.options`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from finecal import registry
from finecal.errors import UserError
from finecal.io.contents import content_hashes
from finecal.models import locations, timm_names
from finecal.paths import RunKey
from finecal.plan.options import IMPORTED, Options, own_weights
from finecal.plan.plan import Plan

# In place of the path of a plugin of the user's own; its code is compared beside the options.
OWN_FILE = "a file of your own"


def decisive_options(plan: Plan, stage: str, coordinates: Sequence[str], run: RunKey | None = None) -> Options:
    """What decides a stage's result besides its inputs and code, plain types only.

    Parameters
    ----------
    coordinates
        As for `Plan.options`, but for prepare: data set and domain.
    run
        Needed for finetune where runs are checkpoints, each of which has its own.

    Raises
    ------
    UserError
        If a file of a checkpoint is missing or cannot be read.
    """
    if stage == "prepare":
        return _prepare(plan, *coordinates)
    if stage == "frame":
        dataset, domain, backbone = coordinates
        shown = plan.options(stage, dataset, backbone)["backbone"]
        return {**_prepare(plan, dataset, domain), "backbone": _frame(shown, f"backbones.{backbone}")}
    options = plan.options(stage, *coordinates)
    if stage == "pretrain":
        pretraining = options["pretraining"]
        pretraining = {**pretraining, "training": _training(pretraining["training"])}
        return {**options, "pretraining": pretraining, "backbone": _backbone(options, f"backbones.{coordinates[-1]}")}
    if stage in ("finetune", "pseudo_splits"):
        trained = {"training": _training(options["training"])} if "training" in options else {}
        return _recipe(plan, {**options, **trained}, run)
    return options


def _training(training: Options | None) -> Options | None:
    """Tell apart the trainings whose groups once decayed by the head's learning rate: a mistake, mended since."""
    if training is None or training["backbone_lr_scale"] == 1:
        return training
    asked = (training["optimizer_options"] or {}).get("corrected_weight_decay")
    if not asked and training["optimizer"] not in timm_names.optimizers_with_corrected_decay():
        return training
    return {**training, "weight_decay_of_groups": "by their own learning rates"}


def _prepare(plan: Plan, dataset: str, domain: str) -> Options:
    options, found = plan.options("prepare", dataset), plan.data_set(dataset).decisive_options(domain)
    return without_path("source", options if found is None else {**options, "options": found})


def _backbone(options: Options, where: str) -> Options:
    backbone: Options = dict(options["backbone"])
    folder, own = locations.folder_of(backbone["model"]), own_weights(options)
    if folder is not None:
        config = Path(folder, locations.CONFIG)
        backbone["model"] = f"{locations.LOCAL}{_contents([config], str(config), f'{where}.model')}"
    if own:
        backbone["weights"] = _checkpoint(own, f"{where}.weights", named="class_names" in backbone)
    if (use := backbone.get("zero_shot")) is not None:
        place = f"{where}.zero_shot.model"
        if files := locations.clip_files(use["model"], place):
            model = f"{locations.LOCAL}{_contents(files, str(files[0].parent), place)}"
            backbone["zero_shot"] = {**use, "model": model}
    return backbone


def _frame(frame: Options, where: str) -> Options:
    """Return what decides how images are shown: of a checkpoint, its config.json alone."""
    decisive = {name: value for name, value in frame.items() if name != "weights"}
    folder = locations.folder_of(frame["model"])
    if folder is not None:
        config = Path(folder, locations.CONFIG)
        decisive["model"] = f"{locations.LOCAL}{_contents([config], str(config), f'{where}.model')}"
    if "weights" in frame and (beside := locations.config_files(frame["weights"])):
        decisive["weights"] = _contents(beside, str(beside[0]), f"{where}.weights")
    return decisive


def _recipe(plan: Plan, options: Options, run: RunKey | None) -> Options:
    if options["recipe"] != IMPORTED:
        return without_path("recipe", options)
    path = plan.checkpoint_of(run) if run is not None else None
    if run is None or path is None:
        raise AssertionError("the run is needed to tell which checkpoint it is")
    return {**options, "weights": _checkpoint(path, f"recipes.{run.recipe}.weights", named="class_names" in options)}


def _checkpoint(path: str, where: str, *, named: bool) -> str:
    return _contents(locations.checkpoint_files(path, where, named=named), path, where)


def _contents(files: Sequence[Path], of: str, where: str) -> str:
    """One hash for the contents of some files, in their order."""
    hashes = []
    for file, found in zip(files, content_hashes(files, of), strict=True):
        if found is None:
            raise UserError(f"the file {str(file)!r} cannot be read", where=where)
        hashes.append(found)
    return f"sha256:{hashes[0] if len(hashes) == 1 else hashlib.sha256(' '.join(hashes).encode()).hexdigest()}"


def without_path(kind: str, options: Options) -> Options:
    """Options that name a plugin, under a key such as "recipe", without the path of one of the user's own."""
    return {**options, kind: OWN_FILE} if registry.is_own(options[kind]) else options
