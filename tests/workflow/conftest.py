"""Real Snakemake runs in temporary folders.

Commands are forks of a process that has done the imports (tests/forks), but for those that are started to be killed and
where a test says that they are not. The tests work on a copy of the source tree, taken once: an edit during the tests,
or by a test, then changes nothing for the others. One tiny study is computed once, by processes of its own, and copied
for each test that needs results; most tests look only at which jobs Snakemake would run.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forks
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "config.yaml", "profiles", "envs", "workflow")

# Names that a person would not choose, so that nothing of the built-in studies is met by accident.
STUDY = "tiny.yaml"
TINY: dict[str, Any] = {
    "description": "The smallest study that has everything.",
    "datasets": {"digits": {"options": {"per_class": 30, "test_fraction": 0.1}, "validation_fraction": 0.1}},
    "tasks": {"digits": ["printed-handwritten"]},
    "backbones": ["test_resnet"],
    "image_size": 32,
    "pretraining": {
        "weights": "random",
        "training": {"lr": 0.1, "backbone_lr_scale": 1.0, "epochs": 2, "steps_per_epoch": 5, "batch_size": 32},
    },
    "training": {"lr": 0.03, "backbone_lr_scale": 0.1, "epochs": 2, "steps_per_epoch": 12, "batch_size": 16},
    "recipes": ["full"],
    "splits": {
        "half0": {"kind": "random", "fraction": 0.5, "seed": 0},
        "half1": {"kind": "random", "fraction": 0.5, "seed": 1},
    },
    "seeds": [0],
    "pseudo_splits": {"folds": 2},
    "calibrators": ["none", "alg", "pcv", "source_gap", "temperature", "oracle", "cosine", "ncm", "wise_ft"],
}
SETTINGS = {"studies": [STUDY], "device": "cpu", "state_interval": 60}

RUNS = "results/digits/printed-handwritten/test_resnet/full"
OUTPUTS = {
    "prepare": ["results/digits/images/{}.parquet"],
    "split": ["results/digits/splits/{}.parquet"],
    "pretrain": [
        f"results/digits/pretrained/{{}}/{file}" for file in ("model.safetensors", "head.parquet", "history.parquet")
    ],
    "class_means": ["results/digits/pretrained/{}/class_means.parquet"],
    "extract_pretrained": ["results/digits/{}/pretrained/logits.parquet"],
    "finetune": [f"{RUNS}/{{}}/{file}" for file in ("model.safetensors", "head.parquet", "history.parquet")],
    "pseudo_splits": [f"{RUNS}/{{}}/pcv/{file}" for file in ("logits.parquet", "history.parquet")],
    "extract": [f"{RUNS}/{{}}/logits.parquet"],
    "interpolate": [f"{RUNS}/{{}}/interpolated/logits.parquet"],
    "calibrate": [f"{RUNS}/{{}}/calibration.parquet"],
    "evaluate": [f"{RUNS}/{{}}/{file}.parquet" for file in ("metrics", "curve", "samples")],
    "gamma_draws": [f"{RUNS}/{{}}/gamma_draws.parquet"],
    "update_similarity": [f"{RUNS}/{{}}/update_similarity.parquet", f"{RUNS}/{{}}/update_similarity_means.parquet"],
    "feature_map": [f"{RUNS}/{{}}/feature_map.parquet"],
    "aggregate": ["results/tables/{}.parquet"],
    "cost_table": ["results/tables/{}.parquet"],
    "run_table": ["results/tables/{}.parquet"],
    "table": [f"results/tables/{{}}.{suffix}" for suffix in ("csv", "parquet", "md", "tex")],
    "figure": [f"results/figures/{{}}.{suffix}" for suffix in ("svg", "png", "parquet")],
    "report": ["results/{}.html", "results/studies.yaml"],
}
PRETRAINED = "printed/test_resnet"
TASK = "printed-handwritten/test_resnet"

Jobs = dict[str, set[str]]


def jobs(**named: list[str]) -> Jobs:
    """Rule → all outputs of its jobs, from the part of the outputs' paths that tells the jobs apart."""
    return {
        rule: {pattern.format(part) for part in parts for pattern in OUTPUTS[rule]}
        for rule, parts in named.items()
        if parts
    }


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "COV"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "CUDA_VISIBLE_DEVICES": ""}


def _checked(found: int, output: str, command: list[str], status: int | None) -> str:
    as_expected = found == status if status is not None else found != 0
    # What failed stands among hundreds of lines, so it is told once more at the end.
    failed = "\n".join(re.findall(r"^Error in rule .*?(?=^\[|^Execute|^Select|\Z)", output, re.MULTILINE | re.DOTALL))
    assert as_expected, f"status {found} of {' '.join(command)}:\n{output}\n{failed}"
    return output


