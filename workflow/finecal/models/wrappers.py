"""Find the model among the tensors of a file, without prefixes of wrappers and without what is beside the model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch

from finecal.errors import UserError, counted, join_names
from finecal.models.nested_states import AVERAGED
from finecal.models.state_dicts import SHOWN, State
from finecal.models.whole_loading import COUNTER

# What wrappers put before every name: DistributedDataParallel, Lightning modules, heads of one's own, transformers.
PREFIXES = (
    "module.",
    "model.",
    "net.",
    "network.",
    "backbone.",
    "encoder.",
    "timm_model.",
    "_model.",
    "classifier_model.",
)
# First parts of names whose tensors play no part in the logits: losses, metrics.
BESIDE = re.compile(
    r"_*(?:(?:train|val|valid|test|eval)_?)?(?:\w*_)?"
    r"(?:criterion|criteria|loss|losses|loss_fn|loss_func|loss_function|metrics?|acc|accuracy|auroc|auc|f1|f1_?score|"
    r"precision|recall|confmat|confusion_?matrix|mixup|cutmix)\d*",
    re.IGNORECASE,
)
# The states of torchmetrics, under whatever name the metric has.
OF_METRICS = frozenset(
    {"tp", "fp", "tn", "fn", "confmat", "correct", "total", "preds", "target", "mean_value", "sum_value"}
)


# Buffers of modules before a model that normalise images.
OF_INPUT = re.compile(r"(?:\w+_)?(?:mean|std|stdev|sigma|mu)", re.IGNORECASE)


def is_beside(name: str) -> bool:
    """Return whether a tensor belongs to a loss or a metric.

    >>> [is_beside(name) for name in ("criterion.weight", "val_acc.tp", "head.weight", "model.total.weight")]
    [True, True, False, False]
    """
    first, _, rest = name.partition(".")
    return bool(BESIDE.fullmatch(first)) or (name.rpartition(".")[2] in OF_METRICS and bool(rest))


def find_model(state: State, wanted: Iterable[str], file: Path, *, alone: bool) -> State:
    """Return the tensors of the model by the names in `wanted`, as far as they are there.

    Parameters
    ----------
    wanted
        The names of the model's tensors without those of its head, which may be missing.
    alone
        Whether tensors beside the model that may be layers after it are an error.

    Raises
    ------
    UserError
        If there are two such models and none of them has averaged weights; or tensors that may be layers stand beside
        the model.
    """
    names = [name for name in wanted if not name.endswith(COUNTER)]
    first = names[0] if names else ""
    places = [
        key.removesuffix(first)
        for key in state
        if first and key.endswith(first) and (key == first or key.removesuffix(first).endswith("."))
    ]
    whole = [place for place in places if all(f"{place}{name}" in state for name in names)]
    if not whole:
        return _without_prefixes(state)
    place = _choose(whole, state, names, file)
    found = {key.removeprefix(place): tensor for key, tensor in state.items() if key.startswith(place)}
    others = [
        key
        for key in state
        if not key.startswith(place) and not is_beside(key) and not any(key.startswith(one) for one in whole if one)
    ]
    if others and alone:
        normalised = all(OF_INPUT.fullmatch(name.rpartition(".")[2]) for name in others)
        raise UserError(
            f"beside the model ({place}…) it holds {join_names(others, SHOWN)}", where=str(file),
            why="What they do to the logits is not in the file",
            hint=f"If they normalise images, give their numbers by hand (`preprocessing: {{mean: …, std: …}}`); then "
            f"save the state dict of {place[:-1]!r} alone" if normalised else
            f"If they are layers after the model, make them its head; then save the state dict of {place[:-1]!r} "
            "alone",
        )  # fmt: skip
    return found if place else {key: tensor for key, tensor in found.items() if key in names or not is_beside(key)}


def _choose(places: list[str], state: State, names: list[str], file: Path) -> str:
    """Return the prefix of the model: of averaged weights, if there are two."""
    averaged = [place for place in places if AVERAGED.search(place.removesuffix("."))]
    chosen = averaged or places
    first, *others = chosen
    for other in others:
        if not all(torch.equal(state[f"{first}{name}"], state[f"{other}{name}"]) for name in names):
            raise UserError(
                f"it holds {counted(len(chosen), 'model')} ({', '.join(f'{place}…' for place in chosen)})",
                where=str(file), hint="Save the state dict of the one that you mean alone",
            )  # fmt: skip
    return first


def _without_prefixes(state: State) -> State:
    """Remove the prefixes that all names have which do not belong to losses or metrics."""
    found = {key: tensor for key, tensor in state.items() if not is_beside(key)}
    while prefix := next((p for p in PREFIXES if found and all(key.startswith(p) for key in found)), None):
        found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
    return found
