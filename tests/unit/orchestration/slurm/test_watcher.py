"""What Snakemake learns of its jobs from SLURM's answers and members' files, and what is cancelled at its end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from slurm_jobs import submitted
from snakemake_executor_plugin_slurm import Executor as OfPlugin
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.orchestration.slurm import asking, markers, watcher


def poll(executor: Any, *infos: SubmittedJobInfo, asks: bool | None = True) -> list[str]:
    """The jobs that are said to go on, when it is time to ask SLURM or not (None: as it is)."""
    if asks is not None:
        executor._due = 0.0 if asks else float("inf")

    async def all_of_them() -> list[str]:
        return [info.job.name async for info in executor.check_active_jobs(list(infos))]

    return asyncio.run(all_of_them())


def test_a_question_without_an_answer_loses_no_job(executor: Any) -> None:
    infos = [submitted(executor, "a", "1"), submitted(executor, "b", "2")]
    executor.answers = [None, {"1": "COMPLETED", "2": "RUNNING"}]
    assert poll(executor, *infos) == ["a", "b"]
    assert executor.told == {}
    assert poll(executor, *infos) == ["b"]
    assert executor.told == {"a": ""}


def test_how_soon_slurm_is_asked_again(executor: Any) -> None:
    info, other = submitted(executor, "a", "1"), submitted(executor, "b", "2")
    executor.answers = [{"1": "RUNNING", "2": "RUNNING"}] * 2 + [{"1": "RUNNING", "2": "COMPLETED"}]
    executor._interval = 100
    poll(executor, info, other)
    assert executor._interval == 110
    executor._longest_interval = 30  # MinJobAge=60
    poll(executor, info, other)
    assert executor._interval == 30
    poll(executor, info, other)
    assert executor._interval == 20
    assert poll(executor) == []
    assert executor.asked == ["squeue"] * 3
    poll(executor, info, asks=False)  # the first question about others
    assert executor._interval == 20
    assert 19 < executor._due - time.monotonic() <= 20
    assert executor.asked == ["squeue"] * 3


def test_a_forgotten_job(executor: Any) -> None:
    """squeue says nothing of what ended while Snakemake was suspended, but neither of jobs on another cluster."""
    info = submitted(executor, "a")
    executor.answers = [{}] * 6
    executor._submitted_job_clusters = {"other"}
    assert [poll(executor, info) for _ in range(4)] == [["a"]] * 4
    executor._submitted_job_clusters = set()
    assert [poll(executor, info) for _ in range(2)] == [["a"], []]
    assert "SLURM status is: 'FORGOTTEN'" in executor.told["a"]


def test_preempted_for_good(executor: Any) -> None:
    info = submitted(executor, "a")
    executor.answers = [{"1": "PREEMPTED"}, {"1": "PREEMPTED"}]
    assert poll(executor, info) == ["a"]
    assert poll(executor, info) == []
    assert "SLURM status is: 'PREEMPTED'" in executor.told["a"]


def test_where_a_job_failed(executor: Any) -> None:
    """One question for all of them; a node that failed gets no other job."""
    infos = [submitted(executor, name, number) for number, name in (("1", "late"), ("2", "lost"), ("3", "unknown"))]
    failed = {"1": "TIMEOUT", "2": "NODE_FAIL", "3": "FAILED"}
    executor.answers = [failed, {"2": "NODE_FAIL"}]
    executor.places = {"1": "node1 (TimeLimit)", "2": "node2 (NodeDown)", "3": "node3 (None)"}
    assert poll(executor, *infos) == ["lost"]
    assert executor._failed_nodes == set()  # SLURM may start the job again
    assert poll(executor, infos[1]) == []
    assert executor.told["late"].startswith("SLURM-job '1' failed on node1 (TimeLimit), SLURM status is: 'TIMEOUT'. ")
    assert executor.told["unknown"].startswith("SLURM-job '3' failed on node3, SLURM status is: 'FAILED'. ")
    assert executor._failed_nodes == {"node2"}


def test_accounting_learns_late_that_a_job_is_in_the_queue_again(executor: Any) -> None:
    executor._command, executor._reasons_due = "sacct", float("inf")
    info = submitted(executor, "a")
    preempted, waiting = {"1": "PREEMPTED"}, {"1": "PENDING"}
    executor.answers = [preempted, waiting] * 3 + [preempted, None] + [preempted, {}] * 2
    assert [poll(executor, info) for _ in range(6)] == [["a"]] * 5 + [[]]
    assert executor.asked == ["sacct", "squeue"] * 6


def member(executor: Any, name: str = "a", status: int | None = None) -> tuple[SubmittedJobInfo, Path]:
    script = Path("shared") / f"{name}.sh"
    script.parent.mkdir(exist_ok=True)
    if status is not None:
        markers.status_file(script).write_text(str(status))
    info = submitted(executor, name, **{watcher.SCRIPT: script})
    executor.shared_jobs.add("1", {info.job: script}, {})
    return info, script


def test_members_are_told_of_by_their_status(executor: Any) -> None:
    infos = [member(executor, "good", 0)[0], member(executor, "bad", 3)[0], member(executor, "working")[0]]
    executor.answers = [{"1": "TIMEOUT"}]
    assert poll(executor, *infos, asks=False) == ["working"]
    assert executor.asked == []
    assert executor.told["good"] == ""
    assert executor.told["bad"].startswith("Exit status 3 in SLURM job 1. ")
    assert poll(executor, infos[2]) == []
    assert "TIMEOUT" in executor.told["working"]


def test_a_member_that_fails_while_slurm_is_asked(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status is written after it was looked for; SLURM says that the job as a whole was completed."""
    info, script = member(executor)

    async def query(*_: object) -> tuple[dict[str, str], float]:
        markers.status_file(script).write_text("1")
        return {"1": "COMPLETED"}, 0.0

    monkeypatch.setattr(asking, "query_job_status", query)
    assert poll(executor, info) == []
    assert executor.told["a"].startswith("Exit status 1 in SLURM job 1. ")


