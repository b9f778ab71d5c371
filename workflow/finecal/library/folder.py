"""The folder that `finecal diagnose` writes: tables, the curve, the page."""

from __future__ import annotations

from pathlib import Path

from finecal import schemas
from finecal.io.atomic import write_text
from finecal.io.parquet import write_table
from finecal.library.keeping import CURVE, OUTPUTS, PAGE
from finecal.library.result import Diagnosis


def write_folder(found: Diagnosis, out: Path) -> None:
    """Write tables, the curve's figure and the page into a folder that `check_folder` allows."""
    from finecal.figures import draw_and_save

    for name, schema in OUTPUTS.items():
        own = schemas.own_columns(schema)
        write_table(out / f"{name}.parquet", found.measured.tables[name], own, provenance=found.record)
    draw_and_save("curve", found.frames("curve", "metrics", "calibration"), out / CURVE, provenance=found.record)
    write_text(out / PAGE, found.page())
