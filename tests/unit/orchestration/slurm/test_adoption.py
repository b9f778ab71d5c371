"""A main process is killed, and the next one goes on with its SLURM jobs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from test_chain import Study, launch, look, study, submitted  # noqa: F401 - fixtures

from finecal.orchestration.slurm import markers, recovery
from finecal.orchestration.slurm.adoption import find_left
from finecal.orchestration.slurm.shared_jobs import SharedJobs


def living(folders: list[Path]) -> dict[Path, tuple[str, str]]:
    """All SLURM jobs of a killed main process wait or run."""
    return {folder: (str(number), "before") for number, folder in enumerate(folders, 1)}


def start_again(executor: Any, again: Study, queue: dict[Path, tuple[str, str]]) -> list[str]:
    """As after a death: all that was known is gone. Return the numbers of those that are followed from now on."""
    executor.shared_jobs, executor._collected, executor._left = SharedJobs(keep=False), {}, {}
    executor._alive.clear()
    executor.told.clear()
    recovery._left[:] = find_left(again.dag.dependencies, executor.slurm_logdir, queue)
    return sorted(left.number for left in recovery._left if left.number)


@pytest.fixture
def folders(executor: Any, study: Study, submitted: list[Path]) -> list[Path]:  # noqa: F811
    """Those of two trainings' SLURM jobs, which were submitted by a main process that was killed then."""
    executor.submit_packs(study.tuned)
    return submitted


def test_they_are_followed_where_they_wait_and_run(executor: Any, folders: list[Path]) -> None:
    again = Study()
    assert start_again(executor, again, living(folders)) == ["1", "2"]
    executor.run_jobs(again.tuned)
    assert {info.external_jobid for info in executor._alive.values()} == {"1", "2"}
    assert executor.run_names == "run,before"
    launch(folders[0], 1)
    launch(folders[1], 2)
    look(executor)
    for jobs in (again.logits, [again.scores]):
        executor.run_jobs(jobs)
    assert executor.told == dict.fromkeys([*again.tuned, *again.logits, again.scores], "succeeded")
    assert list(executor._collected) == []  # nothing was submitted
    assert not any(folder.exists() for folder in folders)


def test_what_has_ended_meanwhile_counts(executor: Any, folders: list[Path]) -> None:
    launch(folders[0], 1)
    again = Study()
    assert start_again(executor, again, {}) == []
    executor.run_jobs(again.tuned)
    assert executor.told == {again.tuned[0]: "succeeded"}
    assert list(executor._collected) == again.tuned[1:]  # it is not in the queue


def test_other_options_are_other_jobs(executor: Any, folders: list[Path]) -> None:
    again = Study()
    again.tuned[0].params = [2]
    assert start_again(executor, again, living(folders)) == ["2"]
    executor.run_jobs(again.tuned)
    assert list(executor._collected) == again.tuned[:1]
    assert not (folders[0] / "0000.job").exists()  # so at no later start it counts as a result


def test_inputs_that_were_made_again(executor: Any, folders: list[Path]) -> None:
    again = Study()
    for one in again.tuned:
        one.input = []
    (folders[0] / "0000.job").write_text(
        (folders[0] / "0000.job").read_text().replace('"inputs": []', '"inputs": ["a"]')
    )
    again.tuned[0].input = ["a"]
    Path("a").touch()
    os.utime(folders[0] / "0000.job", (1, 1))
    assert start_again(executor, again, living(folders)) == ["2"]


def test_what_is_not_wanted_is_shut_out_or_cancelled(executor: Any, folders: list[Path]) -> None:
    again = Study()
    for one in (*again.logits, again.scores):
        del again.dag.dependencies[one]
    assert start_again(executor, again, living(folders)) == ["1", "2"]
    assert markers.taken_by(folders[0] / "0001.sh") == "snakemake"
    del again.dag.dependencies[again.tuned[1]]
    executor.shared_jobs.add("1", {again.tuned[0]: folders[0] / "0000.sh"}, {})
    assert start_again(executor, again, living(folders)) == ["1"]


def test_an_end_in_order_leaves_nothing(executor: Any, folders: list[Path], cancelled: list[str]) -> None:
    executor.cancel()
    assert sorted(cancelled) == ["1", "2"]
    assert start_again(executor, Study(), living(folders)) == []
