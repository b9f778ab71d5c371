"""A small project on the cluster of `mini_cluster`, in a copy of the source tree.

Most Snakemakes of the tests are forks of a process that has done the imports (tests/forks), and so are the warm
processes that SLURM jobs start for their members. The launcher and the clients, which SLURM signals and ends, are
processes all the same. Where it is to reach the members, too, or to measure them, all of a job are processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import forks
from mini_cluster import PATIENCE, slurm, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "config.yaml", "profiles", "envs", "workflow")

STUDY = "tiny.yaml"
TINY: dict[str, Any] = {
    "description": "The smallest study whose fine-tuning can be interrupted.",
    "datasets": {"digits": {"options": {"per_class": 30}}},
    "tasks": {"digits": ["printed-handwritten"]},
    "backbones": ["test_resnet"],
    "image_size": 32,
    "pretraining": {
        "weights": "random",
        "training": {"lr": 0.1, "backbone_lr_scale": 1.0, "epochs": 1, "steps_per_epoch": 5, "batch_size": 32},
    },
    "recipes": {
        "short": {"recipe": "paced", "training": {"epochs": 2}},
        "long": {"recipe": "paced", "training": {"epochs": 4, "steps_per_epoch": 40}},
    },
    "training": {"lr": 0.03, "backbone_lr_scale": 0.1, "steps_per_epoch": 20, "batch_size": 8},
    "splits": {"half": {"kind": "random", "fraction": 0.5, "seed": 0}},
    "seeds": [0],
    "oracle_fine_tuning": False,
    "calibrators": ["none", "alg"],
}
SETTINGS = {"studies": [STUDY], "device": "cpu", "state_interval": 1}

# The profile as it is, but for the seconds until the first question about a job. The nodes' GPUs are pretended, so
# trainings run on the CPU, but they ask for one all the same.
SLURM = ("--profile", "profiles/slurm", "--finecal-slurm-init-seconds-before-status-checks", "1")
GPU = "finetune:gpu=1"
UNTIL_INTERRUPTED = {"PACE": "2,0"}  # a training that goes on for more than a minute, unless it was interrupted before
TASK = "results/digits/printed-handwritten/test_resnet"

# What is a fork: Snakemake and what its jobs start, Snakemake alone, or nothing.
Forks = Literal["all", "snakemake", "none"]


def in_partition(name: str) -> tuple[str, ...]:
    """Options that send jobs there. They replace all the profile's default resources; further ones may follow."""
    return ("--default-resources", f"slurm_partition={name}", "mem_mb=4000", "runtime=30")


def run_folder(recipe: str) -> str:
    return f"{TASK}/{recipe}/half/seed0"


@dataclass
class Project:
    """A working directory, and the Snakemakes that were started in it."""

    folder: Path
    source: Path
    fork: Forks = "none"
    before: list[str] = field(default_factory=list)  # in front of Snakemake's command, which then is no fork
    started: list[subprocess.Popen[bytes] | forks.Started] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "COV", "SLURM"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        found = {**kept, "PATH": path, "PYTHONPATH": str(self.source / "workflow"), "CUDA_VISIBLE_DEVICES": ""}
        return found | {"PACE": "0"}  # see paced.py

    def start(
        self, *arguments: str, environment: dict[str, str] | None = None, fork: Forks | None = None
    ) -> subprocess.Popen[bytes] | forks.Started:
        """Start Snakemake on the cluster, as a person would in a clone, with its output in `snakemake.log`."""
        command, given = [*self.before, *self._command(*arguments)], {**self.environment(), **(environment or {})}
        with self.log.open("ab") as log:
            if (chosen := fork or self.fork) != "none" and not self.before:
                forked = forks.start(command, self.source, given, log, jobs=chosen == "all")
                self.started.append(forked)
                return forked
            process = subprocess.Popen(
                command, cwd=self.source, env=given, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started.append(process)
        return process

    def finish(
        self, process: subprocess.Popen[bytes] | forks.Started, status: int | None = 0, seconds: float = 400
    ) -> str:
        """Wait for Snakemake; what it has said, after checking its exit status (None: must not be zero)."""
        found = process.wait(seconds)
        said = self.log.read_text()
        as_expected = found == status if status is not None else found != 0
        assert as_expected, f"status {found}:\n{said[-6000:]}"
        return said

    def run(
        self, *arguments: str, status: int | None = 0, environment: dict[str, str] | None = None,
        fork: Forks | None = None, seconds: float = 400,
    ) -> str:  # fmt: skip
        """Start Snakemake on the cluster, and finish it."""
        return self.finish(self.start(*arguments, environment=environment, fork=fork), status, seconds)

    def _command(self, *arguments: str) -> list[str]:
        return ["snakemake", *SLURM, *arguments, "--directory", str(self.folder)]

    def finecal(self, *arguments: str) -> str:
        """What one of finecal's own verbs says."""
        status, said = forks.run(["finecal", *arguments], self.folder, self.environment())
        assert not status, said
        return said

    def stop(self) -> None:
        """End what was started and its jobs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        if jobs := self.jobs():
            slurm("scancel", *jobs)
            wait_until(lambda: not self.jobs(), PATIENCE, "the cancelled jobs to end")

    def jobs(self, rule: str = "", *options: str) -> list[str]:
        """The numbers of this project's jobs that wait or run, all or those of a rule."""
        place = f"{self.path('.snakemake').resolve()}/slurm_logs/{rule and f'rule_{rule}/'}"
        jobs = slurm("squeue", "-h", *options, "-O", "JobID:20,STDOUT:1000").splitlines()
        return [job.split()[0] for job in jobs if place in job]

    def run_here(self, *arguments: str, cores: int = 1) -> None:
        """Run Snakemake on this machine, undisturbed, it and its jobs as forks."""
        command = ["snakemake", "--cores", str(cores), *arguments, "--directory", str(self.folder)]
        status, said = forks.run(command, self.source, self.environment())
        assert status == 0, said

    @property
    def log(self) -> Path:
        return self.folder / "snakemake.log"

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def job(self, rule: str = "finetune") -> str:
        """The number of this project's running job of a rule."""
        return str(wait_until(lambda: self.jobs(rule, "-t", "RUNNING"), 120, f"a running job of {rule}")[0])

    def wait_for_state(self, recipe: str = "short", seconds: float = 240) -> str:
        """Wait until a training has saved its state; its job."""
        state = self.path(run_folder(recipe).replace("results", "state"), "state.pt")
        wait_until(state.is_file, seconds, str(state))
        return self.job()

    def training_log(self, recipe: str = "short") -> str:
        return self.path(run_folder(recipe).replace("results", "logs/finetune") + ".log").read_text()

    def leftovers(self) -> list[str]:
        """Files that nobody should find: half-written ones, and state of trainings that are done."""
        files = [p for folder in ("results", "state") for p in self.path(folder).rglob("*") if p.is_file()]
        return [str(p) for p in files if p.name.startswith(".") or "state" in p.relative_to(self.folder).parts]


def copy_sources(target: Path) -> Path:
    """Copy what a clone has of the source tree, and add the tests' own recipe."""
    target.mkdir(parents=True)
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(REPOSITORY / name, target / name)
    for recipe in ("paced", "breaking"):
        shutil.copyfile(Path(__file__).with_name(f"{recipe}.py"), target / f"workflow/finecal/recipes/{recipe}.py")
    return target


def copy_project(project: Project, target: Path) -> Project:
    subprocess.run(["cp", "-a", str(project.folder), str(target)], check=True)
    return Project(target, project.source, project.fork)
