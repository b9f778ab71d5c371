"""What `finecal diagnose` writes and must not replace: inputs, results of studies, files of anybody else's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finecal import paths, schemas
from finecal.errors import UserError
from finecal.io.parquet import read_metadata

# Name of a table that is written → its schema.
OUTPUTS = {
    "metrics": schemas.METRICS,
    "curve": schemas.CURVE,
    "calibration": schemas.CALIBRATION,
    "samples": schemas.SAMPLES,
}
PAGE, CURVE = "report.html", "seen_unseen_curve"
NOT_OURS = "`finecal diagnose` did not write this file, so it is not replaced"
HINT = "Give --out a new folder, or that of an earlier diagnosis"
SUFFIXES = (".svg", ".png")  # of the figure, besides its table


def check_folder(out: Path, inputs: Sequence[str | Path]) -> None:
    """Check that no output replaces an input, a study's result or a file that `diagnose` did not write.

    Raises
    ------
    UserError
        It names the first such file.
    """
    if out.exists() and not out.is_dir():
        raise UserError("this is a file, a folder is needed", where=str(out))
    if _in_results(out):
        raise UserError("this is a folder of a study's results", where=str(out), hint=HINT)
    tables = [out / f"{name}.parquet" for name in (*OUTPUTS, CURVE)]
    others = [out / PAGE, *(out / f"{CURVE}{suffix}" for suffix in SUFFIXES)]
    given = {Path(path).resolve() for path in inputs}
    for path in (*tables, *others):
        if path.resolve() in given:
            raise UserError("this is an input, which the output of this name would replace", where=str(path), hint=HINT)
    for path in tables:
        if path.exists() and not _is_ours(path):
            raise UserError(NOT_OURS, where=str(path), hint=HINT)
    for path in others:
        if path.exists() and not tables[0].exists():
            raise UserError(NOT_OURS, where=str(path), hint=HINT)


def check_page(path: Path) -> None:
    """Raise UserError if something else than a page of finecal is there."""
    if path.is_dir():
        raise UserError("this is a folder, the name of a page is needed", where=str(path))
    if path.exists() and b"finecal" not in path.read_bytes()[:4096]:
        raise UserError("there is something else under this name, which is not replaced", where=str(path))


def _is_ours(path: Path) -> bool:
    try:
        record = read_metadata(path)
    except UserError:
        return False
    return record.get("verb") == "diagnose" or str(record.get("command", "")).startswith("finecal diagnose ")


def _in_results(out: Path) -> bool:
    """Whether it is the folder of a run, or lies in it, whatever folder the study runs in."""
    parts = out.resolve().parts
    for place, part in enumerate(parts):
        if part == "results":
            inside = parts[place : place + 7]
            if len(inside) == 7 and paths.parse(paths.RUN, "/".join(inside)):
                return True
    return False
