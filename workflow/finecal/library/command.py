"""`finecal diagnose` for files: read, diagnose, write, say."""

from __future__ import annotations

from pathlib import Path

from finecal.library.applying import paths_of
from finecal.library.classes import OPTION, names_of
from finecal.library.diagnosis import diagnose_brought
from finecal.library.folder import write_folder
from finecal.library.given import bring, files_of
from finecal.library.keeping import check_folder
from finecal.library.summary import summary


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
        Files of `labels` and `features`, where the logits' file has none.

    Raises
    ------
    UserError
        For anything that is wrong with the input; nothing is written then.
    """
    further = {name: Path(file) for name, file in (beside or {}).items() if file}
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
    write_folder(found, out)
    return summary(found, out)
