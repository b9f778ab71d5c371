"""Options of Snakemake with which finecal cannot do what they promise."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import StorageSettings, WorkflowSettings

from finecal.errors import UserError
from finecal.io.parquet import write_table
from finecal.orchestration import options
from finecal.orchestration.options import check_options, check_room, explain_touch, explain_triggers, guard_actions
from finecal.plan.identities import Identities
from finecal.plan.jobs import jobs
from finecal.plan.plan import Plan

ACTIONS = ("containerize", "generate_unit_tests", "archive", "unlock", "delete_output", "_build_dag")


def workflow(storage: str | None = None, url: str | None = None) -> Any:
    return SimpleNamespace(
        storage_settings=StorageSettings(default_storage_provider=storage),
        workflow_settings=WorkflowSettings(persistence_backend_db_url=url),
    )


@pytest.fixture
def acting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Snakemake whose actions say that they were called; nobody else is at work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "others_at_work", str)
    found = SimpleNamespace(
        basedir=str(tmp_path), rerun_triggers=[], **{name: lambda *given, name=name: name for name in ACTIONS}
    )
    guard_actions(found)
    return found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            workflow(storage="s3"),
            "`--default-storage-provider s3` is not possible. Jobs write their results into",
        ),
        (workflow(url="sqlite:///x"), "`--persistence-backend-db-url` is not possible. `finecal status` reads"),
    ],
)
def test_refused(given: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_options(given)
    assert str(caught.value).startswith(said)


def test_taken() -> None:
    check_options(workflow())


@pytest.mark.parametrize(
    ("cores", "jobs", "option"), [(0, None, "--cores 0"), (None, 0, "--jobs 0"), (4, 0, "--jobs 0")]
)
def test_no_job_could_run(cores: int | None, jobs: int | None, option: str) -> None:
    with pytest.raises(UserError, match=f"^`{option}`: no job can run"):
        check_room(cores, jobs)
    check_room(1, None)


def test_actions_have_the_names_of_snakemake() -> None:
    from snakemake.api import Workflow

    assert all(callable(getattr(Workflow, name)) for name in ACTIONS)


def refused(action: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said when an action is refused."""
    with pytest.raises(SystemExit) as ended:
        action()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_an_image_without_finecal(acting: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "without finecal itself" in refused(acting.containerize, capsys)


def test_tests_of_bytes(acting: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "results say how long they took" in refused(acting.generate_unit_tests, capsys)


def test_an_archive_without_code(acting: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert acting.archive(Path("a.tar")) == "archive"
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    assert "only what is below the working directory is archived" in refused(acting.archive, capsys)


@pytest.mark.parametrize("action", ["unlock", "delete_output"])
def test_while_another_is_at_work(
    action: str, acting: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    act = getattr(acting, action)
    assert act() == action
    monkeypatch.setattr(options, "others_at_work", lambda: "ada on node7, process 12")
    assert "is not possible while ada on node7, process 12 is at work here" in refused(act, capsys)


def test_what_fewer_triggers_do_not_see(acting: Any, capsys: pytest.CaptureFixture[str]) -> None:
    explain_triggers(RerunTrigger.all())
    assert capsys.readouterr().err == ""
    acting._build_dag()
    assert "does not see that options or code have changed" in capsys.readouterr().err


def test_touched_results_of_other_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(["digits"])
    first, second = [job for job in jobs(plan) if job.stage == "split"][:2]
    now = [Identities(plan).of(job.stage, job.wildcards).record() for job in (first, second)]
    now[1]["options"] = {"kind": "another"}
    for job, record in zip((first, second), now, strict=True):
        write_table(job.result, pa.table({"a": [1]}), provenance=record)
    explain_touch(jobs(plan), Identities(plan))
    said = capsys.readouterr().err
    assert f"1 results were made with other options or code than the present ones, first {second.result};" in said
