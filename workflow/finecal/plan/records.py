"""What made a result, as it stands in the result: in the metadata of a table, and in the report's page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from finecal.errors import UserError
from finecal.io.outside import reading
from finecal.io.parquet import read_metadata

# Where `finecal/report/report.html.jinja` has it.
_IN_PAGE = re.compile(r'<script type="application/json" id="made-from">(.*?)</script>')


def read_record(result: Path) -> dict[str, Any]:
    """Return the provenance of a job's first output; nothing for a page of finecal 0.1.0.

    Raises
    ------
    UserError
        If the file is missing or damaged, or a table has no provenance.
    """
    if result.suffix != ".html":
        return read_metadata(result)
    record: Any = {}
    with reading(result, "a page"):
        if found := _IN_PAGE.search(result.read_text("utf-8")):
            record = json.loads(found[1])
    if not isinstance(record, dict):
        raise UserError("what it was made from is no mapping", where=str(result))
    return record
