"""Group the jobs of a stage: shared by the table and the figure of the cost."""

from __future__ import annotations

import pandas as pd

from finecal import display

# Tasks, splits and seeds differ little in cost: their jobs are one row.
KEYS = ["stage", "dataset", "backbone", "recipe", "device"]
STAGES = {
    "prepare": "prepare images",
    "frame": "preprocess images",
    "pretrain": "pretrain",
    "extract_pretrained": "logits, pretrained",
    "finetune": "fine-tune",
    "pseudo_splits": "fine-tune for PCV",
    "pcv": "fine-tune for PCV",  # its name in finecal 0.1.0
    "extract": "logits, fine-tuned",
    "interpolate": "logits, interpolated",
}


def with_labels(cost: pd.DataFrame) -> pd.DataFrame:
    """Add the column `row`, the label of a job's group: the stage, and what else is needed to tell the groups apart."""
    jobs = cost.copy()
    jobs[KEYS] = jobs[KEYS].fillna("").astype(str)
    named = [name for name in ("dataset", "backbone", "recipe") if jobs[name].replace("", pd.NA).nunique() > 1]
    if jobs.groupby(KEYS[:-1])["device"].nunique().gt(1).any():
        named.append("device")
    shown = jobs[named].assign(**{name: jobs[name].map(display.recipe) for name in named if name == "recipe"})
    details = [" · ".join(filter(None, names)) for names in shown.itertuples(index=False, name=None)]
    stages = [STAGES.get(stage, stage) for stage in jobs["stage"]]
    jobs["row"] = [f"{stage}\n{words}".rstrip() for stage, words in zip(stages, details, strict=True)]
    return jobs


def memory(mib: float) -> str:
    """Return MiB as text in a suitable unit.

    >>> memory(835.9), memory(12_345), memory(float("nan"))
    ('836 MiB', '12.1 GiB', '–')
    """
    size, unit, digits = (1024, "GiB", 1) if mib >= 1024 else (1, "MiB", 0)
    return display.number(mib / size, 1, digits) + (f" {unit}" if mib == mib else "")
