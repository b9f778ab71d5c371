"""Jobs as Snakemake's SLURM executor sees them, made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

# Makes a shell script that is found under a name (fixture `program`).
Program = Callable[[str, str], None]


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


def submitted(executor: Any, name: str, number: str = "1", **notes: Any) -> SubmittedJobInfo:
    """A job that an executor (of conftest.py) has submitted."""
    own = SimpleNamespace(name=name, log_error=lambda message, **_: executor.told.update({name: message}))
    info = SubmittedJobInfo(own, external_jobid=number, aux={"slurm_logfile": Path(f"{number}.log"), **notes})
    executor._report_job_submission_threadsafe(info)
    return info
