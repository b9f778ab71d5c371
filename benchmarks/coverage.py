"""How often do intervals contain the truth, and how often are verdicts and advice false where there is nothing to find?

    uv run python benchmarks/coverage.py [--repeats 200] [--designs 2x2 4x1 …] [--jobs 2] [--quick]

Studies are drawn from a world of synthetic logits (`_world.py`) whose truth is found from many splits and samples. A
design is splits x seeds. Every study goes through finecal's own scores, summary, diagnosis and leaderboard; beside them
is what finecal 0.1.0 did: the percentile bootstrap over cells. With one split the truth is that of this split.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from _measure import table
from _world import DAMAGE, NOTHING, Samples, Split, World, study

from finecal.analysis.diagnosis import diagnose
from finecal.analysis.findings import DAMAGED, IMPROVED
from finecal.analysis.statistics import summarise
from finecal.metrics.classifiers import FINE_TUNED, PRETRAINED
from finecal.tables import _leaderboard

N_TEST = 539  # test samples of the embedded digits
DESIGNS = ("2x2", "3x2", "4x1", "6x1", "5x2", "10x1", "5x5", "25x1", "1x3", "1x10", "1x1")
MEANS = ("acc_y_y", "acc_s_y", "acc_u_y", "acc_u_u", "harmonic_mean", "ausuc", "nll", "ece", "ncm_acc_u_y")
# Name → (classifier, calibrator) whose difference to plain fine-tuning it is, and the metric.
DIFFERENCES = {
    f"Δ {metric} ({words})": ((who, calibrator), metric)
    for words, who, calibrator, metrics in (
        ("γ", FINE_TUNED, "alg", ("acc_y_y", "acc_u_y", "harmonic_mean", "nll", "ece")),
        ("pretrained", PRETRAINED, "none", ("acc_u_y", "acc_u_u", "ausuc", "ncm_acc_u_y")),
    )
    for metric in metrics
}
RANKED = replace(DAMAGE, gammas=tuple((f"m{k}", 0.62 + 0.04 * k) for k in range(6)), gamma_noise=0.05)
RESAMPLES = 2000
TRUTH_SPLITS, FEW = 800, 10  # splits that the truth is taken from; a quick run has to do with few
Key = tuple[tuple[str, str], str]


def mean_values(metrics: pd.DataFrame) -> dict[Key, float]:
    """Return the mean over cells of every method and metric."""
    found = metrics.groupby(["classifier", "calibrator", "metric"])["value"].mean()
    return {((who, calibrator), metric): float(value) for (who, calibrator, metric), value in found.items()}


def truth(world: World, splits: list[Split], rng: np.random.Generator) -> dict[Key, float]:
    """Return the expectation over trainings of these splits and over samples."""
    parts = [mean_values(study(world, Samples.draw(2500, rng), [split], 1, rng)) for split in splits]
    return {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}


def old_way(metrics: pd.DataFrame, key: Key, rng: np.random.Generator, minus: Key | None) -> tuple[float, float]:
    """Return the percentile bootstrap over cells, as finecal 0.1.0 had it."""

    def values(one: Key) -> np.ndarray:
        (who, calibrator), metric = one
        chosen = (metrics["classifier"] == who) & (metrics["calibrator"] == calibrator) & (metrics["metric"] == metric)
        return metrics[chosen]["value"].to_numpy(float)

    x = values(key) - (values(minus) if minus else 0.0)
    if len(x) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(x[rng.integers(0, len(x), (RESAMPLES, len(x)))].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


@cache
def everywhere(world: World, splits: int) -> dict[Key, float]:
    """Return the truth over all splits, from as many."""
    rng = np.random.default_rng(9)
    return truth(world, [Split.draw(world, rng) for _ in range(splits)], rng)


def conditional(world: World, n_splits: int, seeds: int) -> World:
    """Return the world in which a design is judged: one run speaks of its own training only."""
    return replace(world, gap_seed=0.0, gamma_noise=0.0) if n_splits == seeds == 1 else world


def covered(design: str, repeats: int, rng: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Return by kind of number: coverage in the new way, in the old way, and the part of studies with an interval."""
    n_splits, seeds = map(int, design.split("x"))
    world = conditional(DAMAGE, n_splits, seeds)
    fixed = [Split.draw(world, rng) for _ in range(6)] if n_splits == 1 else []
    of_split = [truth(world, [split] * (40 if repeats > FEW else FEW), rng) for split in fixed]
    hits: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(repeats):
        pick = int(rng.integers(6))
        splits = [fixed[pick]] if fixed else [Split.draw(world, rng) for _ in range(n_splits)]
        true = of_split[pick] if fixed else everywhere(world, TRUTH_SPLITS if repeats > FEW else FEW)
        metrics = study(world, Samples.draw(N_TEST, rng), splits, seeds, rng)
        summary = summarise(metrics).set_index(["classifier", "calibrator", "metric"])
        for metric in MEANS:
            row, key = summary.loc[(FINE_TUNED, "none", metric)], ((FINE_TUNED, "none"), metric)
            hits[metric].append(_hit(row[["low", "high"]], old_way(metrics, key, rng, None), true[key]))
        for name, (method, metric) in DIFFERENCES.items():
            row, plain = summary.loc[(*method, metric)], ((FINE_TUNED, "none"), metric)
            bounds = row[["difference_low", "difference_high"]]
            hits[name].append(
                _hit(bounds, old_way(metrics, (method, metric), rng, plain), true[method, metric] - true[plain])
            )
    return {name: _rates(np.array(found)) for name, found in hits.items()}


