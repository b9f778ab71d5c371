"""Find image files in folders, one folder for each class: the layout of torchvision's ImageFolder."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from finecal.datasets._image_clutter import describe_clutter
from finecal.errors import UserError, join_names

# The second group cannot be decoded: such files are found and then named in an error instead of being skipped.
_DECODED = "jpg jpeg jpe jfif png webp avif gif bmp tif tiff ppm pgm pbm pnm jp2 j2k"
_KNOWN = "heic heif jxl tga psd svg eps dng cr2 cr3 nef arw raf orf rw2 dcm exr hdr"
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
TABLES = frozenset({".tsv", ".json", ".jsonl", ".ndjson", ".xlsx", ".xls", ".ods", ".yaml", ".yml", ".feather", ".lst"})
SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_DECODED} {_KNOWN}".split())
SHOWN = 10


def class_name(text: str) -> str:
    """Normalize the name of a class for comparison: é is one letter, however a file system spells it."""
    return unicodedata.normalize("NFC", text)


def list_class_folders(folder: Path) -> dict[str, Path]:
    """Map the name of each class to its folder, sorted by name.

    Raises
    ------
    UserError
        If it is missing or not a folder, has no folder in it, or has images beside its folders.
    """
    found: dict[str, Path] = {}
    for entry in _entries(folder):
        if entry.is_dir():
            name = class_name(entry.name)
            if name in found:
                raise UserError(
                    f"two folders are called {name!r}, written with different characters", where=str(folder)
                )
            found[name] = Path(entry.path)
        elif _is_image(entry.name):
            raise UserError(
                f"{entry.name!r} is beside the folders of the classes", where=str(folder),
                why="Every image must be in the folder of its class",
            )  # fmt: skip
    if not found:
        raise UserError("this folder is empty", where=str(folder), why="It needs a folder with images for every class")
    return dict(sorted(found.items()))


def list_folders(folder: Path) -> list[str]:
    """List the names of the folders in a folder, sorted."""
    return sorted(class_name(entry.name) for entry in _entries(folder) if entry.is_dir())


def list_images(folder: Path, at_most: int | None = None) -> list[Path]:
    """List the image files in a folder and the folders in it, sorted; or only the first `at_most` that are found.

    Raises
    ------
    UserError
        If a link leads to a folder above itself, or a name is not UTF-8.
    """
    found = (entry.path for entry in _files(folder) if _is_image(entry.name))
    if at_most is not None:
        return [Path(path) for path in islice(found, at_most)]
    # The order of Paths, which compare part by part, but sorting texts is much faster.
    return [Path(path) for path in sorted(found, key=lambda path: path.split(os.sep))]  # noqa: PTH206


def count_images(folder: Path) -> int:
    """Count the image files in a folder and the folders in it, which is faster than to list them."""
    return sum(_is_image(entry.name) for entry in _files(folder))


def count_other_files(folder: Path) -> Counter[str]:
    """Count the files that are not taken for images, by their suffix."""
    return Counter(
        _as_text(Path(entry.name).suffix or entry.name) for entry in _files(folder) if not _is_image(entry.name)
    )


def count_clutter(folder: Path) -> Counter[tuple[str, str]]:
    """Count what is passed over in a folder and the folders in it, by what it is and by its name."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in _all_entries(folder):
        if (what := describe_clutter(entry.name)) is not None:
            found[what, _as_text(entry.name)] += 1
        elif entry.is_dir():
            found += count_clutter(Path(entry.path))
    return found


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - called for every file


def _files(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator[os.DirEntry[str]]:
    place = folder.stat()
    here = (place.st_dev, place.st_ino)
    if here in above:
        raise UserError("this folder has a link to a folder above it", where=str(folder))
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path), (*above, here))
        else:  # also a broken link, which decoding names in an error
            yield entry


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List the entries of a folder that are neither hidden nor clutter; refuse names of images that are not UTF-8."""
    entries = [entry for entry in _all_entries(folder) if describe_clutter(entry.name) is None]
    unreadable = [entry for entry in entries if not _is_utf8(entry.name)]  # only images and classes are written down
    if strange := sorted(_as_text(one.name) for one in unreadable if _is_image(one.name) or one.is_dir()):
        quoted = join_names([f"'{name}'" for name in strange], SHOWN)
        raise UserError(
            f"the name {quoted} is not UTF-8" if len(strange) == 1 else f"{len(strange)} names are not UTF-8: {quoted}",
            where=_as_text(str(folder)), why="Names of files and classes are written into tables and pages as text",
            hint=r"Rename what is so called; \x.. stands for a byte that is no text. `convmv` renames whole folders",
        )  # fmt: skip
    return entries


def _all_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise UserError("there is no such folder", where=_as_text(str(folder))) from error
        if isinstance(error, NotADirectoryError):
            raise _no_folder(folder) from error
        raise UserError(f"cannot be read ({error.strerror})", where=_as_text(str(folder))) from error


def _no_folder(file: Path) -> UserError:
    suffix = file.suffix.lower()
    hint = "Unpack it, and give the folder" if suffix in ARCHIVES else ""
    if suffix in TABLES:
        hint = "Write it as .csv with the columns `file` and `label`"
    return UserError(
        "this is a file, and neither a folder nor a list", where=_as_text(str(file)),
        why="Needed is a folder with a folder of images for each class, or a list (.csv, .parquet, .txt)", hint=hint,
    )  # fmt: skip


def _is_utf8(name: str) -> bool:
    """Return whether the bytes of a name are text: Python stands surrogates for others."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _as_text(name: str) -> str:
    r"""Return a name that can be printed, with \x.. for each byte that is no text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
