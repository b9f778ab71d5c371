"""What becomes of jobs while SLURM takes no more of them."""

from __future__ import annotations

from typing import Any

import pytest
from slurm_jobs import job, submitted

from finecal.orchestration.slurm import submitting

FULL = "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates policy"


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(submitting.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def again(executor: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that were submitted again."""
    found: list[Any] = []
    monkeypatch.setattr(submitting.SubmittingExecutor, "submit_again", lambda _, jobs: found.extend(jobs))
    monkeypatch.setattr(type(executor), "submit_again", lambda _, jobs: found.extend(jobs))
    return found


def test_a_refused_job_waits_until_another_ends(executor: Any, time: list[float], again: list[Any]) -> None:
    other, first, second = submitted(executor, "other"), job(), job()
    executor.report_refused(first, FULL)
    assert executor.hold_if_full([second])  # without asking SLURM
    assert executor.told == {}
    time[0] += 1
    executor.release_held()
    assert again == []
    executor.report_job_success(other)
    time[0] += submitting.FIRST_WAIT
    executor.release_held()
    assert again == [first, second]
    assert not executor.hold_if_full([first])
    executor.report_refused(first, FULL)
    assert len(executor.warned) == 1  # it is said once
    assert "AssocMaxSubmitJobLimit" in executor.warned[0]


def test_it_is_tried_again_though_nothing_ends(executor: Any, time: list[float], again: list[Any]) -> None:
    """The limit may be that of a group. More and more rarely, but at least once a minute."""
    waits = []
    for _ in range(6):
        begin = time[0]
        executor.report_refused(job(), FULL)
        while executor._held:
            time[0] += 1
            executor.release_held()
        waits.append(time[0] - begin)
    assert waits == [5, 10, 20, 40, 60, 60]


def test_no_more_are_submitted_than_there_may_be(executor: Any, time: list[float]) -> None:
    executor._most_jobs = 2
    submitted(executor, "a", "1")
    submitted(executor, "b", "1")  # in the same SLURM job
    assert not executor.hold_if_full([job()])
    submitted(executor, "c", "2")
    assert executor.hold_if_full([job()])


def test_the_end_forgets_what_was_held(executor: Any, cancelled: list[str], again: list[Any]) -> None:
    executor.hold([job()], FULL)
    executor.cancel()
    executor.release_held()
    assert again == cancelled == []