def _rates(hits: np.ndarray) -> tuple[float, float, float]:
    """Return the rates of both ways among (studies, 2) hits, NaN without intervals; the part with new ones."""
    there = ~np.isnan(hits)
    new, old = (float(hits[there[:, k], k].mean()) if there[:, k].any() else float("nan") for k in (0, 1))
    return new, old, float(there[:, 0].mean())


def _hit(new: Iterable[float], old: Iterable[float], true: float) -> tuple[float, float]:
    found = []
    for low, high in (map(float, new), map(float, old)):
        found.append(float("nan") if np.isnan(low) else float(low <= true <= high))
    return found[0], found[1]


def false_words(design: str, repeats: int, rng: np.random.Generator) -> dict[str, float]:
    """Return how often a sentence is false where fine-tuning changes nothing, and how often "use X" is."""
    n_splits, seeds = map(int, design.split("x"))
    counts: dict[str, list[float]] = defaultdict(list)
    calibration = pd.DataFrame(columns=["dataset", "task", "backbone", "recipe", "calibrator", "parameter", "value"])
    # One split or training speaks of itself: nothing is to be found in it if it is like all others.
    world = replace(conditional(NOTHING, n_splits, seeds), gap_split=NOTHING.gap_split if n_splits > 1 else 0.0)
    for _ in range(repeats):
        splits = [Split.draw(world, rng) for _ in range(n_splits)]
        metrics = study(world, Samples.draw(N_TEST, rng), splits, seeds, rng)
        (answer,) = diagnose(metrics, calibration)
        for finding in answer.findings:
            counts[f"damaged or improved: {finding.metric}"].append(finding.verdict in (DAMAGED, IMPROVED))
        counts["use X"].append(answer.advice.calibrator != "none")
    return {name: float(np.mean(found)) for name, found in counts.items()}


def ranks(design: str, repeats: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return how often the interval of a rank holds the true rank, and all six at once do."""
    n_splits, seeds = map(int, design.split("x"))
    names = [name for name, _ in RANKED.gammas]
    order = names[::-1]  # up to γ = 1.7 more γ is better
    found = []
    for _ in range(repeats):
        splits = [Split.draw(RANKED, rng) for _ in range(n_splits)]
        metrics = study(RANKED, Samples.draw(N_TEST, rng), splits, seeds, rng)
        board = _leaderboard.build(metrics[metrics["calibrator"].isin(names)])
        rows = board[board["metric"] == "acc_y_y"].set_index("calibrator")
        found.append([rows.loc[n, "rank_low"] <= place <= rows.loc[n, "rank_high"] for place, n in enumerate(order, 1)])
    return float(np.mean(found)), float(np.mean(np.all(found, axis=1)))


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, metavar="N", help="studies per design")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    parser.add_argument("--designs", nargs="+", default=DESIGNS, metavar="AxB", help="splits x seeds")
    parser.add_argument("--quick", action="store_true", help="two designs, a few studies: to see that it runs")
    args = parser.parse_args()
    repeats, designs = (4, ("2x2", "1x1")) if args.quick else (args.repeats, args.designs)
    several = [d for d in designs if not d.startswith("1x")]
    with ProcessPoolExecutor(args.jobs) as pool:
        tasks = {
            "covered": [pool.submit(covered, d, repeats, np.random.default_rng(n)) for n, d in enumerate(designs)],
            "words": [
                pool.submit(false_words, d, repeats, np.random.default_rng(100 + n)) for n, d in enumerate(designs)
            ],
            "ranks": [
                pool.submit(ranks, d, max(repeats // 2, 2), np.random.default_rng(200 + n))
                for n, d in enumerate(several)
            ],
        }
        by_design, words, held = ([task.result() for task in part] for part in tasks.values())
    print(f"Coverage of 95 % intervals in %, now (before); {repeats} studies each\n")
    print(table(("", *designs), ((kind, *(_both(one[kind]) for one in by_design)) for kind in by_design[0])))
    print(f"\nFalse words where fine-tuning changes nothing, in % of {repeats} studies\n")
    print(table(("", *designs), ((name, *(f"{100 * one[name]:.1f}" for one in words)) for name in words[0])))
    print("\nRanks of six methods 0.5 points apart: in how many % an interval holds the true rank, and all six do\n")
    lines = ((name, *(f"{100 * one[k]:.1f}" for one in held)) for k, name in enumerate(("one", "all six")))
    print(table(("", *several), lines))


def _both(found: tuple[float, float, float]) -> str:
    new, old, shown = found
    words = "–" if np.isnan(new) else f"{100 * new:.1f}"
    return f"{words} ({'–' if np.isnan(old) else f'{100 * old:.0f}'})" + ("" if shown in (0, 1) else f" {shown:.2f}")


if __name__ == "__main__":
    main()
