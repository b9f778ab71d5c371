"""Image files in folders, one folder for each class: the layout of torchvision's ImageFolder."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from finecal.errors import UserError

# The second group cannot be decoded here: such files are taken, and then named as errors, not passed over.
_DECODED = "jpg jpeg jpe jfif png webp avif gif bmp tif tiff ppm pgm pbm pnm jp2 j2k"
_KNOWN = "heic heif jxl tga psd svg eps dng cr2 cr3 nef arw raf orf rw2 dcm exr hdr"
SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_DECODED} {_KNOWN}".split())
# Left by desktops and archives.
CLUTTER = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})


def class_name(text: str) -> str:
    """The name of a class as it is compared: é is one letter, however a file system spells it."""
    return unicodedata.normalize("NFC", text)


def class_folders(folder: Path) -> dict[str, Path]:
    """Name of a class → its folder, sorted by name.

    Raises
    ------
    UserError
        If the folder is missing, is none, has no folder in it, or has images beside its folders.
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
                f"{entry.name!r} lies beside the folders of the classes", where=str(folder),
                why="Every image lies in a folder that is called like its class",
            )  # fmt: skip
    if not found:
        raise UserError("this folder is empty", where=str(folder), why="It needs a folder with images for every class")
    return dict(sorted(found.items()))


def images_in(folder: Path, at_most: int | None = None) -> list[Path]:
    """The image files in a folder and the folders in it, sorted; or the first few that are found.

    Raises
    ------
    UserError
        If a link leads to a folder above itself.
    """
    found = (entry.path for entry in _files(folder) if _is_image(entry.name))
    if at_most is not None:
        return [Path(path) for path in islice(found, at_most)]
    # In the order of Paths, which compare part by part and take much longer to sort.
    return [Path(path) for path in sorted(found, key=lambda path: path.split(os.sep))]  # noqa: PTH206


def others_in(folder: Path) -> Counter[str]:
    """Suffix → number of the files that are not taken for images."""
    return Counter(Path(entry.name).suffix or entry.name for entry in _files(folder) if not _is_image(entry.name))


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - called for every file


def _files(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator[os.DirEntry[str]]:
    place = folder.stat()
    here = (place.st_dev, place.st_ino)
    if here in above:
        raise UserError("this folder holds a link to a folder above it", where=str(folder))
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path), (*above, here))
        else:  # also a link that leads nowhere: it is named when it is decoded
            yield entry


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in CLUTTER]
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise UserError("there is no such folder", where=str(folder)) from error
        raise UserError(f"cannot be read ({error.strerror})", where=str(folder)) from error
