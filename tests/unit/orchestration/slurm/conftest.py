"""An executor that needs neither a Snakemake nor SLURM, and pretended programs of SLURM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Event, RLock
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_slurm import Executor as OfPlugin
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from finecal.orchestration.slurm import asking, commands, gpus, limits
from finecal.orchestration.slurm import executor as slurm_executor
from finecal.orchestration.slurm.bad_nodes import Nodes
from finecal.orchestration.slurm.job_states import Answers
from finecal.orchestration.slurm.shared_jobs import SharedJobs
from finecal.orchestration.slurm.space import Space


class Limiter:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An executor without a Snakemake; `told` is what it says of its jobs, `answers` and `places` what SLURM says."""
    made = object.__new__(slurm_executor.Executor)
    made.told, made.answers, made.asked, made.places = {}, [], [], {}
    settings = {"init_seconds_before_status_checks": 20, "keep_successful_logs": False, "requeue": True}
    scheduler = SimpleNamespace(
        finish_callback=lambda job: made.told.update({job.name: ""}), error_callback=lambda _: None
    )
    made.workflow = SimpleNamespace(
        executor_settings=SimpleNamespace(**settings), scheduler=scheduler,
        remote_execution_settings=SimpleNamespace(seconds_between_status_checks=10),
    )  # fmt: skip
    made.logger = SimpleNamespace(warning=lambda text: made.warned.append(text), info=lambda _: None)
    made.status_rate_limiter, made.run_uuid = Limiter(), "run"
    made._interval, made._due, made._has_one_ended = 0.0, float("inf"), False
    made._stopping, made._alive, made.shared_jobs = Event(), {}, SharedJobs(keep=False)
    made._left, made.names_before = {}, set()
    made.nodes, made.space = Nodes(), Space()
    made._logs_of_failed, made._runs_per_gpu, made._partitions = [], 1, None
    made._collected, made._collecting, made._is_collecting = {}, nullcontext(), False
    made._holding, made._held, made._is_full, made._most_jobs = RLock(), (), False, None
    made._wait, made._retry_at, made._told, made.warned = 5.0, 0.0, set(), []
    made._is_warm, made.array_jobs, made.active_jobs = True, set(), []
    made._job_submission_executor = ThreadPoolExecutor(1)
    made._main_event_loop, made._submitted_job_clusters = None, set()
    made._command, made._longest_interval = "squeue", 180
    made._reasons_due = 0.0
    made._reasons_told, made._stuck, made.reasons = set(), Counter(), {}
    made._answers, made._failed_nodes = Answers(names_all=False), set()

    async def query(command: str, _: object) -> tuple[dict[str, str] | None, float]:
        if "--jobs=" in command:
            return made.places, 0.0
        made.asked.append(command.split()[0])
        if "--states=PENDING" in command:
            return made.reasons, 0.0
        return made.answers.pop(0), 0.0

    monkeypatch.setattr(asking, "query_job_status", query)
    monkeypatch.setattr(limits, "nodes_at_work", lambda _: set())  # also where there is a SLURM
    for kind in (RemoteExecutor, RealExecutor):
        monkeypatch.setattr(kind, "report_job_submission", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def cancelled(executor: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The numbers that the plugin is told to cancel; Snakemake itself knows of no job."""
    numbers: list[str] = []
    monkeypatch.setattr(OfPlugin, "cancel_jobs", lambda _, jobs: numbers.extend(job.external_jobid for job in jobs))
    monkeypatch.setattr(RemoteExecutor, "cancel", lambda self: self.cancel_jobs([]))
    return numbers


@pytest.fixture(autouse=True)
def forget_cluster() -> Iterator[None]:
    """What is known of the cluster after the first question."""
    limits.partition_limits.cache_clear()
    commands.show_config.cache_clear()
    yield
    gpus.use_way(gpus.WAYS[0])


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Make a shell script that is found under a name; nothing else is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make
