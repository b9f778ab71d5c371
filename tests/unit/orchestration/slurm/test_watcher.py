"""What Snakemake learns of its jobs from SLURM's answers, and what is cancelled at its end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_slurm import Executor as OfPlugin
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from finecal.orchestration.slurm import cluster, job_states, launcher, watcher
from finecal.orchestration.slurm import executor as slurm_executor
from finecal.orchestration.slurm.job_states import COMPLETED, GOES_ON, GONE, Answers


def outcomes(*answers: dict[str, str], names_all: bool) -> list[str]:
    told = Answers(names_all=names_all)
    return [told.outcome("1", states) for states in answers]


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


class Limiter:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An executor without a Snakemake; `told` is what it says of its jobs, `answers` and `places` what SLURM says."""
    made = object.__new__(slurm_executor.Executor)
    made.told, made.answers, made.asked, made.places = {}, [], [], {}
    settings = {"init_seconds_before_status_checks": 20, "keep_successful_logs": False, "requeue": True}
    scheduler = SimpleNamespace(
        finish_callback=lambda job: made.told.update({job.name: ""}), error_callback=lambda _: None
    )
    made.workflow = SimpleNamespace(
        executor_settings=SimpleNamespace(**settings), scheduler=scheduler,
        remote_execution_settings=SimpleNamespace(seconds_between_status_checks=10),
    )  # fmt: skip
    made.logger = SimpleNamespace(warning=lambda _: None, info=lambda _: None)
    made.status_rate_limiter, made.run_uuid = Limiter(), "run"
    made._next_seconds_between_status_checks = 100
    made._stopping, made._alive, made._unfinished = Event(), {}, slurm_executor.Counter()
    made._collected, made._collecting = [], nullcontext()
    made._job_submission_executor = ThreadPoolExecutor(1)
    made._main_event_loop, made._submitted_job_clusters = None, set()
    made._command, made._longest_interval = "squeue", 180
    made._answers, made._failed_nodes = Answers(names_all=False), set()

    async def query(command: str, _: object) -> tuple[dict[str, str] | None, float]:
        if "--jobs=" in command:
            return made.places, 0.0
        made.asked.append(command.split()[0])
        return made.answers.pop(0), 0.0

    monkeypatch.setattr(watcher, "query_job_status", query)
    monkeypatch.setattr(RemoteExecutor, "report_job_submission", lambda *_: None)
    monkeypatch.setattr(cluster, "_logs_of_failed", [])
    monkeypatch.chdir(tmp_path)
    return made


def submitted(executor: Any, name: str, number: str = "1", **notes: Any) -> SubmittedJobInfo:
    job = SimpleNamespace(name=name, log_error=lambda message, **_: executor.told.update({name: message}))
    info = SubmittedJobInfo(job, external_jobid=number, aux={"slurm_logfile": Path(f"{number}.log"), **notes})
    executor._report_job_submission_threadsafe(info)
    return info


def poll(executor: Any, *infos: SubmittedJobInfo) -> list[str]:
    """The jobs that are said to go on."""

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
    poll(executor, info, other)
    assert executor.next_seconds_between_status_checks == 110
    executor._longest_interval = 30  # MinJobAge=60
    poll(executor, info, other)
    assert executor.next_seconds_between_status_checks == 30
    poll(executor, info, other)
    assert executor.next_seconds_between_status_checks == 20
    assert poll(executor) == []
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
    executor._command = "sacct"
    info = submitted(executor, "a")
    preempted, waiting = {"1": "PREEMPTED"}, {"1": "PENDING"}
    executor.answers = [preempted, waiting] * 3 + [preempted, None] + [preempted, {}] * 2
    assert [poll(executor, info) for _ in range(6)] == [["a"]] * 5 + [[]]
    assert executor.asked == ["sacct", "squeue"] * 6


def member(executor: Any, name: str = "a", status: int | None = None) -> tuple[SubmittedJobInfo, Path]:
    script = Path("shared") / f"{name}.sh"
    script.parent.mkdir(exist_ok=True)
    executor._unfinished[script.parent] += 1
    if status is not None:
        launcher.status_file(script).write_text(str(status))
    return submitted(executor, name, **{watcher.SCRIPT: script}), script


