"""What `finecal diagnose` prints: the answer, then the numbers, then what was assumed and left out."""

from __future__ import annotations

from pathlib import Path

from finecal import display
from finecal.analysis.telling import as_text
from finecal.library._accuracy_lines import accuracy_lines
from finecal.library.result import Diagnosis


def summary(found: Diagnosis, out: Path) -> str:
    """Return the lines; upper bounds are marked as such."""
    lines = [*found.doubts, found.told.do] if found.doubts else as_text(found.told)
    lines += ["", *accuracy_lines(found.measured.frame("metrics"))]
    if not found.doubts:
        gammas = [
            f"{display.marked(display.calibrator(str(name)), name == 'oracle')} {value:.4f}"
            for name, value in found.gammas.items()
        ]
        lines += ["", f"γ to add to the logits of the absent classes: {', '.join(gammas) or display.NOTHING}."]
    return "\n".join([*lines, "", *found.notes, *found.left_out, f"Files: {out}"])
