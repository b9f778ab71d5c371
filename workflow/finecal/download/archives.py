"""Unpack archives without trusting them: zip, tar, and tar compressed with gzip, bzip2 or xz."""

from __future__ import annotations

import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from finecal.errors import UserError, counted

CHUNK = 1 << 20
# Compression makes photos hardly smaller, texts 10 times, tables of numbers 20 times, and a bomb a thousand times.
MOST_RATIO = 200
HARMLESS = 64 << 20  # the ratio is not checked for archives that unpack to fewer bytes
KEPT_FREE = 256 << 20  # bytes of the disk that are not used

MOST_MEMBERS = 2_000_000  # files and folders; ImageNet has 1.3 million
# The first bytes of a zip: of its first member, or if it is empty, of the end of its directory.
ZIP = (b"PK\x03\x04", b"PK\x05\x06")

CORRUPT = (tarfile.TarError, zipfile.BadZipFile, BadGzipFile, zlib.error, LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class _Member:
    """A member of an archive; `open` is None for a folder, `refused` is the reason not to unpack it, or empty."""

    name: str
    open: Callable[[], IO[bytes]] | None
    refused: str = ""


def extract(archive: Path, folder: Path, *, only: Callable[[str], bool] = lambda member: True) -> None:
    """Unpack an archive into a new folder, whole or not at all.

    Parameters
    ----------
    folder
        Must not exist. It is filled under a temporary name beside it and then renamed.
    only
        Tells by a member's name in the archive whether to unpack it. The others are not checked.

    Raises
    ------
    UserError
        If the archive is of an unknown format, truncated or corrupt; if a wanted member lies outside of the folder, is
        a link or a device, is encrypted, or appears twice; if it unpacks to more than 200 times its size, to more than
        fits on the disk, or to more than two million files.
    """
    if folder.exists():
        raise UserError("this folder exists already", where=str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _unpack(archive, temporary, only)
        temporary.rename(folder)
    except CORRUPT as error:
        raise _corrupt(archive, error) from error
    except OSError as error:
        if error.errno is None:  # bzip2 has no error class of its own
            raise _corrupt(archive, error) from error
        raise UserError(f"cannot be unpacked ({error.strerror or error})", where=str(archive)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # renamed if all went well


def _corrupt(archive: Path, error: Exception) -> UserError:
    return UserError(
        f"this archive is truncated or corrupt ({str(error) or type(error).__name__})", where=str(archive),
        hint="Remove it and its .sha256, then fetch it again",
    )  # fmt: skip


def _unpack(archive: Path, folder: Path, only: Callable[[str], bool]) -> None:
    size = archive.stat().st_size
    room = shutil.disk_usage(folder).free - KEPT_FREE
    most = min(room, max(HARMLESS, MOST_RATIO * size))
    written, seen = 0, set()
    for number, member in enumerate(_members(archive), start=1):
        if number > MOST_MEMBERS:
            raise UserError(
                f"it has more than {MOST_MEMBERS:,} files and folders", where=str(archive), why="Nothing was unpacked"
            )
        if not only(member.name):
            continue
        if refused := member.refused or _reason_to_refuse(member.name):
            raise UserError(f"its member {member.name!r} {refused}", where=str(archive), why="Nothing was unpacked")
        path = folder.joinpath(*PurePosixPath(member.name).parts)
        if member.open is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        if path in seen:
            raise UserError(f"its member {member.name!r} appears twice", where=str(archive), why="Nothing was unpacked")
        seen.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as read, path.open("xb") as write:
            while chunk := read.read(CHUNK):
                written += len(chunk)
                if written > most:
                    limit = "the disk has room for" if most == room else f"{MOST_RATIO} times its own size"
                    raise UserError(
                        f"it unpacks to more than {counted(most, 'byte')}, {limit}", where=str(archive),
                        why="Nothing was unpacked",
                    )  # fmt: skip
                write.write(chunk)


def _reason_to_refuse(name: str) -> str:
    """Return why a member's name is refused; empty if it is inside the folder."""
    path = PurePosixPath(name)
    if "\\" in name or "\0" in name or name.strip() in ("", "."):
        return "" if name in (".", "./") else "has a name that some systems cannot store"
    return "lies outside of the archive's folder" if path.is_absolute() or ".." in path.parts else ""


def _members(archive: Path) -> Iterator[_Member]:
    """Yield the members one after another; after the last one, read and check the rest of the archive."""
    with archive.open("rb") as file:
        begins = file.read(len(ZIP[0]))
    # `is_zipfile` looks at the end of the file, and a tar may end with a zip.
    if begins in ZIP:
        with zipfile.ZipFile(archive) as unpacked:
            for info in unpacked.infolist():
                yield _zip_member(unpacked, info)
        return
    if not tarfile.is_tarfile(archive):
        raise UserError(
            "this file cannot be read as an archive", where=str(archive),
            why="It must be a complete zip, tar, tar.gz, tar.bz2 or tar.xz",
        )  # fmt: skip
    with tarfile.open(archive, "r:*") as unpacked_tar:
        for entry in unpacked_tar:
            yield _tar_member(unpacked_tar, entry)
        _check_end(unpacked_tar)


def _check_end(opened: tarfile.TarFile) -> None:
    """Raise `tarfile.ReadError` unless a tar ends as it should: `tarfile` takes a damaged header for the end.

    Reading to the end of the file makes gzip, bzip2 and xz compare their checksums.
    """
    assert opened.fileobj is not None  # it is open
    opened.fileobj.seek(opened.offset)  # after the last member
    if opened.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("its end mark is missing")
    read = 0
    while chunk := opened.fileobj.read(CHUNK):
        read += len(chunk)
        if read > HARMLESS:
            raise tarfile.ReadError(f"more than {HARMLESS:,} bytes follow its end")


def _zip_member(unpacked: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    refused = ""
    if kind == stat.S_IFLNK:
        refused = "is a link"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refused = "is neither a file nor a folder"
    elif info.flag_bits & 1:
        refused = "is encrypted"
    return _Member(info.filename, None if info.is_dir() else lambda: unpacked.open(info), refused)


def _tar_member(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    refused = "is a link" if entry.issym() or entry.islnk() else ""
    if not refused and not entry.isfile() and not entry.isdir():
        refused = "is neither a file nor a folder"

    def read() -> IO[bytes]:
        file = opened.extractfile(entry)
        assert file is not None  # a regular file
        return file

    return _Member(entry.name, None if entry.isdir() else read, refused)
