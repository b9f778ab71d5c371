"""Packages that bring plugins, written as an installer writes them."""

from __future__ import annotations

from pathlib import Path

CALIBRATOR = '''"""Half of the average logit gap. With more words."""

import numpy as np

from finecal import AddGamma, Model

READS = frozenset({"train_fine_tuning"})
PAPER = "Nobody 2026"


class Options(Model):
    part: float = 0.5


class Calibrator(AddGamma):
    def __init__(self, options):
        self.options = options

    def fit(self, data):
        z = data["train_fine_tuning"].logits
        gap = z[:, data.fine_tuning].mean() - z[:, ~data.fine_tuning].mean()
        return {"gamma": float(self.options.part * gap)}
'''


def write_package(target: Path, distribution: str, points: dict[str, dict[str, str]], **modules: str) -> Path:
    """Write what an installer writes: the modules of a package, `__init__` among them, and its metadata."""
    package = distribution.replace("-", "_")
    (target / package).mkdir(parents=True)
    for name, text in {"__init__": "", **modules}.items():
        (target / package / f"{name}.py").write_text(text, "utf-8")
    metadata = target / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    groups = [
        f"[finecal.{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in points.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    (metadata / "RECORD").write_text("")
    return target
