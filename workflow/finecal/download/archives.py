"""Unpack archives from elsewhere without trusting them: zip, tar, and tar packed with gzip, bzip2 or xz."""

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

from finecal.errors import UserError

CHUNK = 1 << 20
# A photo hardly shrinks, a text by 10, tables of numbers by 20; a bomb by a thousand and more.
MOST_RATIO = 200
HARMLESS = 64 << 20  # bytes unpacked up to which the ratio does not matter
KEPT_FREE = 256 << 20  # bytes left on the disk

MOST_MEMBERS = 2_000_000  # files and folders; ImageNet has 1.3 million
# A zip begins with its first member, or with the end of its list if it is empty.
ZIP = (b"PK\x03\x04", b"PK\x05\x06")

CORRUPT = (tarfile.TarError, zipfile.BadZipFile, BadGzipFile, zlib.error, LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class _Member:
    """A member of an archive; `open` is None for a folder, `refused` says why it may not be unpacked."""

    name: str
    open: Callable[[], IO[bytes]] | None
    refused: str = ""


def extract(archive: Path, folder: Path, *, only: Callable[[str], bool] = lambda member: True) -> None:
    """Unpack an archive into a new folder, whole or not at all.

    Parameters
    ----------
    folder
        Must not be there; made beside a temporary one and renamed.
    only
        Which members to unpack, by their names in the archive. The others are not looked at further.

    Raises
    ------
    UserError
        If the archive is of no known kind, truncated or corrupt. If a wanted member lies outside of the folder, is a
        link or a device, is encrypted, or comes twice. If it unpacks to more than 200 times its size, to more than the
        disk has, or to more than two million files.
    """
    if folder.exists():
        raise UserError("this folder is there already", where=str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _unpack(archive, temporary, only)
        temporary.rename(folder)
    except CORRUPT as error:
        raise _corrupt(archive, error) from error
    except OSError as error:
        if error.errno is None:  # of bzip2, which has no error of its own
            raise _corrupt(archive, error) from error
        raise UserError(f"cannot be unpacked ({error.strerror or error})", where=str(archive)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # not there any more if all went well


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
        if refused := member.refused or _outside(member.name):
            raise UserError(f"its member {member.name!r} {refused}", where=str(archive), why="Nothing was unpacked")
        path = folder.joinpath(*PurePosixPath(member.name).parts)
        if member.open is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        if path in seen:
            raise UserError(f"its member {member.name!r} comes twice", where=str(archive), why="Nothing was unpacked")
        seen.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as read, path.open("xb") as write:
            while chunk := read.read(CHUNK):
                written += len(chunk)
                if written > most:
                    limit = "the disk has room for" if most == room else f"{MOST_RATIO} times its own size"
                    raise UserError(
                        f"it unpacks to more than {most:,} bytes, {limit}", where=str(archive),
                        why="Nothing was unpacked",
                    )  # fmt: skip
                write.write(chunk)


def _outside(name: str) -> str:
    """Why a member's name is refused; empty if it lies inside."""
    path = PurePosixPath(name)
    if "\\" in name or "\0" in name or name.strip() in ("", "."):
        return "" if name in (".", "./") else "has no name that every system can keep"
    return "lies outside of the archive's folder" if path.is_absolute() or ".." in path.parts else ""


def _members(archive: Path) -> Iterator[_Member]:
    """The members one after another; behind the last one, what is left of the archive is read and checked."""
    with archive.open("rb") as file:
        begins = file.read(len(ZIP[0]))
    # Not by `is_zipfile`, which looks at the end: a tar may end in a zip.
    if begins in ZIP:
        with zipfile.ZipFile(archive) as unpacked:
            for info in unpacked.infolist():
                yield _of_zip(unpacked, info)
        return
    if not tarfile.is_tarfile(archive):
        raise UserError(
            "this is no archive that can be read", where=str(archive),
            why="It must be zip, tar, tar.gz, tar.bz2 or tar.xz, and whole",
        )  # fmt: skip
    with tarfile.open(archive, "r:*") as unpacked_tar:
        for entry in unpacked_tar:
            yield _of_tar(unpacked_tar, entry)
        _check_end(unpacked_tar)


def _check_end(opened: tarfile.TarFile) -> None:
    """Whether a tar ends as it should: `tarfile` takes a truncated or damaged header for the end.

    Reading on to the end of the file lets gzip, bzip2 and xz compare their checksums.
    """
    assert opened.fileobj is not None  # it is open
    opened.fileobj.seek(opened.offset)  # behind the last member
    if opened.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends without the mark of its end")
    read = 0
    while chunk := opened.fileobj.read(CHUNK):
        read += len(chunk)
        if read > HARMLESS:
            raise tarfile.ReadError(f"behind its end there are more than {HARMLESS:,} bytes")


def _of_zip(unpacked: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    refused = ""
    if kind == stat.S_IFLNK:
        refused = "is a link"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refused = "is no file and no folder"
    elif info.flag_bits & 1:
        refused = "is encrypted"
    return _Member(info.filename, None if info.is_dir() else lambda: unpacked.open(info), refused)


def _of_tar(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    refused = "is a link" if entry.issym() or entry.islnk() else ""
    if not refused and not entry.isfile() and not entry.isdir():
        refused = "is no file and no folder"

    def read() -> IO[bytes]:
        file = opened.extractfile(entry)
        assert file is not None  # a regular file
        return file

    return _Member(entry.name, None if entry.isdir() else read, refused)
