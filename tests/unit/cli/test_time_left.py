"""The time left: jobs are compared with jobs alike, and what is not known is not left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from finecal.cli.time_left import time_left
from finecal.plan.jobs import Job


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def job(
    stage: str, dataset: str, seed: int, seconds: float | None = None, backbone: str = "net", log: str | None = None
) -> Job:
    """A job; with seconds one that is done and took so long, with a log one that runs."""
    coordinates = {
        "dataset": dataset,
        "task": "a-b",
        "backbone": backbone,
        "recipe": "full",
        "split": "half",
        "seed": seed,
    }
    made = Job(stage, coordinates)
    if seconds is not None and made.measurement is not None:
        names = ("s", "h:m:s", "max_rss", "max_uss", "cpu_time")
        _write(made.measurement, "\t".join(names) + f"\n{seconds}\t0:00:00\t1.0\t1.0\t1.0\n")
    if log is not None:
        _write(made.log, log)
    return made


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_jobs_are_compared_with_those_of_their_data_set_and_model() -> None:
    done = [job("finetune", "digits", n, 2) for n in range(9)] + [job("finetune", "imagenet", 0, 3600)]
    left = [job("finetune", "digits", 10), job("finetune", "imagenet", 1)]
    assert time_left(done, left[:1], []) == (
        "Time left: about 2.0 s with one job at a time, and seconds for each job not measured."
    )
    assert time_left(done, left, []).startswith("Time left: about 1.0 h with one job at a time")
    other = [job("finetune", "imagenet", 1, backbone="large")]
    mean = (9 * 2 + 3600) / 10  # nothing alike is done: the mean of the stage
    assert time_left(done, other, []).startswith(f"Time left: about {mean / 60:.1f} min ")


def test_a_stage_without_a_finished_job_does_not_hide_the_others() -> None:
    done = [job("finetune", "digits", 0, 20)]
    left = [
        job("finetune", "digits", 1),
        job("extract_pretrained", "digits", 0),
        job("extract_pretrained", "digits", 1),
    ]
    assert time_left(done, left, []) == (
        "Time left: at least 20 s with one job at a time; not counted: 2 of extract pretrained (jobs, the first of "
        "their stages)."
    )
    assert time_left(done, left[:2], []).endswith("not counted: 1 of extract pretrained (job, the first of its stage).")
    assert time_left([], left, []) == "Time left: not known before a job of extract pretrained, finetune is done."


def test_what_was_not_measured_is_not_averaged() -> None:
    done = [job("finetune", "digits", 0), job("finetune", "imagenet", 0, 30)]  # that of the digits has no measurement
    assert time_left(done, [job("finetune", "digits", 1)], []).startswith("Time left: about 30 s ")


def test_a_running_training_says_itself() -> None:
    said = "epoch 1/3  loss 1.0000  5 images/s  300 s left\n"
    running = [job("finetune", "digits", n, log=said) for n in range(2)]
    waiting = job("finetune", "digits", 2, log=said)  # of an earlier try
    done = [job("finetune", "digits", 3, 100)]
    assert time_left(done, [*running, waiting], running) == (
        "Time left: about 5.8 min with 2 jobs at a time, and seconds for each job not measured."
    )


def test_jobs_that_are_not_measured_take_seconds() -> None:
    left = [job("report", "digits", 0)]
    assert time_left([], left, []) == "What is left takes seconds per job."
