"""Select, order and present the rows of methods: shared by the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from finecal import display
from finecal.analysis.statistics import METHOD, summarise
from finecal.paths import SETTING_KEYS

CLASSIFIERS = ("pretrained", "fine_tuned", "oracle_fine_tuning")


def summary_of(metrics: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Summarise some metrics, with the column upper_bound, in the order of a table.

    Settings in order of appearance; in each the pretrained model, the fine-tuned one, its calibrators in order of
    appearance with those that read test labels last, and oracle fine-tuning; metrics in the order of `names`.
    """
    summary = summarise(metrics[metrics["metric"].isin(list(names)) & metrics["classifier"].isin(CLASSIFIERS)])
    reads_test = summary["reads"].map(display.reads_test).astype(bool)
    summary["upper_bound"] = reads_test | (summary["classifier"] == "oracle_fine_tuning")
    appearance = {name: i for i, name in enumerate(summary["calibrator"].drop_duplicates())}
    order = pd.DataFrame(
        {
            "setting": summary.groupby(list(SETTING_KEYS), sort=False).ngroup(),
            "classifier": summary["classifier"].map(CLASSIFIERS.index),
            "calibrated": summary["calibrator"] != "none",
            "reads_test": reads_test,
            "calibrator": summary["calibrator"].map(appearance),
            "metric": summary["metric"].map(list(names).index),
        }
    )
    return summary.loc[order.sort_values(list(order.columns)).index].reset_index(drop=True)


def present(tidy: pd.DataFrame, titles: dict[str, str], *, scale: float = 100, digits: int = 1) -> pd.DataFrame:
    """Return one row per method: setting, method, what it reads, mean and difference of each metric, trainings,
    samples.

    `titles` maps metrics to column titles; samples are test samples per run.
    """
    rows = []
    for key, group in tidy.groupby([*SETTING_KEYS, *METHOD], sort=False):
        dataset, task, backbone, recipe, classifier, calibrator, reads = map(str, key)
        bound = bool(group["upper_bound"].iloc[0])
        row = {
            "data set": dataset, "task": display.task(task), "backbone": backbone, "recipe": display.recipe(recipe),
            "method": display.method(classifier, calibrator) + (" †" if bound else ""),
            "reads": "train S and U" if classifier == "oracle_fine_tuning" else display.reads(reads),
        }  # fmt: skip
        found = group.set_index("metric")
        for metric, title in titles.items():
            if metric not in found.index:
                row[title] = row[f"Δ {title}"] = display.NOTHING
                continue
            one: Any = found.loc[metric]
            row[title] = display.interval(one["mean"], one["low"], one["high"], scale, digits)
            plain = classifier == "fine_tuned" and calibrator == "none"
            row[f"Δ {title}"] = display.NOTHING if plain else display.interval(
                one["difference"], one["difference_low"], one["difference_high"], scale, digits, sign=True
            )  # fmt: skip
        row["trainings"] = str(group["n_runs"].max())
        row["samples"] = str(group["n_samples"].max())
        rows.append(row)
    return pd.DataFrame(rows)
