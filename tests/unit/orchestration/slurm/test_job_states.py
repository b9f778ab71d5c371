"""What SLURM's answers say of jobs."""

from __future__ import annotations

import pytest

from finecal.orchestration.slurm import job_states
from finecal.orchestration.slurm.job_states import COMPLETED, GOES_ON, GONE, Answers


def outcomes(*answers: dict[str, str], names_all: bool) -> list[str]:
    read = Answers(names_all=names_all)
    return [read.outcome("1", states) for states in answers]


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED"])
def test_these_go_on(state: str) -> None:
    assert outcomes({"1": state}, {"1": state}, {"1": state}, names_all=True) == [GOES_ON] * 3


def test_states_as_sacct_writes_them() -> None:
    assert outcomes({"1": "CANCELLED by 1000"}, names_all=False) == ["CANCELLED"]
    assert outcomes({"1": "TIMEOUT"}, {"1": "COMPLETED"}, names_all=False) == ["TIMEOUT", COMPLETED]


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL"])
def test_a_job_that_slurm_does_not_start_again(state: str) -> None:
    """PreemptMode=CANCEL ends it for good; with REQUEUE it is soon in the queue again."""
    assert outcomes({"1": state}, {"1": state}, names_all=True) == [GOES_ON, state]
    assert outcomes({"1": state}, {"1": "PENDING"}, {"1": state}, names_all=True) == [GOES_ON] * 3


def test_a_job_that_squeue_has_forgotten() -> None:
    assert outcomes({"1": "RUNNING"}, {}, {}, names_all=True) == [GOES_ON, GOES_ON, GONE]
    assert outcomes({}, {}, {}, names_all=False) == [GOES_ON] * 3  # accounting may know it only later


def test_a_task_of_an_array() -> None:
    assert Answers(names_all=True).outcome("7_2", {"7": "FAILED"}) == "FAILED"


@pytest.mark.parametrize(
    ("command", "age", "seconds"),
    [("squeue", age, seconds) for age, seconds in ((300, 150), (60, 30), (2, 5), (0, 180), (None, 180))]
    + [("sacct", 2, 180)],
)
def test_squeue_is_asked_before_it_forgets(command: str, age: int | None, seconds: int) -> None:
    assert job_states.longest_interval(command, age) == seconds
