"""Three lines of Python that apply a fitted calibrator: with NumPy where it scales and shifts, else with finecal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from finecal.calibration.contract import Floats, Head, Mask, State
from finecal.calibration.deployment import affine

DIGITS = 7  # significant ones
WEIGHTS = "weights"
# What `FittedCalibrator.apply` takes besides logits, and what it is.
MEANING = {
    "features": "features (N, D): what the last layer reads",
    "pretrained": "pretrained (N, C): the pretrained model's logits",
    "interpolated": "interpolated (N, C): the logits of the model with weights (1 − α) θ⁰ + α θ",
}


def python_lines(
    calibrator: Any, takes: frozenset[str], state: State, fine_tuning: Mask, head: Head | None = None
) -> str:
    """Return lines that scale and shift the logits (N, C) of each class; empty where a method is more than that.

    `import numpy as np` is the first of them, so that they run as they stand. A method that takes weights needs `head`.
    """
    more = {} if head is None else {WEIGHTS: head}
    numbers = affine(calibrator, state, fine_tuning, more) if takes <= set(more) else None
    if numbers is None:
        return ""
    scale, shift = numbers
    if np.array_equal(scale, np.ones_like(scale)):
        return f"import numpy as np\nshift = np.array({_listed(shift)})\nlogits = logits + shift"
    return (
        f"import numpy as np\nscale, shift = np.array([{_listed(scale)}, {_listed(shift)}])\n"
        "logits = scale * logits + shift"
    )


def loading_lines(folder: str, name: str, takes: Iterable[str]) -> str:
    """Return lines that load a fitted calibrator from the folder of a run and apply it."""
    return f"import finecal\ncalibrator = finecal.load_calibrator({folder!r}, {name!r})\n{applied('calibrator', takes)}"


def applied(what: str, takes: Iterable[str]) -> str:
    """Return the line that applies what has `apply`, with a comment on what it takes of each sample."""
    given = sorted({*takes} - {WEIGHTS})
    known = "; ".join(MEANING[one] for one in given if one in MEANING)
    arguments = "".join(f", {one}={one}" for one in given)
    return f"logits = {what}.apply(logits{arguments}){f'  # {known}' if known else ''}"


def _listed(values: Floats) -> str:
    return f"[{', '.join(f'{value:.{DIGITS}g}' for value in values.tolist())}]"
