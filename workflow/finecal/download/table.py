"""Read the table of all files that data sets are made from: a CSV file with one row for each file.

Its columns:

- `datasets`: the data sets that use the file, separated by spaces;
- `file`: its name under `resources/{data set}/`;
- `version`: which version of the data it is, or `none given`; `date`: the year of the publication that describes it;
- `bytes`: its size, if it is known exactly; `about_bytes`: roughly, if not;
- `sha256`, `md5`: its hash, if anyone gives one; `hash_from`: who does, or `none given`;
- `urls`: addresses, the publisher's first, separated by spaces; none if only a person can fetch it;
- `by_hand`: see `finecal.download.spec.Download`;
- `licence`: the terms of the data.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from finecal.download.spec import Download

COLUMNS = (
    "datasets", "file", "version", "date", "bytes", "about_bytes", "sha256", "md5", "hash_from", "urls", "by_hand",
    "licence",
)  # fmt: skip
NO_HASH = "none given"


@dataclass(frozen=True)
class PublishedFile:
    """A row of the table.

    Attributes
    ----------
    datasets
        Names of the data sets that use it.
    download
        Its name, addresses, size and hash.
    version, date, hash_from, licence
        Texts for people.
    """

    datasets: tuple[str, ...]
    download: Download
    version: str
    date: str
    hash_from: str
    licence: str


def read_published(table: Path) -> tuple[PublishedFile, ...]:
    """Read the table.

    Raises
    ------
    ValueError
        If the columns are not `COLUMNS`, or a size is not a whole number.
    """
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{table}: the columns must be {', '.join(COLUMNS)}")
        return tuple(_published(row) for row in reader)


def _published(row: dict[str, str]) -> PublishedFile:
    download = Download(
        row["file"],
        urls=tuple(row["urls"].split()),
        bytes=int(row["bytes"]) if row["bytes"] else None,
        sha256=row["sha256"] or None,
        md5=row["md5"] or None,
        by_hand=row["by_hand"],
        about=int(row["about_bytes"]) if row["about_bytes"] else None,
    )
    return PublishedFile(
        tuple(row["datasets"].split()), download, row["version"], row["date"], row["hash_from"], row["licence"]
    )