@dataclass(frozen=True)
class Project:
    """A working directory and the source tree that it is run with."""

    folder: Path
    source: Path
    forks: bool = True  # whether Snakemake, finecal and its jobs are forks of a process that has done the imports

    def environment(self) -> dict[str, str]:
        return {**_environment(), "PYTHONPATH": str(self.source / "workflow")}

    def start(self, *command: str | Path, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command in the folder, in a process group of its own, its output appended to `log`; never a fork."""
        with (log or Path(os.devnull)).open("ab") as output:
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *command: str | Path, status: int | None = 0) -> str:
        """Run a command in the folder; its output, after checking its exit status (None: must not be zero)."""
        parts = [str(part) for part in command]
        if self.forks and parts[0] in forks.PROGRAMS:
            return self.forked(*parts, status=status)
        # In a session of its own, since Linux divides the processor among sessions first.
        done = subprocess.run(
            parts,
            cwd=self.folder,
            env=forks.for_jobs(self.environment()) if self.forks else self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
            start_new_session=True,
        )
        return _checked(done.returncode, done.stdout, parts, status)

    def snakemake_command(self, *arguments: str) -> list[str]:
        options = ["--snakefile", str(self.source / "Snakefile"), "--directory", str(self.folder)]
        return ["snakemake", *arguments, *options]

    def snakemake(self, *arguments: str, status: int | None = 0) -> str:
        return self.run(*self.snakemake_command(*arguments), status=status)

    def finecal(self, *arguments: str | Path, status: int | None = 0) -> str:
        return self.run("finecal", *arguments, status=status)

    def planned(self, *arguments: str) -> Jobs:
        """Rule → outputs of the jobs that Snakemake would run; targets without outputs are left out."""
        return {rule: {o for job in found for o in job["output"]} for rule, found in self.blocks(*arguments).items()}

    def forked(self, *command: str, status: int | None = 0) -> str:
        """As `run`, for `snakemake` and `finecal`, from a process that has done the imports: see tests/forks."""
        found, output = forks.run(command, self.folder, self.environment())
        return _checked(found, output, list(command), status)

    def dry_run(self, *arguments: str, status: int | None = 0) -> str:
        return self.forked(*self.snakemake_command("--dry-run", *arguments), status=status)

    def blocks(self, *arguments: str) -> dict[str, list[dict[str, list[str]]]]:
        """Rule → the jobs that Snakemake would run, with input, output and log files, as a dry run prints them."""
        found: dict[str, list[dict[str, list[str]]]] = {}
        for block in self.dry_run(*arguments).split("\n\n"):
            rule = re.search(r"^(?:local)?rule (\w+):$", block, re.MULTILINE)
            lines = dict(re.findall(r"^    (input|output|log): (.*)$", block, re.MULTILINE))
            if rule and "output" in lines:
                found.setdefault(rule[1], []).append({name: text.split(", ") for name, text in lines.items()})
        return found

    @contextmanager
    def study(self) -> Iterator[dict[str, Any]]:
        """The study, to be changed in the block."""
        yield from _changed(self.folder / STUDY)

    @contextmanager
    def settings(self) -> Iterator[dict[str, Any]]:
        """config.yaml, to be changed in the block."""
        yield from _changed(self.folder / "config.yaml")

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def files(self, folder: str = "results") -> set[str]:
        """The files below a folder, hidden ones included."""
        return {str(p.relative_to(self.folder)) for p in self.path(folder).rglob("*") if p.is_file()}


def _changed(file: Path) -> Iterator[dict[str, Any]]:
    content = yaml.safe_load(file.read_text())
    yield content
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def copy_sources(target: Path, origin: Path = REPOSITORY) -> Path:
    """Copy what a clone has of the source tree; the copies are new files, with the time of now."""
    target.mkdir(parents=True)
    for name in SOURCES:
        if (origin / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(origin / name, target / name, ignore=ignored, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(origin / name, target / name)
    return target


def copy_folder(origin: Path, target: Path) -> Path:
    """`cp -a`: the files keep their times."""
    subprocess.run(["cp", "-a", str(origin), str(target)], check=True)
    return target


def one_paragraph(output: str, *parts: str) -> str:
    """The message of finecal in an output, once it is checked: no traceback, each of the parts in it."""
    assert "Traceback" not in output, output
    messages = [line for line in output.splitlines() if line.startswith("finecal: ")]
    assert len(messages) == 1, output
    for part in parts:
        assert part in messages[0], messages[0]
    return messages[0]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once, also if the tests run in several processes (pytest-xdist)."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    folder.mkdir(exist_ok=True)
    return folder


def _once(place: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder unless another process has; a failure is not tried again."""
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = place.with_name(f"{place.name}.outcome")
        if not outcome.exists():
            try:
                make(place)
                outcome.touch()
            except BaseException as error:
                outcome.write_text(f"{place.name} could not be made: {error}")
                raise
    failure = outcome.read_text()
    assert not failure, failure[:300]
    return place


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    """A copy of the source tree, never changed."""
    return _once(shared / "source", lambda place: copy_sources(place) and None)


def _write_study(folder: Path) -> None:
    folder.mkdir()
    for name, content in ((STUDY, TINY), ("config.yaml", SETTINGS)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="session")
def complete(shared: Path, source: Path) -> Project:
    """The tiny study with all its results, made by `snakemake --cores 2`. Never changed: see `project`."""

    def make(place: Path) -> None:
        _write_study(place)
        Project(place, source, forks=False).snakemake("--cores", "2")

    return Project(_once(shared / "complete", make), source)


@pytest.fixture
def project(complete: Project, tmp_path: Path) -> Project:
    """A copy of the complete project, for one test."""
    return Project(copy_folder(complete.folder, tmp_path / "project"), complete.source)


@pytest.fixture
def empty(source: Path, tmp_path: Path) -> Project:
    """The tiny study without results."""
    _write_study(tmp_path / "empty")
    return Project(tmp_path / "empty", source)
