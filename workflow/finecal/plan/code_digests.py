"""Digests of the code that decides what a stage computes: a change of it reruns the stage.

Snakemake does not see imported code. The digest of a stage's modules is therefore part of its rule's `params`, which
Snakemake compares with those of the last run; unlike input files it survives a fresh clone, whose files are all new.
Modules that only pass data on (paths, the plan, the study's models, errors, the command line) are left out: a new
option there must not retrain everything. What matters of them arrives as resolved options.

`finecal.plan.code_meaning` takes the meaning of a module: comments, docstrings, imports and the names of files do not
count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from finecal import registry
from finecal.plan.code_meaning import definitions
from finecal.plan.known_meaning import digest_of, known_definitions
from finecal.plan.stages import STAGES

PACKAGE = Path(__file__).parents[1]

# Raised by hand when a stage's output changes for a reason that no listed file shows.
STAGE_VERSION = 1

# Code that is known to compute what earlier code computed, by digests: present → earlier (see
# `finecal.plan.same_results`).
SAME_RESULTS = PACKAGE / "plan/same_results.json"


class Identity(NamedTuple):
    """What decides the result of a job besides its inputs.

    Attributes
    ----------
    stage
        Key of `finecal.plan.stages.STAGES`.
    code
        Digest of all code of the stage. Equal for code that is known to compute the same.
    modules
        Module or file → digest of what it means: to say in words what has changed, not to compare.
    options
        Resolved options, plain types only, sorted keys.
    """

    stage: str
    code: str
    modules: dict[str, str]
    options: dict[str, Any]

    @classmethod
    def of(cls, stage: str, options: Mapping[str, Any], extra: Iterable[str | Path] = ()) -> Identity:
        """Make the identity of a stage with these options and some further files of code."""
        files = [*(PACKAGE / name for name in STAGES[stage].code), *map(Path, extra)]
        return cls(
            stage,
            code_digest(stage, extra),
            {_name(file): file_digest(file) for file in files},
            sort_options(options),
        )

    def __str__(self) -> str:
        """One short line for Snakemake to compare and print."""
        return f"{self.stage}: code {self.code}, options {_hash([json.dumps(self.options, sort_keys=True)])}"

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the provenance of a result."""
        return {"stage": self.stage, "code": self.code, "modules": self.modules, "options": self.options}

    @classmethod
    def recorded(cls, provenance: Mapping[str, Any]) -> Identity | None:
        """Read the identity from the provenance of a result; None where an earlier version of finecal made it."""
        try:
            return cls(*(provenance[name] for name in cls._fields))
        except KeyError:
            return None


def code_digest(stage: str, extra: Iterable[str | Path] = ()) -> str:
    """Return the digest of the code of a stage and some further files."""
    parts = [stage_digest(stage), *(file_digest(Path(file)) for file in extra)]
    return combine_digests([_same_results().get(part, part) for part in parts])


def combine_digests(parts: Sequence[str]) -> str:
    """Combine the digest of a stage's own files, which comes first, with those of further files."""
    return _hash([parts[0], *sorted(parts[1:])])


@cache
def stage_digest(stage: str) -> str:
    """Return the digest of the files of a stage.

    It is taken over all definitions together, so it stays the same when a definition moves from one module of the stage
    to another.
    """
    files = [PACKAGE / name for name in STAGES[stage].code]
    return _hash([str(STAGE_VERSION), *sorted({one for file in files for one in _definitions(file)})])


@cache
def _same_results() -> dict[str, str]:
    same: dict[str, str] = json.loads(SAME_RESULTS.read_text("utf-8"))
    return same


@cache
def _definitions(file: Path) -> frozenset[str]:
    """Return the digests of the definitions in a Python module; one digest for any other file."""
    digest = digest_of(file.read_bytes())
    if file.suffix != ".py":
        return frozenset({digest})
    known = known_definitions().get(digest)
    return frozenset(definitions(file.read_text("utf-8"), str(file)) if known is None else known)


def file_digest(file: Path) -> str:
    """Return the digest of a file."""
    return _hash(sorted(_definitions(file)))


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def sort_options(value: Any) -> Any:
    """Return options with sorted keys, and lists in place of tuples."""
    if isinstance(value, Mapping):
        return {str(key): sort_options(value[key]) for key in sorted(value)}
    return [sort_options(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def plugin_files(kind: str, names: Iterable[str]) -> list[Path]:
    """Return the files that define plugins of one kind.

    Of data sets also the files that they share and import. Data sets have little in common, and a change in what one of
    them shares with another must not decode all the others anew. What recipes share is in the records of the stages.
    """
    names = list(names)
    files = [registry.source_file(kind, name) for name in names]
    return files if kind != "dataset" else list(dict.fromkeys([*files, *(f for name in names for f in _shared(name))]))


def _shared(dataset: str) -> list[Path]:
    """Return the files with a leading underscore that a data set's file imports, directly or not."""
    pending, found = [registry.source_file("dataset", dataset)], []
    while pending:
        for name in _shared_imports(pending.pop()):
            file = PACKAGE / "datasets" / f"{name}.py"
            if file not in found:
                found.append(file)
                pending.append(file)
    return sorted(found)


@cache
def _shared_imports(file: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"^\s*from finecal\.datasets\.(_\w+) import ", file.read_text("utf-8"), re.MULTILINE))


def _name(file: Path) -> str:
    """Name a module as it is imported, and any other file by its file name, wherever it lies."""
    if not file.is_relative_to(PACKAGE):
        return file.name
    within = file.relative_to(PACKAGE)
    return ".".join(within.with_suffix("").parts) if file.suffix == ".py" else within.as_posix()