def test_a_status_that_a_slow_network_shows_later(executor: Any) -> None:
    info, script = member(executor)
    executor.answers = [{"1": "COMPLETED"}] * 3
    assert poll(executor, info) == ["a"]
    markers.status_file(script).write_text("0")
    assert poll(executor, info) == []
    assert executor.told == {"a": ""}
    assert not script.parent.exists()


def test_a_member_that_never_left_a_status(executor: Any) -> None:
    info, _ = member(executor)
    executor.answers = [{"1": "COMPLETED"}] * 2
    assert [poll(executor, info) for _ in range(2)] == [["a"], []]
    assert "left no exit status of this member" in executor.told["a"]


def test_only_a_failed_job_without_a_log_says_that_the_folder_is_not_seen(
    executor: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OfPlugin, "shutdown", lambda _: None)
    cancelled, failed = submitted(executor, "a", "1"), submitted(executor, "b", "2")
    Path("2.log").touch()
    executor.answers = [{"1": "CANCELLED", "2": "FAILED"}]
    poll(executor, cancelled, failed)
    executor.shutdown()  # nor after a refused sbatch, or a failure on this machine
    assert capsys.readouterr().err == ""
    executor._stopping.clear()
    failed = submitted(executor, "c", "3")
    executor.answers = [{"3": "FAILED"}]
    poll(executor, failed)
    executor.shutdown()
    assert "compute nodes do not see the working directory. A job that failed" in capsys.readouterr().err
    executor.shutdown()
    assert capsys.readouterr().err == ""


def test_the_end_cancels_all_that_live(executor: Any, cancelled: list[str]) -> None:
    infos = [submitted(executor, "a", "1"), submitted(executor, "b", "2"), submitted(executor, "c", "2")]
    executor.report_job_success(infos[0])
    executor.cancel()
    assert cancelled == ["2"]


def test_an_error_of_scancel_is_said(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise WorkflowError("Unable to cancel jobs")

    monkeypatch.setattr(OfPlugin, "cancel_jobs", refuse)
    said: list[str] = []
    executor.logger.warning = said.append
    submitted(executor, "a", "7")
    executor.cancel_jobs([])
    assert "squeue --me" in said[0]
    assert "7" in said[0]


def test_a_job_that_never_starts_is_cancelled_and_not_tried_again(executor: Any, cancelled: list[str]) -> None:
    """After two answers that say so. One that is held waits, which is said once."""
    stuck, held = submitted(executor, "stuck", "1"), submitted(executor, "held", "2")
    answer = {"1": "PENDING QOSMaxWallDurationPerJobLimit N/A", "2": "PENDING JobHeldUser 2030-01-01T00:00:00"}
    executor.answers = [answer] * 2
    assert poll(executor, stuck, held) == ["stuck", "held"]
    assert cancelled == []
    assert poll(executor, stuck, held) == ["held"]
    assert cancelled == ["1"]
    assert "would never start it (QOSMaxWallDurationPerJobLimit)" in executor.told["stuck"]
    assert "stuck:runtime=" in executor.told["stuck"]
    assert stuck.job.attempt > stuck.job.restart_times
    (warning,) = executor.warned
    assert "scontrol release 2" in warning
    assert "expects it to start at 2030-01-01T00:00:00" in warning
    assert executor.asked == ["squeue"] * 2  # one question for states and reasons


def test_where_sacct_tells_of_states_reasons_are_asked_for_more_rarely(executor: Any) -> None:
    held = submitted(executor, "held", "2")
    executor._command, executor.reasons = "sacct", {"2": "PENDING (Nodes required are down) N/A"}
    executor.answers = [{"2": "PENDING"}] * 4
    for _ in range(4):
        assert poll(executor, held) == ["held"]
    assert executor.asked == ["sacct", "squeue", "sacct", "sacct", "sacct"]


def test_slurm_is_asked_when_a_launcher_has_ended_early(executor: Any, tmp_path: Path) -> None:
    """Once; of a member that has left a status it is not asked."""
    folder = tmp_path / "shared"
    folder.mkdir()
    info = submitted(executor, "a", "1", member_script=folder / "0.sh")
    executor._due = now = time.monotonic() + 100
    assert poll(executor, info, asks=None) == ["a"]
    assert executor._due == now
    markers.left_file(folder).touch()
    assert poll(executor, info, asks=None) == ["a"]
    assert executor._due < now - 90
    executor._due = now
    assert poll(executor, info, asks=None) == ["a"]
    assert executor._due == now
    markers.write_status(folder / "0.sh", 0)
    assert poll(executor, info, asks=None) == []
    assert not executor._has_one_ended


def test_a_failure_is_told_with_the_end_of_the_log_of_slurm(executor: Any) -> None:
    failed = submitted(executor, "a", "1")
    Path("1.log").write_text("slurmstepd: error: Step 1.0 exceeded memory limit (5 > 3), being killed\n")
    executor.answers = [{"1": "FAILED"}]
    poll(executor, failed)
    assert "exceeded memory limit (5 > 3), being killed" in executor.told["a"]
    assert "Asked for: 100 MB, 5 min." in executor.told["a"]
    assert "a:mem_mb=" in executor.told["a"]
