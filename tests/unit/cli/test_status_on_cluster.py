"""What `finecal status` says of jobs in SLURM, of which a pretended squeue tells."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finecal.cli.status import describe
from finecal.orchestration.slurm import recovery
from finecal.orchestration.slurm.places import HOLDS
from finecal.orchestration.workers import STATE, own_file, signature
from finecal.plan.jobs import Job, jobs
from finecal.plan.plan import Plan

Queue = Callable[..., None]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(["small/digits"])


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """Let squeue name SLURM jobs by the fields that are given of each."""
    (tmp_path / "squeue").write_text(f'#!/bin/sh\nexec cat "{tmp_path}/queue"\n')
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    STATE.mkdir()

    def say(*several: dict[str, str]) -> None:
        own = {"UserName": getpass.getuser(), "Name": "run", "RestartCnt": "0", "TimeLeft": "INVALID"}
        lines = [
            "".join(f"{({**own, **one}).get(name, ''):<{width}}" for name, width in recovery.COLUMNS.items())
            for one in several
        ]
        (tmp_path / "queue").write_text("\n".join(lines))

    return say


def submit(job: Job, number: int, *, after: bool = False) -> str:
    """Write what lies beside the script of a job; return where SLURM writes the log."""
    folder = Path.cwd() / recovery.LOGS / "rule_of_the_first" / f"shared_{number}"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{len(list(folder.glob('*.sh'))):04}"
    (folder / f"{name}.sh").touch()
    (folder / f"{name}.job").write_text(json.dumps({"outputs": [str(file) for file in job.outputs]}))
    if after:
        (folder / f"{name}.needs").touch()
    return str(folder / "%j.log")


def of_stage(plan: Plan, stage: str) -> Job:
    return next(job for job in jobs(plan) if job.stage == stage)


def test_running_waiting_held_and_started_again(plan: Plan, queue: Queue) -> None:
    own_file().write_text(f"{signature()}\n")
    tuned, pretrained, logits = (of_stage(plan, stage) for stage in ("finetune", "pretrain", "extract"))
    tuned.log.parent.mkdir(parents=True)
    log = submit(tuned, 7)
    submit(logits, 7, after=True)

    tuned.log.write_text("epoch 3/10  loss 0.5  42 s left\n")
    running = {"JobID": "7", "State": "RUNNING", "NodeList": "n2", "TimeLeft": "1:59:00", "RestartCnt": "1"}
    held = {"JobID": "8", "State": "PENDING", "Reason": "JobHeldUser", "StartTime": "N/A"}
    queue({**running, "STDOUT": log}, {**held, "STDOUT": submit(pretrained, 8)})
    said = describe(plan)

    place = "SLURM job 7 on n2, 1:59:00 left"
    again = "; SLURM has started it again 1 time"
    assert f"{tuned.result}: epoch 3/10, loss 0.5, 42 s left; {place}{again}\n" in said
    assert f"{logits.result}: {place}, after others{again}\n" in said
    assert f"{pretrained.result}: SLURM job 8 waits (JobHeldUser): it is held: `scontrol release 8`" in said

    waits = {"JobID": "8", "State": "PENDING", "Reason": "Priority", "StartTime": "2026-12-01T08:00:00"}
    queue({**waits, "STDOUT": submit(pretrained, 8)})
    assert "SLURM job 8 waits (Priority); expected to start at 2026-12-01T08:00:00" in describe(plan)


def test_a_log_of_an_earlier_try_is_not_of_this_one(plan: Plan, queue: Queue) -> None:
    tuned = of_stage(plan, "finetune")
    tuned.log.parent.mkdir(parents=True)
    tuned.log.write_text("epoch 3/10  loss 0.5  42 s left\n")
    os.utime(tuned.log, (0, time.time() - 60))
    queue({"JobID": "7", "State": "RUNNING", "NodeList": "n2", "STDOUT": submit(tuned, 7)})
    said = describe(plan)
    assert "Running:" not in said
    assert "No Snakemake is at work here\nIts jobs in SLURM go on: start it again with the same command" in said


def test_what_snakemake_holds_and_why_a_job_has_failed(plan: Plan, queue: Queue) -> None:
    own_file().write_text(f"{signature()}\n")
    HOLDS.write_text("There is no room on the disk.\nNothing is submitted until there is room.")
    tuned = of_stage(plan, "finetune")
    tuned.log.parent.mkdir(parents=True)
    tuned.log.touch()
    folder = Path(submit(tuned, 7)).parent
    (folder / "0000.job").rename(folder / "0000.why")
    why = {"outputs": [str(file) for file in tuned.outputs], "why": "SLURM-job '7' failed on n1 (OutOfMemory). "}
    (folder / "0000.why").write_text(json.dumps(why))
    said = describe(plan)
    assert (
        "It submits nothing for now: There is no room on the disk. Nothing is submitted until there is room.\n" in said
    )
    assert f"      ({tuned.log})\n      SLURM: SLURM-job '7' failed on n1 (OutOfMemory).\n" in said


def test_slurm_does_not_answer(plan: Plan, queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    """What is known without it is said all the same; where no job was submitted, it is not asked."""
    describe(plan)
    assert capsys.readouterr().err == ""
    submit(jobs(plan)[0], 1)
    assert "done" in describe(plan)  # there is no queue
    assert "SLURM does not answer" in capsys.readouterr().err
