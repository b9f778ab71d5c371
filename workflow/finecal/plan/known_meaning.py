"""The meaning of finecal's own modules, kept for the user's next process: each would take 0.2 s to find it anew.

It depends on what the files contain and on nothing else, so a changed file is read anew, wherever finecal lies.
"""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from finecal.errors import UserError
from finecal.io.user_cache import kept
from finecal.plan import code_meaning
from finecal.plan.stages import STAGES
from finecal.registry import KINDS

PACKAGE = Path(__file__).parents[1]


@cache
def known_definitions() -> dict[str, list[str]]:
    """Return `code_meaning.definitions` of finecal's modules by the SHA-256 of the file, of those that can be read."""
    sources = {digest_of(source): source for source in (file.read_bytes() for file in _files())}
    made_by = Path(code_meaning.__file__).read_text("utf-8")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    def find() -> bytes:
        found = {}
        for digest, source in sources.items():
            with suppress(UserError, UnicodeDecodeError):  # whoever needs that file is told
                found[digest] = code_meaning.definitions(source.decode("utf-8"), digest)
        return json.dumps(found).encode()

    known: dict[str, list[str]] = json.loads(kept("code", json.dumps([made_by, python, sorted(sources)]), find))
    return known


def digest_of(source: bytes) -> str:
    """Return the key of a module's source in `known_definitions`."""
    return hashlib.sha256(source).hexdigest()


def _files() -> set[Path]:
    """The modules whose meaning decides what stages compute, and those of plugins."""
    of_stages = {PACKAGE / name for stage in STAGES.values() for name in stage.code if name.endswith(".py")}
    folders = (PACKAGE.joinpath(*name.split(".")) for name in KINDS.values())
    return of_stages | {file for folder in folders for file in folder.glob("*.py")}
