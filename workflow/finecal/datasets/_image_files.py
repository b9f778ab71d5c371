"""Find image files in folders, one folder for each class: the layout of torchvision's ImageFolder."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from finecal.errors import UserError

# The second group cannot be decoded: such files are found and then named in an error instead of being skipped.
_DECODED = "jpg jpeg jpe jfif png webp avif gif bmp tif tiff ppm pgm pbm pnm jp2 j2k"
_KNOWN = "heic heif jxl tga psd svg eps dng cr2 cr3 nef arw raf orf rw2 dcm exr hdr"
SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_DECODED} {_KNOWN}".split())
# Files that desktops and archives leave behind.
CLUTTER = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})


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


def list_images(folder: Path, at_most: int | None = None) -> list[Path]:
    """List the image files in a folder and the folders in it, sorted; or only the first `at_most` that are found.

    Raises
    ------
    UserError
        If a link leads to a folder above itself.
    """
    found = (entry.path for entry in _files(folder) if _is_image(entry.name))
    if at_most is not None:
        return [Path(path) for path in islice(found, at_most)]
    # The order of Paths, which compare part by part, but sorting texts is much faster.
    return [Path(path) for path in sorted(found, key=lambda path: path.split(os.sep))]  # noqa: PTH206


def count_other_files(folder: Path) -> Counter[str]:
    """Count the files that are not taken for images, by their suffix."""
    return Counter(Path(entry.name).suffix or entry.name for entry in _files(folder) if not _is_image(entry.name))


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
    """List the entries of a folder that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in CLUTTER]
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise UserError("there is no such folder", where=str(folder)) from error
        raise UserError(f"cannot be read ({error.strerror})", where=str(folder)) from error
