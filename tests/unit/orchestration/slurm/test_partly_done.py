"""A study that is partly done can be started again on SLURM, whatever is done of it.

Snakemake itself plans, in a process of its own for each state, up to the point where the jobs would be submitted.
SLURM's commands are scripts.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import snakemake.cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import snakemake_executor_plugin_finecal_slurm  # noqa: F401 - Snakemake imports it in every process that plans
from finecal.orchestration.slurm import preflight

REPOSITORY = Path(__file__).resolve().parents[4]
STUDY = """\
extends: small/digits
splits:
  half0: {kind: random, fraction: 0.5, seed: 0}
  half1: {kind: random, fraction: 0.5, seed: 1}
seeds: [0, 1]
calibrators: [none, alg, pcv, wise_ft]
"""
PROGRAMS = {"sbatch": 'echo "$*" >> calls', "sinfo": "echo 'gpu*|infinite'", "squeue": "", "scontrol": "", "sacct": ""}

# Of a planned job its outputs and the places, in the list of jobs, of those that it waits for.
Planned = tuple[list[str], list[int]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "study.yaml").write_text(STUDY)
    (folder / "bin").mkdir()
    for name, script in PROGRAMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def everything(project: Path) -> list[Planned]:
    """All jobs of the study, each after those that it waits for."""
    return prepared(project, runs_per_gpu=1)


def prepared(folder: Path, *, runs_per_gpu: int) -> list[Planned]:
    """Start Snakemake with `profiles/slurm`; return the jobs it is about to submit, after `submission.prepare`."""
    fork = multiprocessing.get_context("fork")
    pipe, child = fork.Pipe()
    process = fork.Process(target=_start, args=(child, folder, runs_per_gpu))
    process.start()
    child.close()
    found: list[Planned] | str = pipe.recv() if pipe.poll(60) else "no answer"
    process.join(10)
    process.kill()
    assert isinstance(found, list), found
    return found


def _start(pipe: Connection, folder: Path, runs_per_gpu: int) -> None:
    os.chdir(folder)
    os.environ.update(PATH=f"{folder}/bin:{os.environ['PATH']}", CUDA_VISIBLE_DEVICES="")
    prepare: Callable[..., None] = preflight.prepare

    def prepare_and_stop(jobs: Any, *rest: Any) -> None:
        jobs = list(jobs)
        try:
            prepare(jobs, *rest)
            pipe.send(_described(jobs))
        except BaseException:
            pipe.send(traceback.format_exc())
        os._exit(0)

    preflight.prepare = prepare_and_stop
    sys.argv = [
        "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--profile", str(REPOSITORY / "profiles/slurm"),
        "--config", "studies=study.yaml", "device=auto", f"runs_per_gpu={runs_per_gpu}",
    ]  # fmt: skip
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(said):
        try:
            snakemake.cli.main()
        except BaseException:
            traceback.print_exc()
    pipe.send(f"Snakemake ended before the jobs were prepared:\n{said.getvalue()}")
    os._exit(0)


def _described(jobs: list[Any]) -> list[Planned]:
    """Sorted, so that each job stands after those that it waits for."""
    ordered: list[Any] = []

    def add(job: Any) -> None:
        if job in jobs and job not in ordered:
            for needed in job.dag.dependencies[job]:
                add(needed)
            ordered.append(job)

    for job in jobs:
        add(job)
    return [
        (list(map(str, job.output)), [ordered.index(n) for n in job.dag.dependencies[job] if n in ordered])
        for job in ordered
    ]


def finish(folder: Path, jobs: list[Planned]) -> None:
    """Leave the outputs of these jobs in the folder, and no others."""
    for left in ("results", ".snakemake", "calls"):
        shutil.rmtree(folder / left, ignore_errors=True)
    (folder / "calls").unlink(missing_ok=True)
    for outputs, _ in jobs:
        for output in outputs:
            (folder / output).parent.mkdir(parents=True, exist_ok=True)
            (folder / output).touch()


def with_needed(chosen: set[int], jobs: list[Planned]) -> set[int]:
    """The chosen jobs and all that they wait for."""
    found: set[int] = set()
    waiting = list(chosen)
    while waiting:
        place = waiting.pop()
        found.add(place)
        waiting += [needed for needed in jobs[place][1] if needed not in found]
    return found


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_done(project: Path, everything: list[Planned], data: st.DataObject) -> None:
    """Snakemake plans what is left, SLURM is asked about it, and nothing of it is unknown there."""
    files = [place for place, (outputs, _) in enumerate(everything) if outputs]  # `all` has none, so it is always left
    chosen = data.draw(st.sets(st.sampled_from(files), max_size=len(files) // 2), "done, with what it needs")
    runs_per_gpu = data.draw(st.sampled_from([1, 4]), "runs_per_gpu")
    done = with_needed(chosen, everything)
    if done.issuperset(files):
        return  # Snakemake has nothing to submit
    finish(project, [everything[place] for place in sorted(done)])
    planned = prepared(project, runs_per_gpu=runs_per_gpu)
    left = [outputs for place, (outputs, _) in enumerate(everything) if place not in done]
    assert sorted(outputs for outputs, _ in planned) == sorted(left)
    calls = (project / "calls").read_text()
    assert "--mem " in calls
    assert "TBD" not in calls