def test_members_are_told_of_by_their_status(executor: Any) -> None:
    infos = [member(executor, "good", 0)[0], member(executor, "bad", 3)[0], member(executor, "working")[0]]
    executor.answers = [{"1": "RUNNING"}, {"1": "TIMEOUT"}]
    assert poll(executor, *infos) == ["working"]
    assert executor.told["good"] == ""
    assert executor.told["bad"].startswith("Exit status 3 in SLURM job 1. ")
    assert poll(executor, infos[2]) == []
    assert "TIMEOUT" in executor.told["working"]


def test_a_member_that_fails_while_slurm_is_asked(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status is written after it was looked for; SLURM says that the job as a whole was completed."""
    info, script = member(executor)

    async def query(*_: object) -> tuple[dict[str, str], float]:
        launcher.status_file(script).write_text("1")
        return {"1": "COMPLETED"}, 0.0

    monkeypatch.setattr(watcher, "query_job_status", query)
    assert poll(executor, info) == []
    assert executor.told["a"].startswith("Exit status 1 in SLURM job 1. ")


def test_a_status_that_a_slow_network_shows_later(executor: Any) -> None:
    info, script = member(executor)
    executor.answers = [{"1": "COMPLETED"}] * 3
    assert poll(executor, info) == ["a"]
    launcher.status_file(script).write_text("0")
    assert poll(executor, info) == []
    assert executor.told == {"a": ""}
    assert not script.parent.exists()


def test_a_member_that_never_left_a_status(executor: Any) -> None:
    info, _ = member(executor)
    executor.answers = [{"1": "COMPLETED"}] * 2
    assert [poll(executor, info) for _ in range(2)] == [["a"], []]
    assert "left no exit status of this member" in executor.told["a"]


def test_only_a_failed_job_without_a_log_says_that_the_folder_is_not_seen(
    executor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cancelled, failed = submitted(executor, "a", "1"), submitted(executor, "b", "2")
    Path("2.log").touch()
    executor.answers = [{"1": "CANCELLED", "2": "FAILED"}]
    poll(executor, cancelled, failed)
    cluster.explain_failure()  # nor after a refused sbatch, or a failure on this machine
    assert capsys.readouterr().err == ""
    Path("2.log").unlink()
    cluster.explain_failure()
    assert "compute nodes do not see the working directory. A job that failed" in capsys.readouterr().err


@pytest.fixture
def cancelled(executor: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The numbers that the plugin is told to cancel; Snakemake itself knows of no job."""
    numbers: list[str] = []
    monkeypatch.setattr(OfPlugin, "cancel_jobs", lambda _, jobs: numbers.extend(job.external_jobid for job in jobs))
    monkeypatch.setattr(RemoteExecutor, "cancel", lambda self: self.cancel_jobs([]))
    return numbers


def test_the_end_cancels_all_that_live(executor: Any, cancelled: list[str]) -> None:
    infos = [submitted(executor, "a", "1"), submitted(executor, "b", "2"), submitted(executor, "c", "2")]
    executor.report_job_success(infos[0])
    executor.cancel()
    assert cancelled == ["2"]


def test_the_end_submits_nothing_more(executor: Any, cancelled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what waits for others to join, nor what waits for the thread that submits."""
    submissions: list[str] = []
    monkeypatch.setattr(OfPlugin, "run_job", lambda _, job: submissions.append(job))
    monkeypatch.setattr(slurm_executor, "packs", lambda jobs, _: [jobs])
    monkeypatch.setattr(slurm_executor.Executor, "_run_pack", lambda _, jobs: submissions.extend(jobs))
    executor._collected += ["waits for others"]
    executor._job_submission_executor.submit(executor._submit_collected)
    executor._job_submission_executor.submit(executor.run_job, "waits for the thread")
    executor.cancel()
    executor.run_job("late")
    assert submissions == cancelled == []


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


def test_what_goes_wrong_before_sbatch_is_an_error_of_the_jobs(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_executor, "COLLECT_SECONDS", 0)
    job = SimpleNamespace(name="a", resources={"in_turn": 10}, log_error=lambda m, **_: executor.told.update(a=m))
    executor._collected.append(job)
    executor._submit_collected()  # a job without wildcards: `packs` fails
    assert "SLURM job not submitted" in executor.told["a"]
    executor._partitions = None
    single = SimpleNamespace(
        name="b", resources={"runtime": "long"}, log_error=lambda m, **_: executor.told.update(b=m)
    )
    monkeypatch.setattr(cluster, "longest", lambda _: 30)
    executor.run_job(single)
    assert "SLURM job not submitted" in executor.told["b"]
