"""What file system a path lies on, and that jobs write nothing large where that is memory, however it is reached."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from finecal.errors import UserError
from finecal.orchestration.slurm import limits, preflight
from finecal.runtime import filesystem
from finecal.runtime.filesystem import IN_MEMORY, filesystem_type
from finecal.runtime.memory import file_in_scratch
from finecal.runtime.scratch import scratch_folder


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A link to a folder in memory; work is done elsewhere."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (tmp_path / "link").symlink_to(folder)
        yield tmp_path / "link"


def mount(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Mount points and types, in the order of mounting."""
    found = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in points]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)


def test_links_are_followed(link: Path) -> None:
    assert filesystem_type(link) in IN_MEMORY
    assert filesystem_type(link / "not" / "there") in IN_MEMORY
    assert filesystem_type(Path("/proc/self")) == "proc"


def test_the_innermost_mount_point_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    mount(monkeypatch, ("/", "ext4"), ("/a/b", "nfs4"), ("/a", "tmpfs"), ("/a b", "lustre"))
    places = ("/", "/c", "/a", "/a/bc", "/a/b", "/a/b/c", "/a b/c")
    expected = ["ext4", "ext4", "tmpfs", "tmpfs", "nfs4", "nfs4", "lustre"]
    assert [filesystem_type(Path(place)) for place in places] == expected


def test_of_two_on_one_mount_point_the_later_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with automounters, and with the root that a system starts from."""
    mount(monkeypatch, ("/", "rootfs"), ("/", "ext4"), ("/home", "autofs"), ("/home", "nfs4"))
    assert [filesystem_type(Path(place)) for place in ("/a", "/home/me")] == ["ext4", "nfs4"]


@pytest.mark.parametrize("error", [OSError, psutil.Error])
def test_where_nothing_tells(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(all: bool) -> None:
        raise error

    monkeypatch.setattr(filesystem.psutil, "disk_partitions", refuse)
    assert filesystem_type(Path("/")) == ""


def test_nothing_is_unpacked_into_memory(link: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(link))
    with scratch_folder(Path("state/images"), 0) as folder:
        assert folder.parent == Path("state")
        assert list(link.iterdir()) == []


def test_no_images_are_moved_from_memory_into_memory(link: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(link))
    file_in_scratch(100)
    assert Path("state").is_dir()


def test_no_study_is_run_on_slurm_in_memory(link: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "which", lambda _: "/usr/bin/sbatch")
    monkeypatch.setattr(limits, "partition_limits", dict)
    preflight.check_slurm([])
    monkeypatch.chdir(link)
    with pytest.raises(UserError, match=r"compute nodes do not see .*It lies in this machine's memory \(tmpfs\)"):
        preflight.check_slurm([])
