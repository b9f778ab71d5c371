"""What the jobs took: wall and CPU time per job (mean) and in all, and the peaks of main memory and of GPU memory
(largest of the jobs), as the jobs and torch measured them. A dash is what was not measured.

Only jobs that read images or run models are measured; the others take seconds. Times depend on the machine.
"""

from __future__ import annotations

import pandas as pd

from finecal import display
from finecal.tables import _cost

NEEDS = ("cost",)


def build(cost: pd.DataFrame) -> pd.DataFrame:
    """Return one row per stage, data set, backbone, recipe and device; empty text where a stage has no such coordinate.

    Columns: n_jobs, n_measured; wall_seconds and cpu_seconds, means over the measured jobs, and their sums
    wall_seconds_total and cpu_seconds_total; peak_memory_mib and peak_gpu_memory_mib, the largest of the jobs.
    """
    jobs = _cost.with_labels(cost)
    groups = jobs.groupby([*_cost.KEYS, "row"], sort=False)
    tidy = groups.agg(
        n_jobs=("stage", "size"), n_measured=("wall_seconds", "count"),
        wall_seconds=("wall_seconds", "mean"), cpu_seconds=("cpu_seconds", "mean"),
        peak_memory_mib=("peak_memory_mib", "max"), peak_gpu_memory_mib=("peak_gpu_memory_mib", "max"),
    )  # fmt: skip
    for name in ("wall_seconds", "cpu_seconds"):
        tidy[f"{name}_total"] = groups[name].sum(min_count=1)
    return tidy.reset_index()


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per stage."""
    rows = []
    for row in tidy.to_dict("records"):
        partly = "" if row["n_measured"] == row["n_jobs"] else f" ({row['n_measured']} measured)"
        rows.append(
            {
                "stage": row["row"].replace("\n", ", "),
                "device": row["device"] or display.NOTHING,
                "jobs": f"{row['n_jobs']:,}{partly}",
                "wall time": display.duration(row["wall_seconds"]),
                "CPU time": display.duration(row["cpu_seconds"]),
                "wall total": display.duration(row["wall_seconds_total"]),
                "CPU total": display.duration(row["cpu_seconds_total"]),
                "memory": _cost.memory(row["peak_memory_mib"]),
                "GPU memory": _cost.memory(row["peak_gpu_memory_mib"]),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
