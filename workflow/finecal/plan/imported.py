"""Runs that are checkpoints of the user's own: each exists, and is one run only."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from finecal.config import Study
from finecal.config.head_rows import check_rows
from finecal.errors import UserError
from finecal.models import locations
from finecal.paths import ALL_CLASSES, RunKey


def check_imported(
    runs: Iterable[RunKey], checkpoint_of: Callable[[RunKey, str], str | None], name: str, study: Study
) -> None:
    """Check the checkpoints of a study's runs.

    Parameters
    ----------
    checkpoint_of
        (run, key in the study) → the path of its checkpoint, None if it is trained.
    name
        The study's.

    Raises
    ------
    UserError
        If one is missing, its head's rows stand for nobody knows what, or it would be two runs, so that the same
        numbers would be counted twice.
    """
    taken: dict[tuple[str, str], RunKey] = {}
    for run in runs:
        where = f"{name}: recipes.{run.recipe}.weights"
        path = checkpoint_of(run, where)
        if path is None:
            continue
        other = taken.setdefault((run.recipe, path), run)
        if other != run:
            varied = [key for key, value in run.columns().items() if value != other.columns()[key]]
            hint = f"Put {{{varied[0]}}} into the path, or leave one of the two out"
            if ALL_CLASSES in (run.split, other.split):
                hint = "Fine-tuning on all classes is another model; without one, say `oracle_fine_tuning: false`"
            raise UserError(
                f"{path!r} would be two runs, {other.folder} and {run.folder}", where=where, hint=hint
            )  # fmt: skip
        locations.weights_files(path, where)
        if study.recipes[run.recipe].class_names is None:
            check_rows(study.data_set(run.dataset), path, where)
