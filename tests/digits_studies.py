"""Studies that are the built-in one with some keys changed, and the name of one of its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from finecal.config.extends import STUDIES
from finecal.paths import RunKey

RUN = RunKey("digits", "printed-handwritten", "test_resnet", "full", "half0", 0)


def write_study(folder: Path, name: str, **changes: Any) -> str:
    """The built-in study with some keys changed, as a file of its own."""
    study = yaml.safe_load((STUDIES / "digits.yaml").read_text("utf-8")) | changes
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(study))
    return str(path)
