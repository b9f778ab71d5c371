"""What the rules need of the plan and the settings: what decides results, and how many GPUs and threads jobs get.

The Snakemake of every job imports it, so it imports nothing large.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from snakemake.common import get_function_params, overwrite_function_params

from finecal import paths, registry
from finecal.config.settings import parse_settings
from finecal.errors import UserError
from finecal.orchestration.inputs import or_stop, run_key
from finecal.orchestration.workers import not_writable_error
from finecal.plan import axes
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.runtime import readiness

# The files of a table and of a figure, first the one to look at.
PRESENTED = {
    "table": (paths.TABLE, ("md", "parquet", "csv", "tex")),
    "figure": (paths.FIGURE, ("svg", "png", "parquet")),
}

# Threads that decode the files of a data set; on this machine Snakemake gives a job no more than there are cores.
DECODING_THREADS = 8
GPU_PERCENT = "gpu_percent"  # the resource of which a machine has 100


def limit_gpu(workflow: Any) -> None:
    """Let trainings take turns on this machine's GPU whatever `--resources` says, which replaces a profile's list.

    Parameters
    ----------
    workflow
        Snakemake's.
    """
    if GPU_PERCENT not in workflow.global_resources:
        workflow.global_resources[GPU_PERCENT] = 100


def use_cores_of_nodes(workflow: Any) -> None:
    """Let jobs have the threads that their rules ask for: their nodes may have more cores than this machine.

    Snakemake takes `cores` of profiles/default, which it loads beside any other profile, for a limit of each job.

    Parameters
    ----------
    workflow
        Snakemake's, whose jobs run elsewhere.
    """
    workflow.resource_settings.cores = workflow.global_resources["_cores"] = sys.maxsize
    for job in workflow.dag.needrun_jobs():
        job.attempt = job.attempt


def keep_signatures(rules: Iterable[Any]) -> None:
    """Cache the parameters of the rules' functions, which Snakemake otherwise inspects before every call."""
    for rule in rules:
        for item in (*rule.input, *rule.params):
            given = getattr(item, "_file", item)
            given = getattr(given, "callable", given)  # of `unpack`
            function = getattr(given, "__func__", given)
            if isinstance(function, FunctionType):
                overwrite_function_params(function, get_function_params(given))


def find_own_programs() -> None:
    """Let jobs find the `finecal` of this Python, also if its environment is not activated: set the PATH.

    A `finecal` that this Python runs stays the first, such as the one that asks a warm process.
    """
    path, own = os.environ.get("PATH", os.defpath), Path(sys.executable).parent
    if (found := shutil.which("finecal", path=path)) is not None:
        with Path(found).open("rb") as program:
            if os.fsencode(own) + b"/" in program.read(1024):  # the interpreter of a script, in its first lines
                return
    os.environ["PATH"] = f"{own}{os.pathsep}{path}"


