"""Write the page of two runs."""

from __future__ import annotations

from pathlib import Path

from finecal import paths
from finecal.analysis.comparison import compare, default_page
from finecal.io.atomic import whole_file
from finecal.io.provenance import provenance
from finecal.paths import RunKey
from finecal.report.compare_page import page


def compare_runs(first: RunKey, second: RunKey, place: Path | None = None) -> Path:
    """Compare two runs and write the page, by default beside the report; return its path.

    Raises
    ------
    UserError
        As `finecal.analysis.comparison.compare`; nothing is written then.
    """
    found = compare(first, second)
    place = place or default_page(first, second)
    inputs = [run.folder / name for run in (first, second) for name in (paths.METRICS, paths.SAMPLES, paths.CURVE)]
    text = page(found, place=place, provenance=provenance({"options": {}}, inputs=inputs))
    with whole_file(place) as temporary:
        temporary.write_text(text, "utf-8")
    return place
