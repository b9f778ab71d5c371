"""The benchmarks run. How long anything takes is never a reason to fail; so what they measure here are forks."""

from __future__ import annotations

import importlib
import os
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import forks
import pytest
from conftest import STUDY, Project

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


ROWS = {
    "allocation.py": ["glibc as it comes", "freed memory is kept"],
    "contents.py": ["list only", "first look", "second look", "planning"],
    "aggregate.py": ["all in memory", "finecal aggregate"],
    "coverage.py": ["acc_u_y", "Δ ausuc (pretrained)", "use X", "all six"],
    "curve.py": ["curve", "scikit-learn"],
    "dag.py": ["nothing built", "all built"],
    "families.py": ["mambaout"],
    "gamma.py": ["pcv_combined", "digits", "worst run"],
    "leaderboard.py": ["one read of the file", "fit and score all 22", "score `wise_ft` alone"],
    "logits_file.py": ["500", "1,000"],
    "memory.py": ["finetune", "calibrate", "evaluate"],
    "study.py": ["Snakemake, 2 cores", "one process"],
    "opening.py": ["open", "load half", "in batches"],
    "tables.py": ["np.save", "np.load", "logits.parquet"],
    "together.py": ["one after another", "in turns", "stacked"],
    "extraction.py": ["test_resnet, 32"],
    "linear_probe.py": ["1 epochs", "2 epochs"],
    "warm_jobs.py": ["evaluate", "forks and the warm process"],
    "traffic.py": ["1 scontrol", "sbatch"],
    "training.py": ["bare", "**finecal**", "usual + evaluation", "timm"],
}
SLOW = ("memory.py", "study.py", "traffic.py", "warm_jobs.py")


def table_of(script: str, *arguments: str | Path) -> list[list[str]]:
    """The cells of the table that a benchmark prints, its head included."""
    command = ["python", *map(str, (BENCHMARKS / script, *arguments))]
    status, said = forks.run(command, BENCHMARKS.parent, os.environ)
    assert not status, said
    return [line.strip("| ").split(" | ") for line in said.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(
    "script",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ROWS],
)
def test_quick(script: str) -> None:
    cells = [cell for row in table_of(script, "--quick") for cell in row]
    assert all(any(name in cell for cell in cells) for name in ROWS[script]), cells


@pytest.mark.slow
def test_page() -> None:
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    head, row = table_of("page.py", "--quick")
    assert head == ["page", "MiB", "can be read (ms)", "scripts have run (ms)", "charts drawn (ms)"]
    assert 0 < float(row[1]) < 5
    assert 0 < float(row[2]) <= float(row[4])


def test_a_built_sweep_is_as_after_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snakemake has its notes of all jobs: it finds nothing to do, and after an edit it says which params changed."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    dag = importlib.import_module("dag")
    sweep = dag.finecal(tmp_path / "sweep", 2, BENCHMARKS.parent / "Snakefile")
    assert sweep.build() > 14
    study = sweep.folder / "sweep.yaml"
    study.write_text(re.sub(r"^( *epochs: ).*$", r"\g<1>77", study.read_text(), flags=re.MULTILINE))
    assert re.search(r"params have changed.*:\n +pretrain$", sweep.plan().output, re.MULTILINE)


@pytest.mark.slow
def test_kills_change_nothing(complete: Project, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the sixty kills of docs/reliability.md, on the smallest study."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.chdir(project.folder)
    kills = importlib.import_module("kills")
    killed = kills.Kills(project.folder, STUDY, 2, 2, random.Random(0), Counter())
    killed.one_by_one()
    killed.finish()
    files, different = kills.differences(complete.path("results"), project.path("results"))
    assert files > 100
    assert different == []
    assert sum(killed.hit.values()) == 2
    assert not project.path("state").exists()


def test_files_of_a_run(complete: Project) -> None:
    """Every file of a run is counted, with the note that Snakemake keeps of it; not those of a study."""
    head, *rows = table_of("sweep.py", "--directory", complete.folder, "--runs", "1000")
    assert head == ["of a run", "files", "KiB", "1,000 runs: files, GiB"]
    files = {row[0]: float(row[1]) for row in rows}
    halves = [file for file in complete.files() if "/half" in file and "/splits/" not in file]
    hashes = [file for file in halves if file.endswith(".sha256")]  # which no rule makes
    assert hashes
    assert files["results"] == files["notes of Snakemake"] + len(hashes) / 2 == len(halves) / 2
    assert files["together"] == sum(files.values()) - files["together"]
    assert next(row for row in rows if row[0] == "results")[3].startswith(f"{500 * len(halves):,}, ")
