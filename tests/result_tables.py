"""Small aggregated tables, as the pipeline writes them, for the tests of everything that reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

RUNS = (("a", 0), ("a", 1), ("b", 0), ("b", 1))
NAMES = {"dataset": "digits", "task": "printed-handwritten", "backbone": "resnet10t", "recipe": "full"}
PLAIN = ("none", "")

# Per classifier and (calibrator, reads) the metrics' means over the runs.
STORY: dict[tuple[str, str, str], dict[str, float]] = {
    ("pretrained", *PLAIN): {"acc_y_y": 0.62, "acc_s_y": 0.6, "acc_u_y": 0.64, "acc_u_u": 0.8, "ausuc": 0.5},
    ("fine_tuned", *PLAIN): {"acc_y_y": 0.6, "acc_s_y": 0.95, "acc_u_y": 0.24, "acc_u_u": 0.8, "ausuc": 0.75},
    ("fine_tuned", "oracle", "test"): {"acc_y_y": 0.8, "acc_s_y": 0.9, "acc_u_y": 0.69, "ausuc": 0.75},
    ("fine_tuned", "alg", "train_fine_tuning"): {"acc_y_y": 0.7, "acc_s_y": 0.93, "acc_u_y": 0.46, "ausuc": 0.75},
    ("fine_tuned", "pcv", "pseudo_splits, train_fine_tuning"): {"acc_y_y": 0.75, "acc_s_y": 0.9, "acc_u_y": 0.6},
    ("oracle_fine_tuning", *PLAIN): {"acc_y_y": 0.97, "acc_s_y": 0.97, "acc_u_y": 0.97, "ausuc": 0.95},
}
NCM = {"pretrained": {"ncm_acc_s_y": 0.9, "ncm_acc_u_y": 0.9}, "fine_tuned": {"ncm_acc_s_y": 0.96, "ncm_acc_u_y": 0.92}}
STEPS = {("a", 0): -0.01, ("a", 1): 0.01, ("b", 0): -0.02, ("b", 1): 0.02}  # around the means; they add up to zero
PER_CLASS = 0.05  # what accuracies and AUSUC per class lie below those per sample
SAMPLES = {"acc_s_y": 5000, "acc_u_y": 4000, "acc_u_u": 4000, "ncm_acc_s_y": 5000, "ncm_acc_u_y": 4000}
# What 100 groups of test samples contribute: a standard error of 0.005 for every method, half for the pretrained model.
INFLUENCES = (0.005 * np.sqrt(99 / 100) / 10 * np.resize([1, -1], 100)).astype(np.float32)


def made_metrics(
    runs: Iterable[tuple[str, int]] = RUNS, changes: dict[tuple[str, str, str], float] | None = None, **names: str
) -> pd.DataFrame:
    """Metrics of the story; every method differs from the others by the same amount in every run, but for a wobble.

    The wobble cancels in each split, so intervals come from the test samples.
    `changes` sets single means: (classifier, calibrator, metric) → value.
    """
    rows: list[dict[str, Any]] = []
    for split, seed in runs:
        for (classifier, calibrator, reads), values in STORY.items():
            means = {**values, **(NCM.get(classifier, {}) if calibrator == "none" else {})}
            means |= {f"macro_{metric}": mean - PER_CLASS for metric, mean in values.items()}
            for metric, mean in means.items():
                mean = (changes or {}).get((classifier, calibrator, metric), mean)
                half = 0.5 if classifier == "pretrained" else 1.0
                rows.append(
                    {
                        **NAMES, **names, "split": split, "seed": seed, "classifier": classifier,
                        "calibrator": calibrator, "reads": reads,
                        "metric": metric, "value": mean + half * STEPS[split, seed],
                        "n": SAMPLES.get(metric.removeprefix("macro_"), 9000),
                        "influences": half * INFLUENCES,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def made_calibration(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """γ of ALG (1 in every run) and PCV (2 ± the seed)."""
    rows = []
    for split, seed in runs:
        for calibrator, gamma in (("alg", 1.0), ("pcv", 2.0 + (2 * seed - 1)), ("oracle", 3.0)):
            rows.append(
                {
                    **NAMES, **names, "split": split, "seed": seed, "calibrator": calibrator,
                    "reads": "train_fine_tuning", "parameter": "gamma", "value": gamma,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def made_curve(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """Quarter circles in steps: the fine-tuned model's is larger."""
    frames = []
    angle = np.linspace(0, np.pi / 2, 21)
    for split, seed in runs:
        for classifier, radius in (("pretrained", 0.7), ("fine_tuned", 0.95)):
            radius += STEPS[split, seed]
            frames.append(
                pd.DataFrame(
                    {
                        **NAMES, **names, "split": split, "seed": seed, "classifier": classifier,
                        "gamma": [-np.inf, *np.linspace(-5, 5, 19), np.inf],
                        "acc_s_y": radius * np.cos(angle).round(12), "acc_u_y": radius * np.sin(angle), "acc_y_y": 0.5,
                    }
                )
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def made_history(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """Five epochs in which S grows and U shrinks."""
    epoch = np.arange(5)
    frames = []
    for split, seed in runs:
        shift = STEPS[split, seed]
        frames.append(
            pd.DataFrame(
                {
                    **NAMES, **names, "split": split, "seed": seed, "epoch": epoch, "step": 10 * epoch, "loss": 1.0,
                    "lr": 0.1, "seconds": 1.0,
                    "weight_norm_fine_tuning": 1 + 0.1 * epoch + shift, "weight_norm_absent": 1 + shift,
                    "absent_true": 6 - 0.5 * epoch + shift, "absent_largest_absent": 3 - 0.5 * epoch,
                    "absent_largest_fine_tuning": 3 + epoch, "fine_tuning_true": 6 + epoch + shift,
                    "fine_tuning_largest_fine_tuning": 3.0, "fine_tuning_largest_absent": 3 - 0.5 * epoch,
                    "acc_s_y": 0.9, "acc_u_y": 0.5,
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def made_cost(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """What jobs took: extraction runs on the CPU, training on a GPU; pretraining was not measured."""
    own = {**NAMES, **names}
    source = own["task"].split("-")[0]
    nothing = {"domain": None, "task": None, "backbone": None, "recipe": None, "split": None, "seed": None}
    shared = {**nothing, "dataset": own["dataset"]}
    rows: list[dict[str, Any]] = [
        {**shared, "stage": "prepare", "domain": source, "device": "cpu", "wall_seconds": 4.0},
        {**shared, "stage": "pretrain", "domain": source, "backbone": own["backbone"], "device": "GPU 1"},
    ]
    for number, (split, seed) in enumerate(runs):
        run = {**nothing, **own, "split": split, "seed": seed}
        rows.append({**run, "stage": "finetune", "device": "GPU 1", "wall_seconds": 100.0 * (number + 1)})
        rows.append({**run, "stage": "extract", "device": "cpu", "wall_seconds": 7.0})
    cost = pd.DataFrame(rows)
    cost.loc[cost["stage"] == "pretrain", "wall_seconds"] = np.nan
    cost["cpu_seconds"] = 0.5 * cost["wall_seconds"]
    cost["peak_memory_mib"] = 2048.0
    cost["own_memory_mib"] = 1024.0
    cost["peak_gpu_memory_mib"] = np.where(cost["device"] == "cpu", np.nan, 512.0)
    return cost


def made_update_similarity(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """The first run's: classes one and four of S, the others of U; those of a group are alike, `four` did not move."""
    split, seed = next(iter(runs))
    classes = ("zero", "one", "two", "three", "four")
    in_s = np.array([False, True, False, False, True])
    cosine = np.where(in_s[:, None] == in_s, 0.5, -0.5) + 0.5 * np.eye(5)
    cosine[4] = cosine[:, 4] = np.nan
    frame = pd.DataFrame({"class": range(5), "name": classes, "group": np.where(in_s, "fine_tuning", "absent")})
    frame["cosine"] = pd.Series(list(cosine.astype(np.float32)))
    return pd.DataFrame({**NAMES, **names, "split": split, "seed": seed}, index=frame.index).join(frame)


def made_update_similarity_means(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """Alike within S and within U, opposite between them."""
    rows = [
        {**NAMES, **names, "split": split, "seed": seed, "pairs": pairs, "cosine": mean + STEPS[split, seed], "n": n}
        for split, seed in runs
        for pairs, mean, n in (("fine_tuning", 0.4, 1), ("absent", 0.6, 3), ("between", -0.5, 6))
    ]
    return pd.DataFrame(rows)


def made_feature_map(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """The first run's: 20 samples of four classes, each class at a corner, closer together after fine-tuning."""
    split, seed = next(iter(runs))
    label = np.repeat(np.arange(4), 5)
    frames = []
    for stage, width in (("before", 1.0), ("after", 0.3)):
        offset = width * np.linspace(-1, 1, 20)
        frames.append(
            pd.DataFrame(
                {
                    **NAMES, **names, "split": split, "seed": seed, "stage": stage, "sample": np.arange(20),
                    "label": label, "name": [f"class {number}" for number in label],
                    "group": np.where(label < 2, "fine_tuning", "absent"),
                    "x": (4.0 * (label % 2) + offset).astype(np.float32),
                    "y": (4.0 * (label // 2) - offset).astype(np.float32),
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def made_decision_regions(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """The first run's: two classes, parted at x = 0 before and, with γ, after fine-tuning; without γ all is S."""
    split, seed = next(iter(runs))
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9)))
    both = (x > 0).astype(int)
    parts = [("sample", "", "", np.array([-1.0, 1.0, 1.5]), np.array([0.0, 1.0, -1.0]), np.array([0, 1, 1]))]
    for classifier, calibrator in (("pretrained", "none"), ("fine_tuned", "none"), ("fine_tuned", "alg")):
        predicted = 0 * both if (classifier, calibrator) == ("fine_tuned", "none") else both
        parts.append(("region", classifier, calibrator, x, y, predicted))
    frames = []
    for element, classifier, calibrator, first, second, number in parts:
        frames.append(
            pd.DataFrame(
                {
                    **NAMES, **names, "split": split, "seed": seed, "element": element, "classifier": classifier,
                    "calibrator": calibrator, "x": first, "y": second, "class": number,
                    "name": np.where(number == 0, "A", "B"), "group": np.where(number == 0, "fine_tuning", "absent"),
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def made_runs(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """What the runs are: split a has 5 classes of 10 in S, split b has 3."""
    rows = [
        {
            **NAMES, **names, "split": split, "seed": seed, "built_in_recipe": "full", "optimizer": "sgd", "lr": 0.03,
            "backbone_lr_scale": 0.1, "weight_decay": 5e-4, "momentum": 0.9, "label_smoothing": 0.0, "batch_size": 32,
            "epochs": 8, "model": "resnet10t", "head": "linear", "split_kind": "random", "split_seed": 0,
            "n_fine_tuning": 5 if split == "a" else 3, "n_absent": 5 if split == "a" else 7,
        }
        for split, seed in runs
    ]  # fmt: skip
    return pd.DataFrame(rows)


def made_gamma_draws(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> pd.DataFrame:
    """γ of ALG: 1 in the mean; two draws differ the less, the more samples there are."""
    rows = []
    for split, seed in runs:
        for n, repeats in ((1, 2), (2, 2), (3, 1)):
            for repeat in range(repeats):
                gamma = 1.0 + (2 * repeat - 1) / n * (repeats > 1)
                rows.append(
                    {
                        **NAMES, **names, "split": split, "seed": seed, "calibrator": "alg",
                        "reads": "train_fine_tuning", "n_per_class": n, "everything": repeats == 1,
                        "n_samples": 5 * n, "repeat": repeat, "gamma": gamma, "acc_y_y": 0.5 + 0.1 * gamma,
                        "best_gamma": 3.0, "best_acc_y_y": 0.8,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def made_tables(runs: Iterable[tuple[str, int]] = RUNS, **names: str) -> dict[str, pd.DataFrame]:
    """All aggregated tables."""
    runs = tuple(runs)
    return {
        "metrics": made_metrics(runs, **names),
        "calibration": made_calibration(runs, **names),
        "curve": made_curve(runs, **names),
        "history": made_history(runs, **names),
        "runs": made_runs(runs, **names),
        "cost": made_cost(runs, **names),
        "gamma_draws": made_gamma_draws(runs, **names),
        "update_similarity": made_update_similarity(runs, **names),
        "update_similarity_means": made_update_similarity_means(runs, **names),
        "feature_map": made_feature_map(runs, **names),
        "decision_regions": made_decision_regions(runs, **names),
    }
