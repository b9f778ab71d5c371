"""The cluster of `mini_cluster`, started once, and the projects of `projects` on it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import pytest
import yaml
from aside import SCENARIOS as ASIDE
from mini_cluster import CONFIGURATION, MARK, PROGRAMS, Cluster, not_here
from projects import SETTINGS, STUDY, TASK, TINY, Project, copy_project, copy_sources, run_folder
from scenarios import play, select
from test_sharing import SCENARIOS as SHARING


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The running cluster; skips where SLURM is not installed, but not in CI."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        reason = f"needs {', '.join(missing)}: apt-get install slurm-wlm munge" if missing else "needs to be root"
        not_here(f"tests/slurm {reason}")
    present = CONFIGURATION / "slurm.conf"
    if present.exists() and not present.read_text().startswith(MARK):
        pytest.skip(f"{present} is not of these tests: this machine belongs to a cluster")
    # One at a time on this machine. The lock is on the file's inode, so the file stays.
    with Path("/var/lock/finecal-tests-slurm").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if left := re.search(r"^StateSaveLocation=(.*)/state$", present.read_text() if present.exists() else "", re.M):
            Cluster(Path(left[1])).stop()  # of tests that were killed
        made = Cluster(tmp_path_factory.mktemp("slurm"))
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree: an edit during the tests changes nothing for them.

    Where SLURM keeps accounts, finecal asks every two minutes why jobs wait; here more often.
    """
    copy = copy_sources(tmp_path_factory.mktemp("source") / "finecal")
    asking = copy / "workflow/finecal/orchestration/slurm/asking.py"
    sooner = asking.read_text().replace("REASON_SECONDS = 120.0", "REASON_SECONDS = 20.0")
    assert sooner != asking.read_text()
    asking.write_text(sooner)
    return copy


@pytest.fixture(scope="session")
def prepared(source: Path, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All that comes before fine-tuning, made on this machine."""
    folder = tmp_path_factory.mktemp("prepared") / "project"
    folder.mkdir()
    for name, content in ((STUDY, TINY), ("config.yaml", SETTINGS)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    project = Project(folder, source, fork="all")
    project.run_here(f"{TASK}/pretrained/logits.parquet", "results/digits/splits/half.parquet")
    return project


@pytest.fixture(scope="session")
def undisturbed(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """A recipe's run, computed on this machine without any disturbance."""

    @cache
    def made(recipe: str) -> Project:
        project = copy_project(prepared, tmp_path_factory.mktemp("undisturbed") / recipe)
        project.run_here(f"{run_folder(recipe)}/metrics.parquet")
        return project

    return made


@pytest.fixture
def project(prepared: Project, tmp_path: Path) -> Iterator[Project]:
    """A project before fine-tuning; its Snakemakes and jobs end with the test."""
    made = copy_project(prepared, tmp_path / "project")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def running(
    prepared: Project, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Project]]]:
    """The asking module's SCENARIOS of which a test is selected, side by side."""
    chosen = select(request.module.SCENARIOS, request.path.name, request.session)
    with play(chosen, prepared, cluster, tmp_path_factory.mktemp(request.path.stem), at_a_time=3) as played:
        yield played


@pytest.fixture(scope="session")
def played_aside(
    prepared: Project, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Project]]]:
    """The scenarios of aside.py and test_sharing.py of which a test is selected, while other tests go on."""
    chosen = select(ASIDE, "test_waited_for.py", request.session) | select(SHARING, "test_sharing.py", request.session)
    with play(chosen, prepared, cluster, tmp_path_factory.mktemp("aside"), at_a_time=3) as played:
        yield played
