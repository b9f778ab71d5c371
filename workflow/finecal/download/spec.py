"""The files that a data set is made from: names, addresses, sizes and hashes.

They are fetched once, checked, and kept in `resources/{data set}/` (`finecal.download.fetch`). A file that only a
person can get, because a page asks for a licence or a sign-in, is put there by hand and passes the same checks.

Every check of a study imports this module, so its imports are light.
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
        Addresses (https, http or file), the publisher's first, then copies; none if only a person can fetch it.
    bytes, sha256, md5
        Size and hashes, as far as they are known.
    about
        Approximate size in bytes, for estimates, where the exact one is not known.
    by_hand
        How a person gets the file, as the beginning of a sentence that ends with "and put it there"; needed without
        `urls`.
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
    """What the `prepare` of a data set reads.

    Attributes
    ----------
    folder
        The folder with the data set's downloads, checked.
    scratch
        An empty folder for the contents of archives, removed after the domain is packed.
    """

    folder: Path
    scratch: Path

    def path(self, name: str) -> Path:
        """Return the path of a download."""
        return self.folder / name

    def extract(self, name: str, only: Callable[[str], bool] = lambda member: True) -> Path:
        """Unpack the members of an archive whose names `only` accepts, and return the folder with them.

        Raises
        ------
        UserError
            If the archive is corrupt or has members that are refused (see `finecal.download.archives.extract`).
        """
        from finecal.download.archives import extract

        folder = self.scratch / f"{name}.extracted"
        extract(self.path(name), folder, only=only)
        return folder
