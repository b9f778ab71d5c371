"""How much accuracy does each leak-free γ lose against the best γ, on runs that can be made anywhere?

    uv run python benchmarks/gamma.py [--folder FOLDER] [--only WORD …] [--tried] [--quick]

Runs are made by finecal's own stages (`_gamma_runs.py`): small models from random weights, digits and letters drawn
from matplotlib's fonts, the toy problem. Then each calibrator is fitted on what it declares, and its γ is compared with
γ* on the test samples: points of acc_y_y lost, per run, as the mean over the runs of a group, and as the mean over
groups, toy left out (its S has two classes, so S′ and U′ have one each). `--tried` adds γ that are no calibrators of
finecal. With `--folder` runs that are there are taken as they are. Nothing here fails for being bad.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import _gamma_runs
import _measure
import numpy as np
from _gamma_tried import TRIED

from finecal import registry
from finecal.calibration.contract import Data
from finecal.metrics.classification import SeenUnseenCurve, seen_unseen_curve
from finecal.paths import RunKey
from finecal.stages._inputs import read_run_inputs

CALIBRATORS = (
    "alg", "source_gap", "pcv", "pcv_published", "pcv_scaled", "pcv_scaled_gap", "midpoint", "pcv_all_classes",
    "pcv_combined",
)  # fmt: skip


def gammas(run: RunKey, tried: bool) -> tuple[SeenUnseenCurve, dict[str, float]]:
    """Return the curve of a run's test samples and each method's γ, which those have not decided."""
    given = read_run_inputs(run, {"pretrained", "pseudo_splits"})
    available = given.seen.available(given.fine_tuning, given.folds)
    test = available.pop("test")
    found = {}
    for name in CALIBRATORS:
        record = registry.calibrator_record(name)
        data = Data(given.fine_tuning, available, record.reads, record.takes)
        found[name] = float(record.make(record.options()).fit(data)["gamma"])
    if tried:
        data = Data(given.fine_tuning, available, frozenset({"train_fine_tuning", "pretrained", "pseudo_splits"}))
        found |= {name: method(data, found) for name, method in TRIED.items()}
    return seen_unseen_curve(test.logits, test.labels, given.fine_tuning), found


def losses(only: list[str], tried: bool, quick: bool) -> Iterator[tuple[str, str, dict[str, float], dict[str, float]]]:
    """Yield group, run, points of acc_y_y lost by each method, and γ of each with γ* for every run."""
    for group, study in _gamma_runs.studies(quick).items():
        if only and not any(word in group for word in only):
            continue
        for run in _gamma_runs.make_runs(group, study):
            curve, found = gammas(run, tried)
            best = curve.best()
            lost = {name: 100 * float(curve.acc_y_y[best] - curve.at(gamma).acc_y_y) for name, gamma in found.items()}
            title = f"{group}, {run.target}" if group == "toy" else group
            yield title, f"{run.split.upper() if group == 'toy' else run.split}", lost, {
                "best": 100 * float(curve.acc_y_y[best]), "γ*": float(curve.gamma[best]), **found,
            }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What each γ loses against the best.")
    parser.add_argument("--folder", type=Path, help="where runs are made and kept (default: a temporary one)")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="groups that contain one of these words")
    parser.add_argument("--tried", action="store_true", help="also what was tried and is no calibrator")
    parser.add_argument("--quick", action="store_true", help="one run of a small model, to see that it works")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        found = list(losses(args.only, args.tried, args.quick))
        os.chdir(_gamma_runs.REPOSITORY)  # a folder that is the current one cannot be removed everywhere
    report(found)


def report(found: list[tuple[str, str, dict[str, float], dict[str, float]]]) -> None:
    """Print what every run loses with each calibrator, then the means of all methods."""
    rows = [
        [group, split, f"{more['best']:.1f}", f"{more['γ*']:.1f}", *(f"{lost[name]:.1f}" for name in CALIBRATORS)]
        for group, split, lost, more in found
    ]
    print(_measure.table(["data", "S", "acc_y_y at γ*", "γ*", *CALIBRATORS], rows, words=2), end="\n\n")
    groups = list(dict.fromkeys(one[0] for one in found))
    counted = [group for group in groups if not group.startswith("toy")] or groups
    rows = []
    for name in found[0][2]:
        means = {group: float(np.mean([one[2][name] for one in found if one[0] == group])) for group in groups}
        every = [one[2][name] for one in found if one[0] in counted]
        summary = f"{np.mean([means[group] for group in counted]):.2f}", f"{np.mean(every):.2f}", f"{max(every):.1f}"
        rows.append([name, *(f"{means[group]:.1f}" for group in groups), *summary])
    sizes = [f"{group} ({sum(one[0] == group for one in found)})" for group in groups]
    print(_measure.table(["points lost", *sizes, "mean of groups", "mean of runs", "worst run"], rows))


if __name__ == "__main__":
    main()
