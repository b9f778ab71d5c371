"""Archives from elsewhere: unpacked whole, or refused with the member's name and nothing left behind."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import tarfile
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

import finecal.download.archives
from finecal.download.archives import extract
from finecal.errors import UserError

FILES = {"set/a/1.jpg": b"one", "set/b/2.jpg": b"two" * 1000}


def a_tar(path: Path, files: dict[str, bytes], *special: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in special:
            archive.addfile(entry)
    return path


def a_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def entry(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def found(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refusal(archive: Path, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        extract(archive, folder / "new" / "out")
    assert not any((folder / "new").iterdir())
    assert not (folder / "evil").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.zip", a_zip),
        ("x.tar", a_tar),
        ("x.tar.gz", lambda p, f: a_tar(p, f, mode="w:gz")),
        ("x.tar.bz2", lambda p, f: a_tar(p, f, mode="w:bz2")),
        ("x.tar.xz", lambda p, f: a_tar(p, f, mode="w:xz")),
        ("without_ending", lambda p, f: a_tar(p, f, mode="w:gz")),
    ],
)
def test_every_kind_is_unpacked(name: str, make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path) -> None:
    extract(make(tmp_path / name, FILES), tmp_path / "out")
    assert found(tmp_path / "out") == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["out", name])


def test_only_what_is_wanted_is_unpacked_and_looked_at(tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "x.tar", FILES, entry("link", tarfile.SYMTYPE, "/etc/passwd"))
    extract(archive, tmp_path / "out", only=lambda name: name.startswith("set/a/"))
    assert found(tmp_path / "out") == {"set/a/1.jpg": b"one"}


def test_folders_and_a_leading_dot_are_no_obstacle(tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "x.tar", {}, entry(".", tarfile.DIRTYPE), entry("./empty", tarfile.DIRTYPE))
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out" / "empty").is_dir()


@pytest.mark.parametrize("name", ["../evil", "/tmp/finecal-evil", "a/../../evil", "..", "a\\..\\evil"])
@pytest.mark.parametrize("make", [a_zip, a_tar])
def test_no_member_leaves_the_folder(name: str, make: Callable[..., Path], tmp_path: Path) -> None:
    text = refusal(make(tmp_path / "x", {"good": b"1", name: b"evil"}), tmp_path)
    assert repr(name) in text
    assert text.endswith("Nothing was unpacked.")
    assert not Path(name).is_absolute() or not Path(name).exists()


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (entry("l", tarfile.SYMTYPE, "/etc/passwd"), "'l' is a link"),
        (entry("l", tarfile.SYMTYPE, ".."), "'l' is a link"),
        (entry("l", tarfile.LNKTYPE, "../../evil"), "'l' is a link"),
        (entry("d", tarfile.CHRTYPE), "'d' is neither a file nor a folder"),
        (entry("d", tarfile.BLKTYPE), "'d' is neither a file nor a folder"),
        (entry("d", tarfile.FIFOTYPE), "'d' is neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(member: tarfile.TarInfo, reason: str, tmp_path: Path) -> None:
    assert reason in refusal(a_tar(tmp_path / "x.tar", FILES, member), tmp_path)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("l")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "'l' is a link" in refusal(tmp_path / "x.zip", tmp_path)


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    twice = a_tar(tmp_path / "x.tar", {"a": b"1"}, entry("./a", tarfile.REGTYPE))
    assert "'./a' appears twice" in refusal(twice, tmp_path)


@pytest.mark.parametrize("make", [a_zip, lambda p, f: a_tar(p, f, mode="w:xz")])
def test_a_bomb_is_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    bomb = make(tmp_path / "x", {"zeros": bytes(finecal.download.archives.HARMLESS + 1)})
    assert "it unpacks to more than 67,108,864 bytes, 200 times its own size" in refusal(bomb, tmp_path)


def test_an_archive_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(
        finecal.download.archives.shutil, "disk_usage", lambda _: usage(finecal.download.archives.KEPT_FREE + 100)
    )
    archive = a_zip(tmp_path / "x.zip", FILES)
    assert "it unpacks to more than 100 bytes, the disk has room for" in refusal(archive, tmp_path)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_truncated_archive_is_named(mode: str, tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "x", {"a": random.Random(0).randbytes(3_000_000)}, mode=mode)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    assert "truncated or corrupt" in refusal(archive, tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_that_ends_before_a_member_is_truncated(mode: str, tmp_path: Path) -> None:
    """At the header, within it, within the content, and behind the last member; also if compression itself is whole."""
    files = {name: random.Random(0).randbytes(1000) for name in "abc"}
    whole = a_tar(tmp_path / "whole", files).read_bytes()
    for length in (1536, 1536 + 100, 1536 + 512 + 100, 3 * 1536):
        place = tmp_path / f"{length}"
        place.mkdir()
        (place / "x").write_bytes(packed(whole[:length], mode))
        assert "truncated or corrupt" in refusal(place / "x", place)


def packed(content: bytes, mode: str) -> bytes:
    return {"w": bytes, "w:gz": gzip.compress, "w:bz2": bz2.compress, "w:xz": lzma.compress}[mode](content)


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "x.tar", FILES)
    content = bytearray(archive.read_bytes())
    content[1024 + 5] ^= 255  # in the second member's name: its checksum is wrong
    archive.write_bytes(content)
    assert "truncated or corrupt (its end mark is missing)" in refusal(archive, tmp_path)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("place", [-6, -12])
def test_the_checksums_behind_the_last_member_are_compared(mode: str, place: int, tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "x", {"a": random.Random(0).randbytes(2_000_000)}, mode=mode)  # more than one block
    content = bytearray(archive.read_bytes())
    content[place] ^= 255
    archive.write_bytes(content)
    assert "truncated or corrupt" in refusal(archive, tmp_path)


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = a_zip(tmp_path / "inner.zip", {"evil": b"x"}).read_bytes()
    archive = a_tar(tmp_path / "x.tar", {"inner.zip": inner})
    archive.write_bytes(archive.read_bytes() + inner)
    extract(archive, tmp_path / "out")
    assert found(tmp_path / "out") == {"inner.zip": inner}


@pytest.mark.parametrize("make", [a_zip, lambda p, f: a_tar(p, f, mode="w:gz")])
def test_more_files_than_any_data_set_has_are_refused(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finecal.download.archives, "MOST_MEMBERS", 100)
    archive = make(tmp_path / "x", {str(k): b"" for k in range(101)})
    assert "it has more than 100 files and folders. Nothing was unpacked." in refusal(archive, tmp_path)
    monkeypatch.setattr(finecal.download.archives, "MOST_MEMBERS", 101)
    extract(archive, tmp_path / "out")


def test_a_bomb_behind_the_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finecal.download.archives, "HARMLESS", 1 << 20)
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(gzip.compress(a_tar(tmp_path / "x.tar", FILES).read_bytes() + bytes(3 << 20)))
    assert "more than 1,048,576 bytes follow its end" in refusal(archive, tmp_path)


def test_a_flipped_byte_in_a_zip_is_found(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "x.zip", {"a": b"something " * 100})
    content = bytearray(archive.read_bytes())
    content[40] ^= 255
    archive.write_bytes(content)
    assert "truncated or corrupt" in refusal(archive, tmp_path)


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("<html>")
    text = refusal(tmp_path / "x.zip", tmp_path)
    assert "this file cannot be read as an archive. It must be a complete zip, tar, tar.gz, tar.bz2 or tar.xz." in text


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "x.zip", FILES)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="this folder exists already"):
        extract(archive, tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    extract(archive, tmp_path / "out")
