"""What can be known before the work of a job: its folders, their space, the dates of what it reads."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finecal.errors import UserError
from finecal.io.atomic import remove_empty_parents, write_text
from finecal.runtime import memory, readiness, scratch
from finecal.runtime.readiness import check_ready, check_writable, clock_of

OUTPUT, STATE, INPUT = Path("results/run/model.safetensors"), Path("state/run/state.pt"), Path("images.parquet")
MORE_THAN_ANY_DISK = 2**43


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    INPUT.write_text("")


def date(seconds: float) -> None:
    """Date the input so many seconds from now, by the clock of the file system, which is some ms behind."""
    os.utime(INPUT, (clock_of(Path()) + seconds,) * 2)


def refusal(needed: dict[Path, int] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        check_ready([OUTPUT, STATE], [INPUT], needed or {})
    return str(caught.value)


def test_all_is_well_and_nothing_is_left() -> None:
    before = sorted(Path().rglob("*"))
    check_ready([OUTPUT, STATE], [INPUT, Path("missing")], {OUTPUT: 10**6, STATE: 10**6})
    assert sorted(Path().rglob("*")) == before


@contextmanager
def coming_and_going(folder: Path) -> Iterator[None]:
    """A folder that is made and removed all the time, as those of states are by jobs that begin and end."""
    over, usual = threading.Event(), sys.getswitchinterval()

    def go_on() -> None:
        while not over.is_set():
            with suppress(OSError):  # something was made in it
                folder.mkdir(parents=True, exist_ok=True)
                remove_empty_parents(folder / "file")

    other = threading.Thread(target=go_on)
    sys.setswitchinterval(1e-5)  # so that the threads meet between any two lines
    other.start()
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
        over.set()
        other.join()


def test_a_folder_that_another_job_removes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a job does first in a folder of states: the one above it may be gone a moment later."""
    for module in (scratch, memory):
        monkeypatch.setattr(module, "filesystem_type", lambda _: "tmpfs")
    states = Path("state/data_set")
    with coming_and_going(states):
        for _ in range(300):
            check_ready([OUTPUT, states / "run/state.pt"], [INPUT], {})
            check_writable(states / "other")
            memory.file_in_scratch(10).close()
            with scratch.scratch_folder(states / "archive", 0):
                pass


def test_a_folder_that_is_a_link_to_nowhere_is_not_waited_for() -> None:
    STATE.parent.parent.mkdir()
    STATE.parent.symlink_to("nowhere")
    with pytest.raises(UserError, match=r"state/run/state.pt: cannot be written \(File exists\)"):
        write_text(STATE, "")


def test_an_input_of_the_future_is_refused() -> None:
    date(3 * 3600 + 120)
    found = refusal()
    assert found.startswith("images.parquet: this file is dated 3 h 2 min in the future. Snakemake refuses")
    assert "`touch images.parquet`" in found


def test_an_input_that_is_a_little_ahead_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(readiness.time, "sleep", waited.append)
    date(30)
    check_ready([OUTPUT], [INPUT], {})
    assert 25 < waited[0] <= 30
    assert "images.parquet is dated in the future" in capsys.readouterr().err


def test_what_counts_is_the_clock_of_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine's clock is behind that of the file server, which dates inputs and outputs alike."""
    monkeypatch.setattr(readiness.time, "time", lambda: 0.0)
    check_ready([OUTPUT], [INPUT], {})
    assert clock_of(Path()) > 1e9
    assert clock_of(INPUT) == 0.0


def test_a_folder_that_cannot_be_written() -> None:
    Path("results").write_text("a file")
    assert refusal() == "results/run/model.safetensors: cannot be written (Not a directory)."


@pytest.mark.parametrize("reserves", [True, False])
def test_too_little_space_is_said_before(reserves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that can reserve space, and on one that only says what is free.

    Nothing is reserved: that would take all there is for a moment, in which the writes of others fail.
    """
    reserved: list[int] = []
    free, as_it_is = shutil.disk_usage(Path()).free, readiness._reserve

    def reserve(number: int, size: int) -> None:
        reserved.append(size)
        if reserves:
            as_it_is(number, size)

    monkeypatch.setattr(readiness, "_reserve", reserve)
    found = refusal({OUTPUT: MORE_THAN_ANY_DISK // 2, STATE: MORE_THAN_ANY_DISK // 2})
    assert "no space left to write this file: the job needs 8,796,093.0 MB here at least" in found
    assert [*Path().iterdir()] == [INPUT]
    assert not [size for size in reserved if size > free]


def test_a_disk_without_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has space, which would be the wrong thing to look for."""

    def refuse(_number: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(readiness, "_reserve", refuse)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=30, f_favail=0))
    assert "it has no inodes left, though it may have space" in refusal({OUTPUT: 1})


def test_an_immutable_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """`chattr +i` refuses root, too."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"cannot be written \(Operation not permitted\). Hint: `lsattr` says"):
        check_writable(Path("results"))


def test_a_quota_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_number: int, _size: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(readiness, "_reserve", refuse)
    assert "or a quota of less" in refusal({OUTPUT: 1})


def test_an_input_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness.os, "access", lambda *_: False)  # root may read everything
    assert refusal() == "images.parquet: not readable (Permission denied)."


def test_an_input_that_another_snakemake_removes_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left to the job to name, as one that was never there."""
    stat, access = Path.stat, os.access
    removed: list[object] = []

    def gone(path: Path, **how: bool) -> os.stat_result:
        if path == INPUT and not removed:
            removed.append(path)
            raise FileNotFoundError(path)
        return stat(path, **how)

    with monkeypatch.context() as now:
        now.setattr(Path, "stat", gone)
        check_ready([OUTPUT], [INPUT], {})
    assert removed

    def gone_then(path: Path, mode: int) -> bool:
        path.unlink(missing_ok=True)
        return access(path, mode)

    monkeypatch.setattr(os, "access", gone_then)
    check_ready([OUTPUT], [INPUT], {})
