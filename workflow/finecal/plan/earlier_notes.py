"""Translate Snakemake's notes of finecal 0.1.0, so that an update computes nothing anew.

Version 0.1.0 noted each file of a stage with the hash of its bytes, and the options beside them. Where the files are
those of its last commit, a48359b, what they mean is known (`earlier_code.json`), and with it what the result is. Other
notes are left as they are: their results are made again.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from finecal import registry
from finecal.config.groups import expand_groups
from finecal.errors import UserError
from finecal.plan.code_digests import PACKAGE, Identity, combine_digests, file_digest, sort_options
from finecal.plan.identities import Identities

REVISION = "a48359b"
EARLIER = PACKAGE / "plan/earlier_code.json"
# How the parameter of a stage begins in such a note: a mapping, where there is one line now.
MARK = "{'code': {'"
DAMAGED = (ValueError, SyntaxError, UserError, LookupError, TypeError, AttributeError, RecursionError, MemoryError)


def is_earlier(params: list[str] | None) -> bool:
    """Whether the parameters of a note are of that form."""
    return any(text.startswith(MARK) for text in params or [])


def translate(params: list[str], stage: str, wildcards: Mapping[str, Any], identities: Identities) -> Identity | None:
    """Make the identity of a result from its earlier note; None if its code is not the known one.

    Parameters
    ----------
    params
        The note's, Python literals as text.
    stage, wildcards
        As `Identities.of` takes them.
    """
    try:
        noted = ast.literal_eval(next((text for text in params if text.startswith(MARK)), ""))
        planned = identities.of(stage, wildcards)
        files, options = dict(noted["code"]), sort_options(noted["options"])
    except DAMAGED:  # or of no selected study
        return None
    if not isinstance(options, dict) or not all(isinstance(part, str) for one in files.items() for part in one):
        return None
    code = _code(stage, files)
    if "studies" in options:
        options = {**options, "studies": [Path(name).name for name in expand_groups(options["studies"])]}
    elif options == sort_options(identities.with_places(stage, wildcards)):
        options = planned.options  # with the contents of files in place of their paths
    return None if code is None else Identity(stage, code, {}, options)


def _code(stage: str, noted: dict[str, str]) -> str | None:
    known = _earlier()["stages"].get(stage)
    noted.pop("stage_version", None)
    if known is None or any(noted.pop(name, None) != digest for name, digest in known["files"].items()):
        return None
    further = [_digest_of(name, noted[name]) for name in noted]
    return None if None in further else combine_digests([known["digest"], *(one for one in further if one)])


def _digest_of(name: str, noted: str) -> str | None:
    """Return the digest of a further file from the hash of its bytes; None if it is not known."""
    if (known := _earlier()["files"].get(name)) is not None:
        return str(known["digest"]) if known["bytes"] == noted else None
    try:  # of the user's own
        same = hashlib.sha256(Path(name).read_bytes()).hexdigest()[:12] == noted
    except OSError:
        return None
    return file_digest(Path(name)) if same else None


def digests() -> dict[str, str]:
    """Return the digests of the code of that commit, by the names of `finecal.plan.same_results.present`."""
    stages = {f"stage {stage}": str(one["digest"]) for stage, one in _earlier()["stages"].items()}
    kinds = {folder: word for word, folder in registry.KINDS.items()}
    for file, one in _earlier()["files"].items():
        folder, _, name = file.removesuffix(".py").rpartition("/")
        stages[f"{kinds.get(folder, 'further')} {name}"] = str(one["digest"])
    return stages


@cache
def _earlier() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(EARLIER.read_text("utf-8"))
    return found
