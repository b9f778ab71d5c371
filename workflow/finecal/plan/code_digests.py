"""Which source code decides what a stage computes, and what it amounts to: a change of it reruns the stage.

Snakemake does not see imported code. What a stage's modules mean is therefore a part of its rule's `params`, where it
is compared with that of the last run; unlike input files it survives a fresh clone, whose files are all new. Modules
that only carry data about (paths, the plan, the study's models, errors, the command line) are left out: a new option
there must not retrain everything. What matters of them arrives as resolved options.

What a module means is told by `finecal.plan.code_meaning`: comments, docstrings, imports and the names of files do not
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
        """The identity of a stage with these options, whose code also consists of some further files."""
        files = [*(PACKAGE / name for name in STAGES[stage].code), *map(Path, extra)]
        return cls(
            stage,
            code_digest(stage, extra),
            {_name(file): file_digest(file) for file in files},
            sorted_options(options),
        )

    def __str__(self) -> str:
        """One short line, which Snakemake compares and prints."""
        return f"{self.stage}: code {self.code}, options {_hashed([json.dumps(self.options, sort_keys=True)])}"

    def record(self) -> dict[str, Any]:
        """As it stands in the provenance of a result."""
        return {"stage": self.stage, "code": self.code, "modules": self.modules, "options": self.options}

    @classmethod
    def recorded(cls, provenance: Mapping[str, Any]) -> Identity | None:
        """The identity in the provenance of a result; None in that of an earlier version of finecal."""
        try:
            return cls(*(provenance[name] for name in cls._fields))
        except KeyError:
            return None


def code_digest(stage: str, extra: Iterable[str | Path] = ()) -> str:
    """What the code of a stage and some further files mean, as a digest."""
    parts = [stage_digest(stage), *(file_digest(Path(file)) for file in extra)]
    return combined([_same_results().get(part, part) for part in parts])


def combined(parts: Sequence[str]) -> str:
    """The digest of a stage's code from those of its own files, first, and of each further file."""
    return _hashed([parts[0], *sorted(parts[1:])])


@cache
def stage_digest(stage: str) -> str:
    """What the files of a stage mean.

    It is a digest of all their definitions together, wherever they stand, so that it stays the same where a definition
    moves from one module of the stage to another.
    """
    files = [PACKAGE / name for name in STAGES[stage].code]
    return _hashed([str(STAGE_VERSION), *sorted({one for file in files for one in _definitions(file)})])


@cache
def _same_results() -> dict[str, str]:
    same: dict[str, str] = json.loads(SAME_RESULTS.read_text("utf-8"))
    return same


@cache
def _definitions(file: Path) -> frozenset[str]:
    """What a file consists of: digests of the definitions of a Python module, one digest of any other file."""
    if file.suffix != ".py":
        return frozenset({hashlib.sha256(file.read_bytes()).hexdigest()})
    return frozenset(definitions(file.read_text("utf-8"), str(file)))


def file_digest(file: Path) -> str:
    """What a file means."""
    return _hashed(sorted(_definitions(file)))


def _hashed(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def sorted_options(value: Any) -> Any:
    """Options with keys in order, lists in the place of tuples."""
    if isinstance(value, Mapping):
        return {str(key): sorted_options(value[key]) for key in sorted(value)}
    return [sorted_options(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def plugin_files(kind: str, names: Iterable[str]) -> list[Path]:
    """Return the files that define plugins of one kind.

    Of data sets also the files that they share and import. Data sets have little in common, and a change in what one of
    them shares with another must not decode all the others anew. What recipes share is in the records of the stages.
    """
    names = list(names)
    files = [registry.source_file(kind, name) for name in names]
    return files if kind != "dataset" else list(dict.fromkeys([*files, *(f for name in names for f in _shared(name))]))


def _shared(dataset: str) -> list[Path]:
    """The files with a leading underscore that a data set's file imports, and those that they import."""
    pending, found = [registry.source_file("dataset", dataset)], []
    while pending:
        for name in _imported(pending.pop()):
            file = PACKAGE / "datasets" / f"{name}.py"
            if file not in found:
                found.append(file)
                pending.append(file)
    return sorted(found)


@cache
def _imported(file: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"^\s*from finecal\.datasets\.(_\w+) import ", file.read_text("utf-8"), re.MULTILINE))


def _name(file: Path) -> str:
    """A module as it is imported; another file by its name, since the folder of the user's own decides nothing."""
    if not file.is_relative_to(PACKAGE):
        return file.name
    within = file.relative_to(PACKAGE)
    return ".".join(within.with_suffix("").parts) if file.suffix == ".py" else within.as_posix()
