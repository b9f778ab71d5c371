"""`finecal diagnose` for files: read, diagnose, write, say."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

from finecal import display
from finecal.errors import UserError, how_to_install
from finecal.io.outside_warnings import unseen
from finecal.library.applying import paths_of
from finecal.library.classes import OPTION, names_of
from finecal.library.diagnosis import diagnose_brought
from finecal.library.folder import write_folder
from finecal.library.given import bring, files_of
from finecal.library.keeping import check_folder
from finecal.library.result import Diagnosis
from finecal.library.summary import summary

MODEL = "model"  # the folder of the exported model


@unseen()
def diagnose_files(
    source: Path, fine_tuning: str, out: Path, *, pretrained: str | None = None, scores: str = "auto",
    classes: str | None = None, beside: dict[str, str | None] | None = None,
) -> str:  # fmt: skip
    """Write tables, the curve's figure and the page report.html into `out`; return a short summary.

    Parameters
    ----------
    source, pretrained
        Files of logits, as `finecal.diagnose` reads them.
    fine_tuning
        Class numbers or names, separated by commas, or the path of a file with one per line.
    scores
        What the scores are, a kind of `finecal.ScoresAs`, or "auto".
    classes
        As for `finecal.diagnose`.
    beside
        Files of `labels` and `features`, where the logits' file has none; `model`, a folder or a name that timm loads,
        which is exported with the advised calibration to `out`/model.

    Raises
    ------
    UserError
        For anything that is wrong with the input; nothing is written then.
    """
    further = {name: Path(file) for name, file in (beside or {}).items() if file and name != "model"}
    named = (beside or {}).get("model")
    model = load_timm(named) if named else None
    inputs = files_of(source, pretrained, *further.values(), classes, fine_tuning)
    check_folder(out, inputs)
    names = names_of(classes, "--classes")
    labels, features = further.get("labels"), further.get("features")
    tuned = bring(source, labels=labels, features=features, classes=names, scores=scores)
    before = bring(Path(pretrained), classes=names, scores=scores, labelled=False) if pretrained else None
    files = paths_of(
        logits=source, pretrained=pretrained, classes=classes, **further, scores=None if scores == "auto" else scores
    )
    found = diagnose_brought(tuned, before, fine_tuning, inputs=inputs, where=OPTION, files=files)
    exported = "" if model is None else _export(found, model, out / MODEL)  # first: it may be refused
    write_folder(found, out)
    return f"{summary(found, out)}{exported}"


def _export(found: Diagnosis, model: Any, folder: Path) -> str:
    """Write the calibrated model, if a calibration is advised; say what became of it."""
    if model.num_classes != len(found.classes):
        raise UserError(
            f"the model has {display.count(model.num_classes, 'class')}, the logits have {len(found.classes)}",
            where="--model",
        )  # fmt: skip
    if found.doubts or found.answer.advice.calibrator == "none":
        return "\nNothing was exported: no calibration is advised."
    return f"\nThe calibrated model: {found.export(model, folder)}"


def load_timm(name: str) -> Any:
    """Load a model by the path of a folder, or by a name of timm's.

    Raises
    ------
    UserError
        If timm, which is in the extra `pipeline`, is not there, or cannot load it.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError("timm is not installed", where="--model", why=how_to_install("pipeline")) from error
    try:
        return timm.create_model(f"local-dir:{name}" if Path(name).is_dir() else name, pretrained=True).eval()
    except Exception as error:  # whatever timm, the hub and their libraries raise
        raise UserError(
            f"timm cannot load {name!r} ({shorten(str(error), 200, placeholder=' …')})", where="--model",
            why="A folder that timm has written (save_for_hf), or a name that it knows with its weights, is allowed",
        ) from error  # fmt: skip
