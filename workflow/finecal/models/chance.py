"""Whether a model that was trained elsewhere only guesses, which more often is a mistake in how it is used."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from finecal.data.reader import PackedFile
from finecal.errors import UserError
from finecal.models.build import Architecture
from finecal.models.extraction import extract
from finecal.models.header import describe_input
from finecal.runtime.memory import Room

AT_MOST = 512  # images that are looked at, spread over all of them
AT_LEAST = 30  # fewer say too little
NEAR = 1.25  # times the accuracy of guessing


def guesses(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the accuracy per class if it is that of guessing among the classes that the samples have, else None.

    Parameters
    ----------
    logits
        (N, C)
    labels
        (N,) class numbers.

    >>> guesses(np.tile([1.0, 0.0, 0.0], (60, 1)), np.arange(60) % 3)
    0.3333333333333333
    >>> guesses(np.eye(3)[np.arange(60) % 3], np.arange(60) % 3) is None
    True
    """
    present = np.unique(labels)
    if len(present) < 2 or len(labels) < AT_LEAST:
        return None
    right = present[logits[:, present].argmax(axis=1)] == labels
    accuracy = float(np.mean([right[labels == one].mean() for one in present]))
    return accuracy if accuracy <= NEAR / len(present) else None


def check_not_at_chance(
    model: nn.Module, description: Architecture, images: PackedFile, members: np.ndarray, what: str, where: str
) -> None:
    """Raise a UserError if the model guesses the classes of these samples, (N,) bool.

    Parameters
    ----------
    what
        The samples in words.
    where
        The key path of the model in its study.
    """
    rows = np.flatnonzero(members)
    if not len(rows):
        return
    chosen = np.zeros(len(images), dtype=bool)
    chosen[rows[np.linspace(0, len(rows) - 1, min(AT_MOST, len(rows))).astype(int)]] = True
    device: torch.device = next(model.parameters()).device
    _, logits = extract(model, description, images.load(chosen, device, Room(None)), device, "float32")
    accuracy = guesses(logits, images.labels[chosen])
    if accuracy is None:
        return
    raise UserError(
        f"the model guesses: {100 * accuracy:.1f} % of {what} are right, averaged per class, which is chance",
        where=where,
        why="Usual causes: the rows of the head stand for the classes in another order (`class_names`); its images "
        "were prepared in another way: not normalised, other means, BGR, another size (`preprocessing`); these are not "
        f"its weights. It was shown {describe_input(vars(description))}",
        hint="If it is to be so, say `at_chance: true` there",
    )  # fmt: skip
