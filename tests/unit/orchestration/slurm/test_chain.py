"""What the executor does with jobs that follow others in their SLURM job, from their scripts to what Snakemake is told.

`sbatch` is left out: the launcher runs where a test says so.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slurm_jobs import Dag, Job, files

from finecal.orchestration.slurm import collecting, markers
from finecal.orchestration.slurm import executor as slurm_executor


class Study:
    """Two runs that a tiny workflow trains and scores; the scores of the first need logits of the second."""

    def __init__(self) -> None:
        self.dag = Dag()
        self.tuned = [self.training(run) for run in ("half", "all")]
        self.logits = [self.light("extract", run, one) for run, one in zip(("half", "all"), self.tuned, strict=True)]
        self.scores = self.light("evaluate", "half", *self.logits)

    def training(self, run: str) -> Job:
        one = self.dag.add("finetune", run=run, gpu=1, in_turn=None, runtime=60)
        return self.writes(one, f"echo {run}")

    def light(self, name: str, run: str, *needs: Job) -> Job:
        one = self.dag.add(name, *needs, run=run, gpu=int(name == "extract"))
        one.input = [file for need in needs for file in need.output]
        return self.writes(one, f"cat {' '.join(one.input)}")

    def writes(self, one: Job, command: str) -> Job:
        one.output = files(f"{one.name}.{one.wildcards_dict['run']}")
        one.shellcmd, one.dag.workflow.execution_settings.latency_wait = f"{command} > {one.output[0]}", 0
        one.log_error = lambda message, **_: None
        return one


@pytest.fixture
def study() -> Study:
    return Study()


@pytest.fixture
def submitted(executor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the SLURM jobs, whose numbers are their places from 1."""
    folders: list[Path] = []

    def submit(_self: Any, _request: Any, folder: Path, *_: Any, **__: Any) -> str:
        folders.append(folder)
        return str(len(folders))

    monkeypatch.setattr(slurm_executor, "AT_ONCE", 1)  # in their order
    monkeypatch.setattr(slurm_executor.Executor, "submit_launcher", submit)
    monkeypatch.setattr(slurm_executor.Executor, "run_job_pre", lambda *_: None)
    monkeypatch.setattr(slurm_executor.Executor, "call_in_thread", lambda *_: None)
    monkeypatch.setattr(slurm_executor.limits, "longest", lambda _: None)
    executor.slurm_logdir = tmp_path / "slurm_logs"
    executor.workflow.scheduler.finish_callback = lambda job: executor.told.update({job: "succeeded"})
    executor.workflow.scheduler.error_callback = lambda job: executor.told.update({job: "failed"})
    return folders


def launch(folder: Path, number: int) -> None:
    """Run what SLURM would run."""
    command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(folder)]
    subprocess.run(command, env={"SLURM_JOB_ID": str(number), "PATH": "/usr/bin:/bin"}, check=True, timeout=30)


def look(executor: Any) -> None:
    """Look once at the files of what was submitted, as about once a second."""

    async def all_of_them() -> None:
        async for _ in executor.check_active_jobs(list(executor._alive.values())):
            pass

    asyncio.run(all_of_them())


def test_what_follows_has_ended_when_snakemake_starts_it(executor: Any, study: Study, submitted: list[Path]) -> None:
    """The scores run in the SLURM job that ends last, here that of the first run."""
    executor.submit_packs(study.tuned)
    half, full = submitted
    launch(full, 2)
    launch(half, 1)
    assert Path("evaluate.half").read_text() == "half\nall\n"
    look(executor)
    assert executor.told == dict.fromkeys(study.tuned, "succeeded")
    for jobs in (study.logits, [study.scores]):
        executor.run_jobs(jobs)  # which tells at once
    assert executor.told == dict.fromkeys([*study.tuned, *study.logits, study.scores], "succeeded")
    assert list(executor._collected) == []
    assert submitted == [half, full]
    assert not half.exists()
    assert not full.exists()


def test_what_follows_is_watched_where_it_runs(executor: Any, study: Study, submitted: list[Path]) -> None:
    """SLURM is asked about the job in which it runs; if that ends without its status, it has failed once."""
    executor.submit_packs(study.tuned[:1])
    (folder,) = submitted
    member, follower = sorted(folder.glob("*.sh"))
    markers.write_status(member, 0)
    look(executor)
    executor.run_jobs(study.logits[:1])
    (info,) = executor._alive.values()
    assert (info.job, info.external_jobid) == (study.logits[0], "1")
    assert markers.claim(follower, "1")
    executor.answers, executor._due = [{"1": "TIMEOUT"}], 0.0
    look(executor)
    assert executor.told[study.logits[0]] == "failed"
    study.logits[0].attempt = 2
    executor.run_jobs(study.logits[:1])
    assert list(executor._collected) == study.logits[:1]  # with a script of its own


def test_what_was_not_run_is_submitted_by_itself(executor: Any, study: Study, submitted: list[Path]) -> None:
    """No try is used up; the launcher can run it no more."""
    executor.submit_packs(study.tuned[:1])
    (folder,) = submitted
    member, follower = sorted(folder.glob("*.sh"))
    markers.write_status(member, 0)
    look(executor)
    executor.run_jobs(study.logits[:1])
    look(executor)
    assert list(executor._collected) == []
    markers.closed_file(folder).touch()
    look(executor)
    assert list(executor._collected) == study.logits[:1]
    assert executor.told == {study.tuned[0]: "succeeded"}
    assert not follower.exists()  # nothing is left for the launcher to find
    assert executor._alive == {}


