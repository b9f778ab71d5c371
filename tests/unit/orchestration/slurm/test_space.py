"""What becomes of jobs while a disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from slurm_jobs import job, submitted

from finecal.orchestration.slurm import space
from finecal.orchestration.slurm.markers import write_status


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why there is no room, while it is not empty; each answer is new."""
    why: list[str] = []
    monkeypatch.setattr(space, "why_full", lambda *_: why[0] if why else "")
    monkeypatch.setattr(space, "KNOWN_SECONDS", -1.0)
    return why


@pytest.fixture
def again(executor: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that were submitted again."""
    found: list[Any] = []
    monkeypatch.setattr(type(executor), "submit_again", lambda _, jobs: found.extend(jobs))
    return found


def test_a_quota_is_found_by_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert space.why_full(tmp_path, space.LEAST) == ""
    assert list(tmp_path.iterdir()) == []
    with Path("/dev/full").open("wb", buffering=0) as disk:
        monkeypatch.setattr(space.tempfile, "TemporaryFile", lambda **_: os.fdopen(os.dup(disk.fileno()), "wb", 0))
        assert space.why_full(tmp_path, space.LEAST) == f"{tmp_path}: {os.strerror(errno.ENOSPC)}"
    monkeypatch.undo()
    assert "MiB are free" in space.why_full(tmp_path, 2**60)


def test_what_is_ready_waits_for_room(executor: Any, full: list[str], again: list[Any]) -> None:
    full.append("results: Disk quota exceeded")
    one = job()
    assert executor.hold_if_full([one])
    executor._retry_at = 0.0
    executor.release_held()
    assert again == [one]
    assert executor.hold_if_full([one])
    assert [text.partition("\n")[0] for text in executor.warned] == [
        "There is no room on the disk. results: Disk quota exceeded"
    ]  # said once
    executor._retry_at = 0.0
    executor.release_held()
    full.clear()
    assert not executor.hold_if_full([one])
    assert executor.told == {}


def test_a_job_that_found_no_room_spends_no_try(
    executor: Any, full: list[str], again: list[Any], tmp_path: Path
) -> None:
    log = tmp_path / "job.log"
    log.write_text(f"finecal: model.safetensors: {space.NO_ROOM}.\n")
    folder = tmp_path / "shared"
    folder.mkdir()
    write_status(folder / "0.sh", 2)
    one = submitted(executor, "finetune").job
    one.log = [log]
    for times in range(1, space.REPEATS + 1):
        info = submitted(executor, "finetune", member_script=folder / "0.sh")
        info.job = one
        assert executor.report_member(info)
        assert again == [one] * times
    assert executor.space._needed == space.LEAST * space.GROWS**space.REPEATS
    last = submitted(executor, "finetune", member_script=folder / "0.sh")
    last.job = one
    executor.report_member(last)
    assert "Exit status 2" in executor.told["finetune"]  # it is not the disk


def test_an_end_is_told_when_there_is_room_for_the_note(executor: Any, full: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    write_status(folder / "0.sh", 0)
    info = submitted(executor, "finetune", member_script=folder / "0.sh")
    full.append("Disk quota exceeded")
    assert not executor.report_member(info)
    full.clear()
    assert executor.report_member(info)
    assert executor.told == {"finetune": ""}


def test_a_folder_that_is_not_there_is_on_the_disk_of_the_one_above(full: list[str]) -> None:
    assert space.Space().find_full(["results/a/b/c.parquet"]) == ""
