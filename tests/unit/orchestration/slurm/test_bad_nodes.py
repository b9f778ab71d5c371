"""Whose failure a fast one is: that of the job or of its node."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm_jobs import Job, submitted

from finecal.orchestration.slurm import bad_nodes, limits, markers
from finecal.orchestration.slurm.bad_nodes import Nodes, have_all_failed, node_file
from finecal.orchestration.slurm.outcomes import EXPLAINED, NO_GPU, ReportingExecutor
from finecal.runtime import signals


def test_a_node_on_which_several_jobs_fail_gets_no_more() -> None:
    nodes = Nodes()
    assert nodes.blame("a", "n1", has_begun=True)
    assert (nodes.bad, nodes.left_by(["a", "b"])) == (set(), {"n1"})
    assert nodes.blame("b", "n1", has_begun=True)
    assert nodes.bad == {"n1"}


def test_a_job_that_fails_elsewhere_too_has_itself_failed() -> None:
    nodes = Nodes()
    for job in ("a", "b"):
        assert nodes.blame(job, "n1", has_begun=True)
    assert not nodes.blame("a", "n2", has_begun=True)
    assert nodes.bad == set()


def test_a_node_on_which_others_do_well_is_not_to_blame() -> None:
    nodes = Nodes()
    nodes.praise("n1")
    assert not nodes.blame("a", "n1", has_begun=True)
    assert nodes.bad == set()


def test_where_a_job_cannot_begin_no_other_is_sent() -> None:
    """Not for ever: the folder may be seen by no node."""
    nodes = Nodes()
    assert nodes.blame("a", "n1", has_begun=False)
    assert nodes.bad == {"n1"}
    assert [nodes.blame("a", node, has_begun=False) for node in ("n2", "n3", "n4")] == [True, True, False]
    nodes.forgive()
    assert nodes.bad == nodes.left_by(["a"]) == set()


@pytest.mark.parametrize(
    ("statuses", "age", "failed"),
    [((1, 2), 0, True), ((1, 0), 0, False), ((1, None), 0, None), ((1, None), 100, False), ((0, None), 0, False)],
)
def test_what_the_members_of_a_slurm_job_tell(
    tmp_path: Path, statuses: tuple[int | None, ...], age: float, failed: bool | None
) -> None:
    """One that has succeeded clears the node; the last of them are waited for, but not for long."""
    node_file(tmp_path).write_text("n1")
    begin = node_file(tmp_path).stat().st_mtime - age
    os.utime(node_file(tmp_path), (begin, begin))
    for place, status in enumerate(statuses):
        script = tmp_path / f"{place}.sh"
        script.touch()
        if status is not None:
            markers.write_status(script, status)
    markers.write_needs(tmp_path / "9.sh", [])
    (tmp_path / "9.sh").touch()  # a follower waits, and does not count
    assert have_all_failed(tmp_path) is failed


class Watched:
    """Jobs on nodes, as the executor of conftest.py sees them."""

    def __init__(self, executor: Any, folder: Path, again: list[str]) -> None:
        self.executor, self.folder, self.again = executor, folder, again

    def run(self, name: str, node: str | None, status: int | None) -> Any:
        """Submit a job and let it end: on a node with a status, or, if it could not begin, as SLURM says."""
        folder = self.folder / f"{name}-{node}-{status}"
        folder.mkdir(exist_ok=True)
        script = folder / "0000.sh"
        script.touch()
        info = submitted(self.executor, name, "7", member_script=script)
        info.aux["slurm_logfile"] = script.with_suffix(".log")
        if node is not None:
            node_file(folder).write_text(node)
        if status is None:
            self.executor.answers, self.executor.places = [{"7": "FAILED"}], {"7": "n1 (NonZeroExitCode) after 0:01"}
        else:
            markers.write_status(script, status)
        self.executor._due = 0.0

        async def poll() -> None:
            async for _ in self.executor.check_active_jobs([info]):
                pass

        asyncio.run(poll())
        return info.job


@pytest.fixture
def watched(executor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    again: list[str] = []
    for kind in (type(executor), ReportingExecutor):
        monkeypatch.setattr(kind, "submit_again", lambda _, jobs: again.extend(job.name for job in jobs))
    monkeypatch.setattr(limits, "nodes_at_work", lambda _: {"n1", "n2"})
    return Watched(executor, tmp_path, again)


def on_the_node(watched: Watched) -> None:
    for name in ("a", "b"):
        watched.run(name, "n1", 1)


def before_it_began(watched: Watched) -> None:
    for name in ("a", "b"):
        watched.run(name, None, None)


@pytest.mark.parametrize("fail", [on_the_node, before_it_began])
def test_a_bad_node_spends_no_try(watched: Watched, fail: Callable[[Watched], None]) -> None:
    fail(watched)
    assert watched.again == ["a", "b"]
    assert watched.executor.told == {}
    assert watched.executor.failed_nodes == {"n1"}
    assert any("n1" in warning and "log: " in warning for warning in watched.executor.warned)


def test_a_job_that_fails_on_two_nodes_is_told_of(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    job = watched.run("a", "n1", 1)
    monkeypatch.setattr("slurm_jobs.Job", lambda **_: job)  # it is Snakemake's same job again
    job.log_error = lambda message, **_: watched.executor.told.update(a=message)
    watched.run("a", "n2", 1)
    assert watched.again == ["a"]
    assert "Exit status 1" in watched.executor.told["a"]


@pytest.mark.parametrize("status", [137, -9])
def test_a_signal_is_no_sign_of_a_bad_node(watched: Watched, status: int) -> None:
    watched.run("a", "n1", status)
    assert (watched.again, list(watched.executor.told)) == ([], ["a"])


def test_too_little_memory_to_begin_is_no_sign_of_a_bad_node(watched: Watched) -> None:
    (watched.folder / "a-None-None").mkdir()
    (watched.folder / "a-None-None/7.log").write_text("slurmstepd: error: exceeded memory limit (5 > 3)\n")
    watched.run("a", None, None)
    assert (watched.again, list(watched.executor.told)) == ([], ["a"])


@pytest.mark.parametrize(("said", "again"), [("device is 'cuda', but " + NO_GPU, ["a"]), ("unknown recipe", [])])
def test_what_finecal_explains_is_not_of_the_node_unless_it_has_no_gpu(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, said: str, again: list[str]
) -> None:
    log = watched.folder / "a.log"
    log.write_text(f"finecal: {said}.\n")
    monkeypatch.setattr("slurm_jobs.Job", lambda **values: Job(**values, log=[str(log)]))
    watched.run("a", "n1", EXPLAINED)
    assert watched.again == again


def test_the_message_is_that_of_the_job() -> None:
    assert NO_GPU in Path(signals.__file__).with_name("device.py").read_text("utf-8")


def test_where_there_is_no_other_node_a_failure_counts(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "nodes_at_work", lambda _: {"n1"})
    watched.run("a", "n1", 1)
    assert (watched.again, list(watched.executor.told)) == ([], ["a"])


def test_long_runs_are_the_jobs_own(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finecal.orchestration.slurm.outcomes.seconds_to_end", lambda *_: bad_nodes.FAST + 1)
    watched.run("a", "n1", 1)
    assert (watched.again, list(watched.executor.told)) == ([], ["a"])
