"""The marks that Snakemake keeps of outputs it has begun: files, or rows of its database."""

from __future__ import annotations

import base64
import binascii

from finecal.orchestration.database import begun_in_database
from finecal.orchestration.workers import STATE


def begun_outputs() -> dict[str, float]:
    """Return output → when Snakemake began its job, for all jobs whose end it has not seen.

    Snakemake keeps a file for each, whose name is the path in base 64, in pieces where it is long.
    """
    folder = STATE / "incomplete"
    begun = begun_in_database()
    for file in folder.rglob("*"):
        if file.is_file():
            coded = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
            try:
                begun[base64.urlsafe_b64decode(coded).decode()] = file.stat().st_mtime
            except (binascii.Error, UnicodeDecodeError, FileNotFoundError):
                continue  # not such a mark, or the job has just ended
    return begun
