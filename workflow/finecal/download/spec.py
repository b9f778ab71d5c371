"""The files that a data set is made from: what they are, and from where.

They are fetched once, checked, and kept under `resources/{data set}/` (download/fetch.py). A file that only a person
can get, since a page asks for a licence or a sign-in, is put into the same place by hand; it passes the same checks.

Data sets import this when a study is checked: nothing heavy here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Download:
    """One file of a data set.

    Attributes
    ----------
    name
        The file's name under `resources/{data set}/`.
    urls
        Addresses (https, http or file), the publisher's first, then mirrors; none if only a person can fetch it.
    bytes, sha256, md5
        As far as the publisher says them.
    about
        Bytes roughly, where they are not known exactly: for estimates.
    by_hand
        Where a person gets the file, in a sentence that goes on with "and put it there"; needed if there are no `urls`.
    """

    name: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    by_hand: str = ""
    about: int | None = None


@dataclass(frozen=True)
class Files:
    """What a data set's `prepare` reads.

    Attributes
    ----------
    folder
        Has the data set's downloads, checked.
    scratch
        An empty folder, removed after the domain is packed: for what is in the archives.
    """

    folder: Path
    scratch: Path

    def path(self, name: str) -> Path:
        """A download by its name."""
        return self.folder / name

    def extract(self, name: str, only: Callable[[str], bool] = lambda member: True) -> Path:
        """Unpack those members of an archive whose names `only` accepts; the folder that has them.

        Raises
        ------
        UserError
            If the archive is corrupt or has members that no data set needs (see `finecal.download.archives.extract`).
        """
        from finecal.download.archives import extract

        folder = self.scratch / f"{name}.extracted"
        extract(self.path(name), folder, only=only)
        return folder
