"""Jobs as Snakemake's SLURM executor sees them, made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Resources(dict[str, Any]):
    """By name and by attribute, as Snakemake's."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def job(name: str = "finetune", backbone: str = "a", **resources: Any) -> SimpleNamespace:
    resources = {"gpu": 1, "mem_mb": 100, **resources}
    wildcards = {"backbone": backbone}
    return SimpleNamespace(
        name=name, threads=2, wildcards_dict=wildcards, resources=resources, is_group=lambda: False, attempt=1
    )
