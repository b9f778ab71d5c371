"""What a stage is: one record says all that rules, command line, digests of code and status need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from finecal.paths import BELOW

if TYPE_CHECKING:
    from finecal.plan.plan import Plan

# The columns of the cost table that name a job.
Coordinates = dict[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the pipeline: a rule, a verb of the command line, and a function in `finecal.stages`.

    Attributes
    ----------
    name
        Of the rule, the function and the log folder; with hyphens, of the verb.
    help
        What it does, in one line.
    target
        What its verb is given: "RUN", a run's folder or a file in it; "FOLDER", the folder of its outputs or a file in
        it; "FILE", its first output; "NAME", the value of its only wildcard; "" for nothing; otherwise handed on as is.
    outputs
        Name → path pattern. The first output says what made it.
    place
        The pattern that tells its jobs apart, below the folders of its logs and measurements; "" if it has one job.
    jobs
        The coordinates of the jobs that a plan has; repetitions are left out.
    code
        The files of finecal that decide its result, besides plugins; relative to the package. Empty for a stage whose
        result is checked otherwise.
    options
        What its options come from: "nothing"; its "study" (`Plan.options`); the "calibrators" of all studies that
        contain the run; the names of all "studies".
    keys
        The coordinates on which its options depend.
    plugins
        The kind of plugins whose files decide its result, too, as far as its options name them.
    module
        Its module in `finecal.stages`; by default the one with its name.
    study
        Whether its verb takes --study.
    torch
        Whether it runs models: its verb takes a device, and its job a GPU.
    resumable
        Whether an interrupted job continues from a saved state.
    measured
        Whether its jobs note what they take; the first output is then a table.
    local
        Whether its jobs run where Snakemake runs, and not on compute nodes.
    """

    name: str
    help: str
    outputs: Mapping[str, str]
    jobs: Callable[[Plan], Iterable[Coordinates]]
    target: str = "RUN"
    place: str = ""
    code: tuple[str, ...] = ()
    options: Literal["nothing", "study", "calibrators", "studies"] = "nothing"
    keys: tuple[str, ...] = ()
    plugins: str = ""
    module: str = ""
    study: bool = True
    torch: bool = False
    resumable: bool = False
    measured: bool = False
    local: bool = False

    @property
    def verb(self) -> str:
        """The verb of the command line."""
        return self.name.replace("_", "-")

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def result(self) -> str:
        """The pattern of the first output."""
        return next(iter(self.outputs.values()))

    @property
    def log(self) -> str:
        """The pattern of its logs."""
        return f"{BELOW}logs/{self.name}/{self.place}.log" if self.place else f"{BELOW}logs/{self.name}.log"

    @property
    def benchmark(self) -> str | None:
        """The pattern of the notes of what its jobs take, in the format of Snakemake's benchmark files."""
        return f"{BELOW}benchmarks/data/{self.name}/{self.place}.tsv" if self.measured else None
