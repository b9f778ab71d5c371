"""What each run is, beside its name: what figures that compare runs group by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from finecal.models.locations import folder_of, read_config
from finecal.paths import RunKey
from finecal.plan.plan import Plan
from finecal.registry import is_own

TRAINING = (
    "optimizer", "lr", "backbone_lr_scale", "weight_decay", "momentum", "label_smoothing", "batch_size", "epochs",
)  # fmt: skip


def describe_run(plan: Plan, run: RunKey) -> dict[str, Any]:
    """Return a run's coordinates and resolved options, one value each."""
    finetune = plan.options("finetune", run.dataset, run.backbone, run.recipe)
    split = plan.options("split", run.dataset, run.split)
    backbone = plan.options("pretrain", run.dataset, run.backbone)["backbone"]
    return {
        **run.columns(),
        "built_in_recipe": Path(finetune["recipe"]).name if is_own(finetune["recipe"]) else finetune["recipe"],
        **{name: finetune["training"][name] for name in TRAINING},
        "model": _model(backbone["model"]),
        "head": backbone["head"],
        "split_kind": split["kind"],
        "split_seed": split.get("seed"),
    }


def _model(name: str) -> str:
    """Return timm's name of a model, also of one in a folder."""
    folder = folder_of(name)
    return name if folder is None else str(read_config(folder)["architecture"])


def digest(plan: Plan) -> str:
    """Return a hash that changes with any value of `describe_run`."""
    rows = [describe_run(plan, run) for run in plan.runs]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
