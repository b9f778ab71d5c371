"""What the page embeds of one run: the slider's stops, histograms, marks, and counts by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal import display
from finecal.metrics.classification import SeenUnseenCurve
from finecal.metrics.per_class import MACRO
from finecal.paths import CELL_KEYS, SETTING_KEYS
from finecal.report.slider_stops import Stops, TestSamples, stops

BINS = 40
OUTSIDE = 0.005  # share of the margins at either end that the outermost bin also holds
SHOWN = ("acc_s_y", "acc_u_y", "acc_y_y")
PER_CLASS = tuple(f"{MACRO}{metric}" for metric in SHOWN)
UNITS = 10**9  # of an accuracy per class in the page: whole numbers are short
Values = dict[tuple[str, str], tuple[str, dict[str, float]]]  # classifier, calibrator → reads, accuracies
OnCurve = dict[str, tuple[float, str]]  # calibrator → γ, reads
FINE_TUNED, PRETRAINED, BEST = "none", "pretrained", "oracle"


@dataclass(frozen=True, eq=False)
class RunView:
    """A run as the page shows it; all numbers are exact.

    Attributes
    ----------
    where
        dataset, task, backbone, recipe, split, seed.
    folder
        The folder of its files, relative to the page.
    names
        Names of the classes, by number.
    samples, stops
        Its test samples, and the slider's stops.
    marks
        The methods on the curve, by ascending γ: name, label, stop, reads, bound (whether an upper bound).
    others
        The methods off the curve, and other models: label, s, u, y (accuracies), the same per class as `macro`, kind,
        reads, bound.
    """

    where: tuple[str, ...]
    folder: str
    names: tuple[str, ...]
    samples: TestSamples
    stops: Stops
    marks: list[dict[str, Any]]
    others: list[dict[str, Any]]


def run_view(
    where: Mapping[str, str | int],
    folder: str,
    names: Sequence[str],
    samples: TestSamples,
    metrics: pd.DataFrame,
    calibration: pd.DataFrame,
    *,
    room: int,
) -> RunView:
    """Make the view of one run from its test samples, its metrics, and the parameters of its calibrators.

    Parameters
    ----------
    where
        Coordinates of the run by name.
    folder
        The folder of its files, relative to the page.
    names
        Class names by number.
    samples
        Its test samples.
    metrics, calibration
        The run's rows of metrics.parquet and of calibration.parquet.
    room
        How many stops there may be besides the marked ones.
    """
    values = _values(metrics)
    on_curve = _methods_on_curve(samples.curve(), values, calibration)
    at = stops(samples, [gamma for gamma, _ in on_curve.values()], room)
    others = [
        {
            "label": display.method(*key).removeprefix("fine-tuned + "),
            "kind": key[0] if key[1] == "none" else "calibrated",
            "reads": display.reads(reads),
            "bound": display.reads_test(reads) or key[0] == "oracle_fine_tuning",
            **_accuracies(found, SHOWN),
            "macro": _accuracies(found, PER_CLASS),
        }
        for key, (reads, found) in values.items()
        if not (key[0] == "fine_tuned" and key[1] in on_curve)
    ]
    coordinates = tuple(str(where[name]) for name in (*SETTING_KEYS, *CELL_KEYS))
    return RunView(coordinates, folder, tuple(names), samples, at, _marks(on_curve, at), others)


def _methods_on_curve(curve: SeenUnseenCurve, values: Values, calibration: pd.DataFrame) -> OnCurve:
    """Find the methods that lie on the curve: those with one γ, and with the curve's accuracies at it.

    γ = 0 is the fine-tuned model. γ* is included also where no calibrator finds it, if both groups have test samples.
    """
    one = calibration[(calibration["parameter"] == "gamma") & calibration["value"].notna()]
    gammas: dict[str, float] = dict(zip(one["calibrator"].astype(str), one["value"].astype(float), strict=True))
    gammas = {FINE_TUNED: 0.0, **gammas}
    if curve.n_s and curve.n_u:
        gammas.setdefault(BEST, float(curve.gamma[curve.best()]))
    on_curve: OnCurve = {}
    for name, gamma in gammas.items():
        reads, found = values.get(("fine_tuned", name), ("test" if name == BEST else "", None))
        point = curve.at(gamma)
        same = found is None or np.allclose(
            [found["acc_s_y"], found["acc_u_y"]], [point.acc_s_y, point.acc_u_y],
            rtol=0, atol=1e-12, equal_nan=True,
        )  # fmt: skip
        if same or name == FINE_TUNED:  # at γ = 0 samples with equal logits may be predicted in U
            on_curve[name] = gamma, reads
    return on_curve


def _marks(on_curve: OnCurve, at: Stops) -> list[dict[str, Any]]:
    """Return the marks of the methods on the curve, by ascending γ."""
    return [
        {
            "name": name,
            "label": display.CLASSIFIERS["fine_tuned"] if name == FINE_TUNED else display.calibrator(name),
            "stop": at.index(gamma) if np.isfinite(gamma) else (0 if gamma < 0 else len(at.gamma) - 1),
            "reads": display.reads(reads),
            "bound": display.reads_test(reads),
        }
        for name, (gamma, reads) in sorted(on_curve.items(), key=lambda item: item[1][0])
    ]


def _values(metrics: pd.DataFrame) -> Values:
    """Collect what each method reads, and its accuracies."""
    found: Values = {}
    wanted = (*SHOWN, *PER_CLASS)
    shown = metrics[metrics["metric"].isin(wanted)]
    for row in shown[["classifier", "calibrator", "reads", "metric", "value"]].itertuples(index=False, name=None):
        classifier, calibrator, reads, metric, value = row
        _, accuracies = found.setdefault((classifier, calibrator), (reads, dict.fromkeys(wanted, np.nan)))
        accuracies[metric] = float(value) if value is not None else np.nan
    return found


def payload(view: RunView) -> dict[str, Any]:
    """Return a run as plain JSON values, without its classes.

    Of the K stops only the first and the last γ are infinite; they are stored as null. Accuracies per class are in
    `UNITS`, and empty for a group without samples.
    """
    at = view.stops
    return {
        "where": list(view.where),
        "folder": view.folder,
        "n": [at.n_s, at.n_u],
        "gamma": [None, *at.gamma[1:-1].tolist(), None],
        "s": at.right_s.tolist(),
        "u": at.right_u.tolist(),
        "sInS": at.s_in_s.tolist(),
        "uInS": at.u_in_s.tolist(),
        "macro": {
            "n": [at.classes_s, at.classes_u],
            "s": _units(at.macro_s) if at.classes_s else [],
            "u": _units(at.macro_u) if at.classes_u else [],
        },
        "ausuc": [_number(area) for area in at.ausuc],
        "bins": histogram(view),
        "marks": view.marks,
        "others": view.others,
    }


def histogram(view: RunView) -> dict[str, Any]:
    """Count the samples of S and of U by their margin: the lowest end, the width of a bin, the counts.

    The bins span all marks and the margins without half a per cent at either end, which the outermost bins hold.
    """
    margin = view.samples.margin[np.isfinite(view.samples.margin)]
    marked = view.stops.gamma[[mark["stop"] for mark in view.marks]]
    inside = np.quantile(margin, [OUTSIDE, 1 - OUTSIDE]) if margin.size else np.zeros(2)
    ends = np.concatenate([inside, marked[np.isfinite(marked)], [0.0]])
    low, high = float(ends.min()), float(ends.max())
    pad = 0.02 * (high - low) or 1.0
    edges = np.linspace(low - pad, high + pad, BINS + 1)
    middle = (edges[0] + edges[1]) / 2, (edges[-2] + edges[-1]) / 2
    of_s = view.samples.of_s
    clipped = np.clip(view.samples.margin, *middle)
    s, u = (np.histogram(clipped[part], edges)[0].tolist() for part in (of_s, ~of_s))
    return {"low": float(edges[0]), "step": float(edges[1] - edges[0]), "s": s, "u": u}


def sample_counts(view: RunView) -> dict[str, list[int]]:
    """Count the test samples with the same label and predictions, as columns.

    label, before (pretrained prediction, −1: unknown), s and u (prediction in S and in U), stop (the first one at which
    the prediction is the one in U), n.
    """
    samples = view.samples
    before = np.full(samples.label.shape, -1) if samples.before is None else samples.before
    stop = view.stops.leaves_s_at(samples.margin)
    rows = np.stack([samples.label, before, samples.best_s, samples.best_u, stop], axis=1)
    kinds, n = np.unique(rows, axis=0, return_counts=True)
    columns = dict(zip(("label", "before", "s", "u", "stop"), kinds.T.tolist(), strict=True))
    return {**columns, "n": n.tolist()} if len(kinds) else {name: [] for name in ("label", *"su", "stop", "n")}


def _accuracies(found: Mapping[str, float], names: Sequence[str]) -> dict[str, float | None]:
    return {short: _number(found[metric]) for short, metric in zip("suy", names, strict=True)}


def _units(accuracies: npt.NDArray[np.float64]) -> list[int]:
    whole: list[int] = np.round(accuracies * UNITS).astype(np.int64).tolist()
    return whole


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
