"""`finecal status` beside a Snakemake that works, has been killed, has failed, or is done."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import RUNS, TINY, Project

from finecal.plan.stages import STAGES

pytestmark = pytest.mark.slow

RUN = f"{RUNS}/half0/seed0"
LOG = RUN.replace("results/", "logs/finetune/") + ".log"


def status(project: Project) -> str:
    return project.forked("finecal", "status")


def counts(output: str, stage: str) -> str:
    """A stage's line without the stage, its columns one space apart."""
    line = re.search(rf"^  {stage} +(.*)$", output, re.MULTILINE)
    assert line is not None, output
    return " ".join(line[1].split())


@contextmanager
def stopped_after_an_epoch(process: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
    """Hold the training when its log tells of the first epoch; kill it and all around it afterwards."""
    deadline = time.monotonic() + 200
    while not log.exists() or "epoch 1/" not in log.read_text():
        assert process.poll() is None, "ended before its first epoch"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.001)
    family = [process, *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for member in family:
            member.kill()
        process.wait()


@pytest.fixture
def unfinished(project: Project) -> Project:
    """Without the results and logs of one run."""
    shutil.rmtree(project.path(RUN))
    for log in project.path("logs").rglob("half0/seed0.log"):
        log.unlink()
    return project


def test_done(project: Project) -> None:
    output = status(project)
    said = re.match(r"tiny\.yaml: (\d+) of (\d+) jobs done\nNo Snakemake is at work here\n", output)
    assert said is not None, output
    assert said[1] == said[2] == str(sum(map(len, project.blocks("--forceall").values())))
    assert counts(output, "finetune") == "3/3"
    assert "Running" not in output
    assert "left" not in output


def test_what_is_to_be_made_is_counted(unfinished: Project) -> None:
    output = status(unfinished)
    assert counts(output, "finetune") == "2/3 1"
    assert counts(output, "evaluate") == "1/2 1"
    assert "to do" in output
    assert "stopped" not in output
    assert re.search(r"^Time left: about [\d.]+ (?:s|min) with one job at a time", output, re.MULTILINE), output


def test_a_training_under_snakemake(unfinished: Project) -> None:
    files = {file: file.stat().st_mtime_ns for file in unfinished.folder.rglob("*.parquet")}
    snakemake = unfinished.start(*unfinished.snakemake_command("--cores", "1", f"{RUN}/model.safetensors"))
    with stopped_after_an_epoch(snakemake, unfinished.path(LOG)):
        output = status(unfinished)
        assert re.search(
            rf"^Snakemake is at work here \(.* on .*, process {snakemake.pid}, last sign", output, re.MULTILINE
        )
        assert re.search(rf"^  finetune  {RUN}/history\.parquet: epoch 1/2, loss .* s left$", output, re.MULTILINE)
        assert counts(output, "finetune") == "2/3 1"
    output = status(unfinished)
    assert "No Snakemake is at work here" in output
    stopped = output.partition("Stopped")[2]
    assert f"{RUN}/history.parquet" in stopped
    assert "epoch 1/2" in stopped  # the last lines of its log
    assert LOG in stopped
    assert all(file.stat().st_mtime_ns == before for file, before in files.items())


def test_a_training_by_hand(unfinished: Project) -> None:
    log = unfinished.path(LOG)
    log.parent.mkdir(parents=True, exist_ok=True)
    training = unfinished.start("finecal", "finetune", RUN, "--device", "cpu", log=log)
    with stopped_after_an_epoch(training, log):
        output = status(unfinished)
        assert "No Snakemake is at work here" in output
        assert "Running:\n" in output
        assert "epoch 1/2" in output
    assert "Stopped" in status(unfinished)


def test_a_failed_job_with_its_reason(unfinished: Project) -> None:
    with unfinished.study() as study:
        study["training"] = {**TINY["training"], "lr": 1e30, "warmup_steps": 0}
    unfinished.snakemake("--cores", "1", f"{RUN}/model.safetensors", status=None)
    stopped = status(unfinished).partition("Stopped")[2]
    assert f"finetune  {RUN}/history.parquet" in stopped
    assert "finecal: " in stopped
    assert "the loss of step" in stopped


def test_files_of_jobs_are_those_of_the_rules(empty: Project) -> None:
    """The files by which jobs are known are those that Snakemake plans, and so are those that are looked at before."""
    blocks = empty.blocks()
    planned = {output: job for found in blocks.values() for job in found for output in job["output"]}
    script = """
from finecal.plan.job_files import inputs_of, outputs_of
from finecal.plan.jobs import jobs
from finecal.plan.plan import Plan

plan = Plan(["tiny.yaml"])
for job in jobs(plan):
    where = {name: str(value) for name, value in job.wildcards.items()}
    print(job.stage, job.result, job.log, *inputs_of(job.record, where, plan), "/", *outputs_of(job.record, where))
"""
    lines = [line.split() for line in empty.run("python", "-c", script).splitlines()]
    for stage, result, log, *files in lines:
        job, place = planned[result], files.index("/")
        inputs, outputs = files[:place], {file for file in files[place + 1 :] if not file.startswith("state/")}
        assert job["log"] == [log]
        assert outputs == {*job["output"]}
        assert {*inputs} <= {*job.get("input", [])}
        if STAGES[stage].torch:
            assert {*inputs} == {*job["input"]}
    assert len(lines) == sum(map(len, blocks.values()))
    # Of other studies, or asked for.
    others = {"download", "frame", "class_means", "decision_regions", "run_table", "export"}
    assert {stage for stage, *_ in lines} == STAGES.keys() - others
