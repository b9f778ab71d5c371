"""Open the user's own checkpoints before any job: names and shapes of tensors, classes of heads.

Imports torch and timm, so only what asks for it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from finecal.data.reader import PackedFile
from finecal.errors import UserError, counted
from finecal.models.build import Architecture, architecture
from finecal.models.checkpoints import load_as, read_checkpoint
from finecal.plan.options import own_weights
from finecal.plan.plan import Plan
from finecal.plan.same_preprocessing import check_same_preprocessing, check_stated_preprocessing
from finecal.plan.same_rows import check_same_rows

# Without images nobody knows the channels: colour, or grey if that does not fit.
CHANNELS = (3, 1)


def check_checkpoints(plan: Plan) -> Iterator[str]:
    """Load every checkpoint as its job will; yield a line for each.

    Raises
    ------
    UserError
        For the first that does not fit.
    """
    for (dataset, backbone), options in plan.options_of("pretrain").items():
        path, use = own_weights(options), options["backbone"]
        if path is not None:
            trained = options["pretraining"]["training"] is not None
            yield _check(plan, (dataset, backbone), path, (use, use, f"backbones.{backbone}"), keep_head=not trained)
    seen: set[tuple[str, str, str]] = set()
    for run in plan.trainings:
        path = plan.checkpoint_of(run)
        if path is None or (run.dataset, run.backbone, path) in seen:
            continue
        seen.add((run.dataset, run.backbone, path))
        use = plan.options("pretrain", run.dataset, run.backbone)["backbone"]
        own = plan.options("finetune", run.dataset, run.backbone, run.recipe)
        place = (run.dataset, run.backbone)
        yield _check(plan, place, path, (use, own, f"recipes.{run.recipe}"), keep_head=True)


def _check(
    plan: Plan,
    place: tuple[str, str],
    path: str,
    use: tuple[Mapping[str, Any], Mapping[str, Any], str],
    *,
    keep_head: bool,
) -> str:
    """Load a checkpoint as the model of a backbone.

    Parameters
    ----------
    place
        Data set and backbone.
    use
        The backbone's options, those with `class_names`, and the key.
    """
    backbone, own, where = use
    known = _channels(plan, place)
    errors = []
    for channels in (known,) if known else CHANNELS:
        try:
            checkpoint = read_checkpoint(path, own.get("class_names"))
            classes = _classes(plan, place) or checkpoint.names
            description = architecture(backbone, classes or ("one", "other"), channels)
            if keep_head:
                check_stated_preprocessing(checkpoint.stated, backbone, description, where, place[1])
            if own is not backbone:
                recipe = where.partition(".")[2]
                check_same_preprocessing(path, backbone, description, recipe, place[1])
                check_same_rows(checkpoint, plan.options("pretrain", *place), classes or (), recipe, place[1])
            keep = keep_head and classes is not None
            load_as(checkpoint, description, keep_head=keep)
        except UserError as error:
            errors.append(error)
        else:
            beside = (names for names in checkpoint.beside if {*(classes or ())} <= {*names})
            names = checkpoint.names or next(beside, None)
            return _describe(path, where, names, description, keep=keep)
    first = errors[0]
    named = where if first.where in ("", "backbones", where) else f"{where}: {first.where}"
    raise UserError(first.what, where=named, why=first.why, hint=first.hint) from first


def _classes(plan: Plan, place: tuple[str, str]) -> tuple[str, ...] | None:
    """Names of the classes, from the prepared images or from the data set; None if neither tells yet."""
    images = _prepared(plan, place)
    return tuple(images.classes) if images else plan.data_set(place[0]).classes()


def _channels(plan: Plan, place: tuple[str, str]) -> int | None:
    images = _prepared(plan, place)
    return images.shape[-1] if images else None


def _prepared(plan: Plan, place: tuple[str, str]) -> PackedFile | None:
    dataset, backbone = place
    path = plan.images_of_source(dataset, plan.first_domain(dataset), backbone)
    try:
        return PackedFile.open(path) if Path(path).is_file() else None
    except (UserError, OSError, pa.ArrowInvalid):  # half-written or foreign: its own job says so
        return None


def _describe(path: str, where: str, names: tuple[str, ...] | None, description: Architecture, *, keep: bool) -> str:
    of_head = "the head is trained" if not keep else "its head fits"
    named = f"{counted(len(names), 'named class')}" if names else "classes without names"
    return f"{where}: {path} is a {description.model} ({of_head}; {named})"
