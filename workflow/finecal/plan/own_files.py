"""Look at every file of the user's own images, before any job."""

from __future__ import annotations

from collections.abc import Iterable

from finecal.plan.plan import Plan


def inspect_files(plan: Plan, datasets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each data set lines on its files (`DataSet.inspect_files`).

    Raises
    ------
    UserError
        If a file is missing, or is there with two different uses; `where` is the key path in the study.
    """
    found = {}
    for dataset in dict.fromkeys(datasets):
        study = next(name for name, study in plan.studies.items() if dataset in study.datasets)
        found[dataset] = plan.data_set(dataset).inspect_files(f"{study}: datasets.{dataset}.options")
    return found
