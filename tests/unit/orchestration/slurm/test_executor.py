"""How jobs are submitted, and what Snakemake is told of those that are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from slurm_jobs import Job, job
from snakemake_executor_plugin_slurm import Executor as OfPlugin
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.orchestration.slurm import collecting, limits
from finecal.orchestration.slurm import executor as slurm_executor


def test_the_end_submits_nothing_more(executor: Any, cancelled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what waits for others to join, nor what waits for the thread that submits."""
    submissions: list[str] = []
    monkeypatch.setattr(OfPlugin, "run_job", lambda _, job: submissions.append(job))
    monkeypatch.setattr(slurm_executor, "divide", lambda jobs, *_: [jobs])
    monkeypatch.setattr(slurm_executor.Executor, "_prepare", lambda _, jobs: submissions.extend(jobs))
    executor._collected["waits for others"] = 0.0
    executor._job_submission_executor.submit(executor._submit_collected)
    executor._job_submission_executor.submit(executor.run_job, "waits for the thread")
    executor.cancel()
    executor.run_job("late")
    assert submissions == cancelled == []


def test_what_goes_wrong_before_sbatch_is_an_error_of_the_jobs(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "TICK_SECONDS", 0)
    job = Job(name="a", resources={"in_turn": 10}, log_error=lambda m, **_: executor.told.update(a=m))
    executor._collected[job] = 0.0
    executor._submit_collected()  # a job without wildcards: `divide` fails
    assert "SLURM job not submitted" in executor.told["a"]
    single = SimpleNamespace(
        name="b", resources={"runtime": "long"}, log_error=lambda m, **_: executor.told.update(b=m)
    )
    monkeypatch.setattr(limits, "longest", lambda _: 30)
    executor.run_job(single)
    assert "SLURM job not submitted" in executor.told["b"]


def test_a_job_asks_for_what_its_partition_grants(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is submitted asks for less time; Snakemake's job stays as it is and is what Snakemake is told of."""
    seen: list[Any] = []

    def run_job(self: Any, job: Any) -> None:
        seen.append(job)
        self._report_job_submission_threadsafe(SubmittedJobInfo(job, external_jobid="1"))

    monkeypatch.setattr(OfPlugin, "run_job", run_job)
    monkeypatch.setattr(limits, "longest", {"gpu": 30}.get)
    one = job(runtime=60, slurm_partition="cpu", gpu_partition="gpu")
    executor.run_job(one)
    assert (seen[0].resources.runtime, seen[0].resources.slurm_partition, seen[0].threads) == (30, "gpu", 2)
    assert one.resources == {"gpu": 1, "mem_mb": 100, "runtime": 60, "slurm_partition": "cpu", "gpu_partition": "gpu"}
    assert [info.job for info in executor._alive.values()] == [one]


def test_what_sbatch_refuses_is_an_error_of_snakemakes_job(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, job: Any) -> None:
        self._report_job_error_threadsafe(SubmittedJobInfo(job), "refused")

    monkeypatch.setattr(OfPlugin, "run_job", refuse)
    monkeypatch.setattr(limits, "longest", lambda _: None)
    failed: list[Any] = []
    executor.workflow.scheduler.error_callback = failed.append
    one = job()
    one.log_error = lambda *_, **__: None
    executor.run_job(one)
    assert failed == [one]
