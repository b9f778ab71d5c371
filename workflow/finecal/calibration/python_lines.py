"""Three lines of Python that apply a fitted calibrator outside finecal."""

from __future__ import annotations

from typing import Any

import numpy as np

from finecal.calibration.contract import Floats, Mask, State
from finecal.calibration.deployment import affine

DIGITS = 7  # significant ones


def python_lines(calibrator: Any, takes: frozenset[str], state: State, fine_tuning: Mask) -> str:
    """Return lines that scale and shift the logits (N, C) of each class; empty where a method is more than that.

    `import numpy as np` is the first of them, so that they run as they stand.
    """
    numbers = affine(calibrator, state, fine_tuning, {}) if not takes else None
    if numbers is None:
        return ""
    scale, shift = numbers
    if np.array_equal(scale, np.ones_like(scale)):
        return f"import numpy as np\nshift = np.array({_listed(shift)})\nlogits = logits + shift"
    return (
        f"import numpy as np\nscale, shift = np.array([{_listed(scale)}, {_listed(shift)}])\n"
        "logits = scale * logits + shift"
    )


def _listed(values: Floats) -> str:
    return f"[{', '.join(f'{value:.{DIGITS}g}' for value in values.tolist())}]"
