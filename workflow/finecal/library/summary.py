"""What `finecal diagnose` prints: the verdict and what to do, then the numbers, then what was assumed and left out."""

from __future__ import annotations

from pathlib import Path

from finecal import display
from finecal.library._accuracy_lines import accuracy_lines
from finecal.library.result import Diagnosis


def summary(found: Diagnosis, out: Path) -> str:
    """Return the lines; upper bounds are marked as such."""
    lines = [*found.doubts] if found.doubts else [found.verdict]
    lines += [
        found.advice,
        *found.answer.advice.code.splitlines(),
        "",
        *accuracy_lines(found.measured.frame("metrics")),
    ]
    if not found.doubts:
        bound = " (upper bound)"
        gammas = [
            f"{display.calibrator(str(name))} {value:.4f}{bound if name == 'oracle' else ''}"
            for name, value in found.gammas.items()
        ]
        lines += ["", f"γ to add to the logits of the absent classes: {', '.join(gammas)}."]
    return "\n".join([*lines, "", *found.notes, *found.left_out, f"Files: {out}"])