def test_slurm_says_that_nobody_runs_it(executor: Any, study: Study, submitted: list[Path]) -> None:
    """An scancel while the first script of all runs, which SLURM's answer tells."""
    executor.submit_packs(study.tuned[:1])
    member, _ = sorted(submitted[0].glob("*.sh"))
    markers.write_status(member, 0)
    look(executor)
    executor.run_jobs(study.logits[:1])
    executor.answers, executor._due = [{"1": "CANCELLED"}], 0.0
    look(executor)
    assert executor.told == {study.tuned[0]: "succeeded"}
    look(executor)
    assert list(executor._collected) == study.logits[:1]


def test_what_follows_a_failure_is_planned_again(executor: Any, study: Study, submitted: list[Path]) -> None:
    """The second try of the training has scripts of its own, and what follows it, too."""
    study.tuned[0].shellcmd = "exit 3"
    executor.submit_packs(study.tuned[:1])
    launch(submitted[0], 1)
    look(executor)
    assert executor.told == {study.tuned[0]: "failed"}
    assert not executor.shared_jobs.is_follower(study.logits[0])
    study.tuned[0].attempt, study.tuned[0].shellcmd = 2, f"echo again > {study.tuned[0].output[0]}"
    executor.submit_packs(study.tuned[:1])
    launch(submitted[1], 2)
    look(executor)
    executor.run_jobs(study.logits[:1])
    look(executor)
    assert executor.told[study.logits[0]] == "succeeded"
    assert Path("extract.half").read_text() == "again\n"


def test_what_would_follow_a_job_that_slurm_refuses(
    executor: Any, study: Study, submitted: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held; what was to follow it, also behind another one, is planned with its next submission."""
    usual = slurm_executor.Executor.submit_launcher

    def refuse_first(self: Any, request: Any, folder: Path, jobs: Any, *more: Any, **options: Any) -> str:
        if not submitted and jobs[0] is study.tuned[0]:
            submitted.append(folder)
            raise subprocess.CalledProcessError(1, "sbatch", stderr="AssocMaxSubmitJobLimit")
        return usual(self, request, folder, jobs, *more, **options)

    monkeypatch.setattr(slurm_executor.Executor, "submit_launcher", refuse_first)
    executor.submit_packs(study.tuned)
    assert list(executor._held)[:1] == study.tuned[:1]
    assert not submitted[0].exists()
    assert not any(map(executor.shared_jobs.is_follower, (study.logits[0], study.scores)))
    assert executor.shared_jobs.unnumbered == 0
    held, executor._held, executor._is_full = executor._held, (), False
    executor.submit_packs(held)
    for number, folder in enumerate(submitted[1:], 2):
        launch(folder, number)
    look(executor)
    for jobs in (study.logits, [study.scores]):
        executor.run_jobs(jobs)
    assert executor.told == dict.fromkeys([*study.tuned, *study.logits, study.scores], "succeeded")


def test_outputs_that_snakemake_does_not_accept(executor: Any, study: Study, submitted: list[Path]) -> None:
    """It starts the training again, though that had ended with 0; what was made of it meanwhile is made again."""
    executor.submit_packs(study.tuned[:1])
    launch(submitted[0], 1)
    look(executor)
    study.tuned[0].attempt = 2
    executor.run_jobs(study.tuned[:1])
    assert list(executor._collected) == study.tuned[:1]
    executor.submit_packs(study.tuned[:1])
    launch(submitted[1], 2)
    look(executor)
    executor.run_jobs(study.logits[:1])
    look(executor)
    assert list(executor._collected) == [study.tuned[0], study.logits[0]]
    assert study.logits[0] not in executor.told


def test_the_end_cancels_what_has_only_followers_left(
    executor: Any, study: Study, submitted: list[Path], cancelled: list[str]
) -> None:
    executor.submit_packs(study.tuned[:1])
    markers.write_status(next(iter(sorted(submitted[0].glob("*.sh")))), 0)
    look(executor)
    assert executor._alive == {}
    executor.cancel()
    assert cancelled == ["1"]


def test_light_jobs_wait_for_company_while_others_are_at_work(
    executor: Any, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And trainings for others of their run, shorter; not at a second try."""
    now = [100.0]
    monkeypatch.setattr(collecting.time, "monotonic", lambda: now[0])
    light, training = study.logits[0], study.tuned[0]

    def seconds(*jobs: Any, others: bool) -> float:
        begin = now[0]
        executor.collect(jobs)
        executor._alive = {1: SimpleNamespace()} if others else {}
        while not executor._take_due():
            now[0] += 0.5
        assert not executor._collected
        return now[0] - begin

    assert seconds(light, others=False) == collecting.QUIET_SECONDS
    assert seconds(light, others=True) == collecting.COMPANY_SECONDS
    assert seconds(*(copy(light) for _ in range(10)), others=True) == collecting.QUIET_SECONDS
    assert seconds(training, others=True) == collecting.QUIET_SECONDS
    training.attempt = 2
    assert seconds(training, others=True) == 0
    executor._runs_per_gpu, training.resources["gpu"], training.attempt = 4, 1, 1
    assert seconds(training, others=True) == collecting.COLLECT_SECONDS
