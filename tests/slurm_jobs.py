"""Jobs as Snakemake's SLURM executor sees them, made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.io import IOFile
from snakemake.resources import Resource
from snakemake.settings.types import SharedFSUsage
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

# Makes a shell script that is found under a name (fixture `program`).
Program = Callable[[str, str], None]


class Resources(dict[str, Any]):
    """By name and by attribute, as Snakemake's."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Job(SimpleNamespace):
    """Each is equal to itself only, as Snakemake's."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__  # type: ignore[assignment]


def rule(name: str, **more: Any) -> SimpleNamespace:
    """A rule of finecal: its command tells of which stage it is."""
    return SimpleNamespace(name=name, shellcmd=f"exec finecal {name.replace('_', '-')} {{output}}", **more)


def job(name: str = "finetune", backbone: str = "a", **resources: Any) -> Job:
    """A job that needs a Snakemake on its node."""
    resources = {"gpu": 1, "mem_mb": 100, **resources}
    wildcards = {"backbone": backbone}
    return Job(
        name=name, threads=2, wildcards_dict=wildcards, resources=resources, is_group=lambda: False, attempt=1,
        rule=rule(name), is_shell=False, jobid=0,
    )  # fmt: skip


def submitted(executor: Any, name: str, number: str = "1", **notes: Any) -> SubmittedJobInfo:
    """A job that an executor (of conftest.py) has submitted."""
    own = Job(
        name=name, log_error=lambda message, **_: executor.told.update({name: message}),
        resources={"mem_mb": 100, "runtime": 5}, attempt=1, restart_times=3, is_group=lambda: False,
    )  # fmt: skip
    info = SubmittedJobInfo(own, external_jobid=number, aux={"slurm_logfile": Path(f"{number}.log"), **notes})
    executor._report_job_submission_threadsafe(info)
    return info


class Dag:
    """Jobs that are due and what they need, as Snakemake's, for jobs made with `add`."""

    def __init__(self) -> None:
        self.dependencies: dict[Job, dict[Job, set[str]]] = {}
        self.depending: dict[Job, dict[Job, set[str]]] = {}
        self.done: set[Job] = set()
        self.last: set[Job] = set()  # as `--until` says
        settings = {"deployment_method": set(), "precommand": None, "jobscript": None, "cache": None}
        self.workflow = SimpleNamespace(
            deployment_settings=SimpleNamespace(**settings), remote_execution_settings=SimpleNamespace(**settings),
            workflow_settings=SimpleNamespace(**settings), group_settings=SimpleNamespace(overwrite_groups={}),
            storage_settings=SimpleNamespace(shared_fs_usage=SharedFSUsage.all()),
            execution_settings=SimpleNamespace(latency_wait=1, keep_incomplete=False),
        )  # fmt: skip

    def needrun(self, job: Job) -> bool:
        return job in self.dependencies

    def finished(self, job: Job) -> bool:
        return job in self.done

    def in_until(self, job: Job) -> bool:
        return job in self.last

    def add(self, name: str, *needs: Job, command: str = "true", run: str = "r", **resources: Any) -> Job:
        """A job of a rule that is one shell command; the run is its only wildcard, unless it is empty."""
        made = job(name, **{"gpu": 0, "in_turn": 10, "runtime": 5, **resources})
        made.dag, made.is_shell, made.shellcmd = self, True, command
        made.wildcards_dict = {"run": run} if run else {}
        made.is_local, made.group, made.is_shadow, made.benchmark = False, None, False, None
        made.rule = rule(name, cache=None, is_handover=False, resources={})
        made.rule.resources["tmpdir"] = Resource("tmpdir", lambda: "", raw="system_tmpdir")
        made.input, made.output, made.log, made.params = [], [], [], [1, name]
        self.dependencies[made] = {need: {"file"} for need in needs}
        self.depending[made] = {}
        for need in needs:
            self.depending[need][made] = {"file"}
        return made


def files(*names: str) -> list[Any]:
    """Files as Snakemake's jobs have them."""
    return [IOFile(name) for name in names]
