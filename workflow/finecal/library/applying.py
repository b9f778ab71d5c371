"""How the advised method is applied, where it is more than one γ: as lines of Python in the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from finecal.analysis.diagnosis import Answer
from finecal.calibration.parameters import calibrator
from finecal.calibration.python_lines import applied, python_lines
from finecal.library.measuring import Measured


def with_code(answer: Answer, measured: Measured, mask: npt.NDArray[Any], made: str) -> Answer:
    """Return the answer with lines that apply its method.

    Parameters
    ----------
    measured
        With the fitted parameters.
    mask
        (C,) bool: the classes of S.
    made
        The expression that gives the diagnosis again.
    """
    name = answer.advice.calibrator
    if answer.advice.code or name == "none":
        return answer
    method, _, takes = calibrator(measured.uses[name])
    lines = python_lines(method, takes, measured.states.get(name, {}), mask)
    if not lines:
        lines = f"import finecal\nr = {made}\n{applied('r', takes)}"
    return replace(answer, advice=replace(answer.advice, code=lines))


def call(files: Mapping[str, str | None], fine_tuning: Sequence[int]) -> str:
    """Return the call of `finecal.diagnose` as Python.

    Parameters
    ----------
    files
        Argument → path; what did not come as a file is named as its argument is. `scores` is a kind of score.
    """
    logits = repr(files["logits"]) if files.get("logits") else "logits"
    if files.get("scores"):
        logits = f"finecal.ScoresAs({logits}, {files['scores']!r})"
    labels = repr(files["labels"]) if files.get("labels") else "None" if files.get("logits") else "labels"
    more = "".join(f", {name}={files[name]!r}" for name in ("pretrained", "features", "classes") if files.get(name))
    return f"finecal.diagnose({logits}, {labels}, {list(fine_tuning)}{more})"


def paths_of(**given: object) -> dict[str, str | None]:
    """Return those arguments that are paths, as text."""
    return {name: str(one) if isinstance(one, (str, Path)) else None for name, one in given.items()}
