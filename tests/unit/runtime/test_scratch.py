"""Where jobs unpack: on the node's disk if it is one and has space, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

import finecal.runtime.scratch
from finecal.io.parts import part_of
from finecal.runtime.scratch import scratch_folder
from finecal.runtime.signals import WARNINGS

OTHERWISE = Path("state/set/images/a")


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "node").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(finecal.runtime.scratch.tempfile, "tempdir", str(tmp_path / "node"))
    monkeypatch.setattr(finecal.runtime.scratch, "filesystem_type", lambda _: "ext4")


def test_the_disk_for_temporary_files_is_taken(tmp_path: Path) -> None:
    with scratch_folder(OTHERWISE, 10) as folder:
        assert folder.parent == tmp_path / "node"
        (folder / "inside").mkdir()
        (folder / "inside" / "file").touch()
    assert not list((tmp_path / "node").iterdir())
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(("kind", "free"), [("tmpfs", 1000), ("ramfs", 1000), ("ext4", 10)])
def test_memory_and_a_full_disk_are_not(kind: str, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(finecal.runtime.scratch, "filesystem_type", lambda _: kind)
    monkeypatch.setattr(finecal.runtime.scratch.shutil, "disk_usage", lambda _: usage(free))
    left = OTHERWISE.with_name(part_of(OTHERWISE).name.replace(f".{os.getpid()}.", f".{2**22 + 1}."))
    left.mkdir(parents=True)  # by a process that was killed: none has so high a number
    (left / "file").touch()
    with scratch_folder(OTHERWISE, 10) as folder:
        assert [*OTHERWISE.parent.iterdir()] == [folder]
        assert not list(folder.iterdir())
    assert not list((tmp_path / "work").iterdir())


def test_a_job_that_outlived_its_snakemake_keeps_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next Snakemake starts the same job; neither of them removes what the other has unpacked."""
    monkeypatch.setattr(finecal.runtime.scratch, "filesystem_type", lambda _: "tmpfs")
    own, parent = os.getpid(), os.getppid()
    with scratch_folder(OTHERWISE, 10) as first:
        (first / "file").touch()
        monkeypatch.setattr(os, "getpid", lambda: parent)
        with scratch_folder(OTHERWISE, 10) as second:
            monkeypatch.setattr(os, "getpid", lambda: own)
            assert (first / "file").exists()
        assert not second.exists()
        assert (first / "file").exists()


@pytest.mark.parametrize("number", WARNINGS)
def test_a_job_that_is_ended_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    code = "import time\nfrom pathlib import Path\nfrom finecal.runtime.scratch import scratch_folder\n"
    code += "with scratch_folder(Path('otherwise'), 0) as folder:\n    (folder / 'file').touch()\n    time.sleep(60)"
    job = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path / "node")})
    places = [tmp_path / "node", tmp_path / "work" / "otherwise"]
    while not any(list(place.glob("**/file")) for place in places):
        assert job.poll() is None
        time.sleep(0.05)
    job.send_signal(number)
    assert job.wait(30) == 128 + number
    assert not any(place.exists() and list(place.iterdir()) for place in places)