class NotCompared:
    """A part of a command that does not decide the result: when it changes, finished jobs do not run again.

    Snakemake compares only params of plain types, and this is none. (It does not compare functions of `output` either,
    but calls them for every job.)

    Parameters
    ----------
    text
        Called when a command is printed or run.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text()


class Studies:
    """The plan of the selected studies as seen by the rules.

    (It is not called Workflow: rules are read among the names of Snakemake's own module, whose class that is.)

    Parameters
    ----------
    config
        Snakemake's configuration: config.yaml with `--config` on top.
    below
        What a `module` statement puts before all paths.
    """

    def __init__(self, config: Mapping[str, Any], below: str = "") -> None:
        self.below = below
        self.settings = parse_settings(dict(config))
        self.plan = Plan(self.settings.studies)
        check_folder(Path("results"))
        self.study_option = "--study " + shlex.join(self.settings.studies)
        # One torch thread per job: small models gain nothing from more, and the jobs run side by side.
        self.threads = 1
        # Those that show something of the selected studies; the others say so when they are asked for.
        self.tables = self.plan.applicable("table")
        self.figures = self.plan.applicable("figure")
        self.report_reads = axes.read_by_report(self.plan.axes())
        self.identities = Identities(self.plan)

    def torch_options(self, *, on_cluster: bool) -> str:
        """Return the options of a job that runs models; on a cluster `auto` means the GPU that the job asks for."""
        device = "auto-gpu" if on_cluster and self.settings.device == "auto" else self.settings.device
        told = [f"--device {device} --state-interval {self.settings.state_interval:g}"]
        if self.settings.precision != "auto":
            told.append(f"--precision {self.settings.precision}")
        if self.settings.data_memory is not None:
            told.append(f"--data-memory {self.settings.data_memory:g}")
        if self.settings.compile:
            told.append("--compile")
        return " ".join(told)

    def gpus(self, *, on_cluster: bool) -> int:
        """Return the GPUs of a job that runs models: on `auto` one, except on this machine if it has none."""
        if self.settings.device == "auto":
            return int(on_cluster or _has_gpu())
        return int(self.settings.device == "cuda")

    def decoding_threads(self, dataset: str) -> int:
        """Return the threads that prepare a data set: several if its images are files, which decode in parallel."""
        return DECODING_THREADS if or_stop(lambda: self.plan.data_set(dataset).decodes_files()) else 1

    def gpu_percent(self, gpus: int) -> int:
        """Return the percentage of this machine's GPU that a job takes: `runs_per_gpu` jobs use it fully."""
        return gpus * (100 // self.settings.runs_per_gpu)

    def divide_memory(self, jobs: Iterable[Any], cores: int) -> None:
        """Set how many jobs of this machine share its memory at the same time (finecal.runtime.memory).

        Parameters
        ----------
        jobs
            Snakemake's jobs that are about to run; trainings and extractions count.
        """
        parts = [part for job in jobs if (part := job.resources.get(GPU_PERCENT)) is not None]
        at_once = min([len(parts), cores, *(100 // part for part in parts if part)])
        os.environ["FINECAL_SIDE_BY_SIDE"] = str(at_once)

    def stage(self, stage: str, wildcards: Any = None) -> str:
        """Return options and code of a job as one short line: what decides its result besides its inputs.

        Snakemake compares it with that of the last run.
        """
        return str(or_stop(lambda: self.identities.of(stage, {} if wildcards is None else dict(wildcards.items()))))

    def stage_of_runs(self, stage: str) -> Any:
        """Return `stage` as a value if it is the same for all runs, else as a function, which plans more slowly."""
        same = or_stop(lambda: self.identities.of_all(stage))
        return (lambda wildcards: self.stage(stage, wildcards)) if same is None else str(same)

    def mirror_option(self) -> str:
        """Return the options of a job that fetches files."""
        return f"--mirror {shlex.quote(self.settings.mirror)}" if self.settings.mirror else ""

    def run_folder(self, wildcards: Any) -> str:
        """Return the folder of a job's run."""
        return f"{self.below}{run_key(wildcards).folder}"

    def files(self, kind: str, name: str) -> list[str]:
        """Return all files of a table or a figure."""
        pattern, suffixes = PRESENTED[kind]
        return [f"{pattern.format(**{kind: name})}.{suffix}" for suffix in suffixes]

    def main_file(self, kind: str, name: str) -> str:
        """Return the file of a table or a figure that people look at first."""
        return self.files(kind, name)[0]

    def needs(self, kind: str, name: str) -> list[str]:
        """Return the aggregated tables that a table or a figure is made from."""
        or_stop(lambda: axes.check_applicable(kind, name, self.plan.axes()))
        return [f"{paths.TABLE.format(table=table)}.parquet" for table in registry.constant(kind, name, "NEEDS")]


@cache
def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def check_folder(folder: Path) -> Path:
    """Return the folder, or what is there of those above it; Snakemake lists it as it plans."""
    present = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    if present.exists() and not present.is_dir():
        raise UserError(f"{str(present)!r} is not a folder", where=str(folder), why="Jobs are to write there")
    return present


def check_writable(folder: Path) -> None:
    """Check that there is, or could be, a folder in which files can be written.

    Whoever only looks at finished results needs none.
    """
    present = check_folder(folder)
    if not os.access(present, os.W_OK) and present.exists():  # an empty folder of states may just be removed
        raise not_writable_error(folder)
    readiness.check_writable(folder)
