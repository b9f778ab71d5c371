"""How long does the exact seen–unseen curve take, measured against one `logits.max(axis=1)`?

    uv run python benchmarks/curve.py [--size 10000x1000 1000000x100] [--repeats 9] [--quick]

The candidates take turns in every repeat, so that a busy moment of the machine hits all of them, and the medians are
compared, of CPU time: all are one thread, and a machine shared with others takes the processor away. What is fast is
called once before, so that it does not pay for the memory that a slow one gave back. The slow ones visit a few of the
thresholds and are scaled up to all of them: the table says so. Their accuracies are compared with the curve's. Nothing
here fails for being slow.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import _measure
import numpy as np
from sklearn.metrics import accuracy_score, auc

from finecal.metrics.classification import GroupMaxima, group_maxima, seen_unseen_curve
from finecal.metrics.per_class import curve_of


class Candidate(NamedTuple):
    """A way to the curve; its time is multiplied by `scale` because it did 1/scale of the work."""

    name: str
    call: Callable[[], object]
    scale: float = 1.0


def problem(samples: int, classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw random logits (N, C), the true class raised, every second class fine-tuned and raised in all rows."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((samples, classes), dtype=np.dtype(dtype).type)
    labels = rng.integers(0, classes, samples)
    mask = np.zeros(classes, bool)
    mask[rng.permutation(classes)[: classes // 2]] = True  # scattered: no slice can select it
    logits[np.arange(samples), labels] += 3
    logits[:, mask] += 1
    return logits, labels, mask


def arg_max_per_threshold(logits: np.ndarray, labels: np.ndarray, mask: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """Compute (len(gammas),) acc_y_y as the published code does: a new arg-max over all logits for every γ."""
    result = np.empty(len(gammas))
    for i, gamma in enumerate(gammas):
        bias = np.where(mask, 0, gamma).astype(logits.dtype)
        result[i] = np.mean((logits + bias).argmax(axis=1) == labels)
    return result


def predictions_per_threshold(maxima: GroupMaxima, labels: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """Compute (len(gammas),) acc_y_y as scikit-learn's accuracy_score does: new predictions for every γ.

    The maxima are given, found once: their time is in a row of its own.
    """
    result = np.empty(len(gammas))
    for i, gamma in enumerate(gammas):
        result[i] = np.mean(maxima.predictions(gamma) == labels)
    return result


def scikit_learn_loop(
    maxima: GroupMaxima, labels: np.ndarray, mask: np.ndarray, gammas: np.ndarray
) -> tuple[np.ndarray, float]:
    """Compute (len(gammas), 2) acc_s_y and acc_u_y with accuracy_score for every γ, and their area with auc."""
    of_s = mask[labels]
    accuracies = np.empty((len(gammas), 2))
    for i, gamma in enumerate(gammas):
        predicted = maxima.predictions(gamma)
        accuracies[i] = [accuracy_score(labels[part], predicted[part]) for part in (of_s, ~of_s)]
    return accuracies, float(auc(accuracies[:, 0], accuracies[:, 1])) if len(gammas) > 1 else float("nan")


def fancy_indexing(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Compute d (N,) alone, in the shortest code: with two fancy-indexed copies of the logits."""
    s, u = np.flatnonzero(mask), np.flatnonzero(~mask)
    left, right = logits[:, s], logits[:, u]
    row = np.arange(len(logits))
    return left[row, left.argmax(axis=1)] - right[row, right.argmax(axis=1)]


def seconds(call: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def peak_bytes(call: Callable[[], object]) -> int:
    """Return the peak memory of the call, without its arguments."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def compared(samples: int, classes: int, args: argparse.Namespace) -> list[list[str]]:
    """Return the rows of one problem."""
    logits, labels, mask = problem(samples, classes, args.dtype)
    curve = seen_unseen_curve(logits, labels, mask)
    inner = curve.gamma[1:-1]  # between two thresholds: no ties, so every way must agree
    gammas = inner[np.linspace(0, len(inner) - 1, args.thresholds).astype(int)]
    many = inner[np.linspace(0, len(inner) - 1, min(len(inner), 10 * args.thresholds)).astype(int)]
    maxima = group_maxima(logits, mask)
    exact = [[curve.at(gamma) for gamma in some] for some in (many, gammas)]
    np.testing.assert_array_equal(predictions_per_threshold(maxima, labels, many), [p.acc_y_y for p in exact[0]])
    by_part, _ = scikit_learn_loop(maxima, labels, mask, many)
    np.testing.assert_array_equal(by_part, [(point.acc_s_y, point.acc_u_y) for point in exact[0]])
    # In float32 the sum z + γ is rounded, so that a sample beside the threshold may change sides.
    slow = arg_max_per_threshold(logits, labels, mask, gammas)
    np.testing.assert_allclose(slow, [p.acc_y_y for p in exact[1]], atol=2.5 / samples)

    all_of, few_of = len(curve.gamma) / len(many), len(curve.gamma) / len(gammas)
    candidates = [
        Candidate("`logits.max(axis=1)`", lambda: logits.max(axis=1)),
        Candidate("`seen_unseen_curve` and its area", lambda: seen_unseen_curve(logits, labels, mask).ausuc),
        Candidate("its pass over the logits, `group_maxima`", lambda: group_maxima(logits, mask)),
        Candidate("the curve per class, from the maxima and the curve", lambda: curve_of(maxima, labels, curve=curve)),
        Candidate("the same maxima by fancy indexing", lambda: fancy_indexing(logits, mask)),
        Candidate(
            f"from the maxima, new predictions for each γ ({len(many)} measured)",
            lambda: predictions_per_threshold(maxima, labels, many),
            all_of,
        ),
        Candidate(
            f"from the maxima, scikit-learn's accuracy_score and auc ({len(many)} measured)",
            lambda: scikit_learn_loop(maxima, labels, mask, many),
            all_of,
        ),
        Candidate(
            f"new arg-max for each γ ({len(gammas)} measured)",
            lambda: arg_max_per_threshold(logits, labels, mask, gammas),
            few_of,
        ),
    ]
    times: dict[str, list[float]] = {c.name: [] for c in candidates}
    for _ in range(args.repeats):
        for c in candidates:
            if c.scale == 1:
                c.call()
            times[c.name].append(seconds(c.call) * c.scale)

    unit = median(times[candidates[0].name])
    rows = []
    for c in candidates:
        t = median(times[c.name])
        memory = peak_bytes(c.call) / logits.nbytes
        rows.append([f"{samples:,} × {classes:,}", c.name, f"{1e3 * t:,.1f}", f"{t / unit:,.1f}", f"{memory:.3f}"])
    return rows


def size(text: str) -> tuple[int, int]:
    """Parse samples and classes from `10000x1000`."""
    samples, _, classes = text.partition("x")
    return int(samples), int(classes)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of the exact seen–unseen curve.")
    parser.add_argument("--size", type=size, nargs="+", default=[(10_000, 1_000), (1_000_000, 100)], metavar="NxC")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--thresholds", type=int, default=3, help="γ that the slowest way visits; the others ten times")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.size, args.repeats = [(500, 50), (2_000, 10)], 3

    rows = [row for samples, classes in args.size for row in compared(samples, classes, args)]
    print(f"{args.dtype}, NumPy {np.__version__}; median of {args.repeats} interleaved repeats. ", end="")
    print("What visits a part of the γ is scaled to all of them.\n")
    columns = ["samples × classes", "way", "time (ms)", "× max", "peak extra memory ÷ logits"]
    print(_measure.table(columns, rows, words=2))


if __name__ == "__main__":
    main()
