"""Where SLURM keeps accounts, Snakemake asks sacct: jobs that succeed, and each way a job can end otherwise."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import yaml
from accounting import PROGRAMS, accounting
from mini_cluster import Cluster, not_here, slurm
from projects import STUDY, TINY, Project, in_partition
from scenarios import assert_as_undisturbed, by_name
from test_faults import MODEL, out_of_memory, preempted, preempted_for_good, requeue, scancel

from finecal.orchestration.slurm.commands import status_command

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def submit_limit(project: Project, _: Cluster) -> None:
    """The account may have one job at a time: the second training waits here, and no try is spent."""
    project.path(STUDY).write_text(yaml.safe_dump({**TINY, "seeds": [0, 1]}))
    models = [MODEL, MODEL.replace("seed0", "seed1")]
    said = project.run(*models, "--retries", "0", *in_partition("gpu"), "slurm_account=few")
    assert said.count("SLURM takes no more jobs for now: AssocMaxSubmitJobLimit") == 1
    assert len(re.findall(r"^SLURM job \d+ takes 1 of finetune", said, re.MULTILINE)) == 2
    assert "Error in rule" not in said
    project.run_here(models[1].replace("model.safetensors", "logits.parquet"))  # takes over what its training has left


def never_starts(project: Project, _: Cluster) -> None:
    """`sbatch` takes a job whose account the partition does not allow, and SLURM lets it wait for ever."""
    slurm("scontrol", "create", "partitionname=closed", "nodes=n3", "allowaccounts=few")
    said = project.run(MODEL, *in_partition("closed"), status=1)
    assert "SLURM would never start it" in said
    assert "set `account` in the profile" in said
    assert "Trying to restart" not in said
    assert not project.jobs()


SCENARIOS = by_name(scancel, requeue, out_of_memory, preempted, preempted_for_good, submit_limit, never_starts)


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
