"""The rows of a fine-tuned checkpoint's head: whether they may be in the order of the pretrained one's instead."""

from __future__ import annotations

from collections.abc import Sequence

from finecal.errors import UserError, join_names
from finecal.models.fitting import Checkpoint
from finecal.models.imagenet_classes import as_called
from finecal.models.locations import HUB, cached_config, names_of_rows, weights_files
from finecal.models.row_names import label_names
from finecal.models.state_dicts import names_beside
from finecal.plan.options import Options, own_weights

SHOWN = 4


def check_same_rows(
    checkpoint: Checkpoint, pretrain: Options, classes: Sequence[str], recipe: str, backbone: str
) -> None:
    """Refuse a head without names where the pretrained one has the same classes in another order than the data set.

    Parameters
    ----------
    pretrain
        The options of the stage that makes the pretrained model.
    classes
        Those of the data set.

    Raises
    ------
    UserError
        If so: whoever fine-tuned the pretrained model as it is kept its order.
    """
    if checkpoint.names_of(len(classes)) is not None:
        return
    names = _names_before(pretrain, len(classes))
    own = None if names is None else as_called(names, tuple(classes))
    if own is None or own == tuple(classes) or sorted(own) != sorted(classes):
        return
    place = next(place for place, pair in enumerate(zip(own, classes, strict=True)) if pair[0] != pair[1])
    theirs, ours = (join_names([*map(repr, names[place:])], SHOWN) for names in (own, tuple(classes)))
    raise UserError(
        f"the head of {str(checkpoint.file)!r} has no names, and its rows can be in two orders",
        where=f"recipes.{recipe}",
        why=f"From row {place} on, the pretrained model ({backbone!r}) has {theirs}; the data set has {ours}",
        hint="Give this checkpoint `class_names`, too: a list or a text file with a name per line",
    )  # fmt: skip


def _names_before(pretrain: Options, rows: int) -> tuple[str, ...] | None:
    """Return the names of the rows of the pretrained model's head; None if they are unknown."""
    use, path = pretrain["backbone"], own_weights(pretrain)
    if pretrain["pretraining"]["training"] is not None:  # its rows are then in the data set's order
        return None
    if path is not None:
        said = use.get("class_names") or names_of_rows(path, path)
        beside = () if said else names_beside(weights_files(path, path)[0])
        return tuple(said) if said else next((names for names in beside if len(names) == rows), None)
    if not use["model"].startswith(HUB):
        return None
    config = cached_config(use["model"])
    return None if config is None else label_names(config, use["model"])
