"""Where SLURM keeps accounts, Snakemake asks sacct: jobs that succeed, and each way a job can end otherwise."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from accounting import PROGRAMS, accounting
from mini_cluster import Cluster, not_here, slurm
from projects import Project
from scenarios import assert_as_undisturbed, by_name
from test_faults import out_of_memory, preempted, preempted_for_good, requeue, scancel

from finecal.orchestration.slurm.commands import status_command

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
SCENARIOS = by_name(scancel, requeue, out_of_memory, preempted, preempted_for_good)


@pytest.fixture(scope="module")
def with_accounts(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster while it keeps accounts; skips where they cannot be kept, but not in CI."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        not_here(f"accounts need {', '.join(missing)}: apt-get install slurmdbd mariadb-server")
    with accounting(cluster):
        yield cluster


def questions() -> int:
    """How often slurmdbd was asked about jobs, as sacct does."""
    found = re.search(r"DBD_GET_JOBS_COND\s.*count:(\d+)", slurm("sacctmgr", "show", "stats"))
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def running(with_accounts: Cluster, running: dict[str, Future[Project]]) -> Iterator[dict[str, Future[Project]]]:
    """The selected scenarios, side by side, where `sacct` knows of them."""
    assert status_command() == "sacct"
    yield running
    assert questions() > len(running)


@pytest.mark.fault
@pytest.mark.parametrize("name", SCENARIOS)
def test_fault(name: str, running: dict[str, Future[Project]], undisturbed: Callable[[str], Project]) -> None:
    assert_as_undisturbed(running[name].result(timeout=900), undisturbed, "short")
