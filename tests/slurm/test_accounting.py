"""Where SLURM keeps accounts, Snakemake asks sacct: jobs that succeed, and each way a job can end otherwise."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import yaml
from accounting import PROGRAMS, accounting
from mini_cluster import PATIENCE, Cluster, not_here, slurm, wait_until
from projects import STUDY, TINY, Project, in_partition
from scenarios import assert_as_undisturbed, by_name
from test_faults import MODEL, out_of_memory, preempted, preempted_for_good, requeue, scancel

from finecal.orchestration.slurm.commands import status_command

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
SHORT = {"short": TINY["recipes"]["short"]}


def site_with_accounts(project: Project, _: Cluster) -> None:
    """A site with accounts, QoS and limits of submitted jobs: from docs/cluster.md's first steps to a table.

    A wrong account is one error that lists one's own. What is more than three jobs waits, and no try is spent.
    """
    project.path(STUDY).write_text(yaml.safe_dump({**TINY, "recipes": SHORT, "seeds": list(range(5))}))
    assert re.search(r"^ *finetune +5$", project.finecal("check"), re.MULTILINE)
    wrong = project.run("table1", *in_partition("gpu"), "slurm_account=mine", status=2)
    assert "Yours are: all, four" in wrong
    said = project.run("table1", *in_partition("gpu"), "slurm_account=four", "qos=normal", "--retries", "0")
    assert "has at most 4 jobs in SLURM at a time; so has finecal" in said
    assert said.count("SLURM takes no more jobs for now: AssocGrpSubmitJobsLimit") == 1
    assert len(re.findall(r"^SLURM job \d+ takes 1 of finetune", said, re.MULTILINE)) == 5
    assert "Error in rule" not in said
    assert project.path("results/tables/main.md").is_file()


def reserved_and_held(project: Project, _: Cluster) -> None:
    """A maintenance, then a hold: each is said once, with what to do, and `finecal status` says it, too."""
    slurm("scontrol", "create", "partitionname=maintained", "nodes=n3")
    slurm(
        "scontrol", "create", "reservation", "reservationname=service", "starttime=now", "duration=60", "users=root",
        "flags=maint,ignore_jobs", "nodes=n3",
    )  # fmt: skip
    running = project.start(MODEL, *in_partition("maintained"))
    said = project.log.read_text
    wait_until(lambda: "`scontrol show reservation`" in said(), PATIENCE, "the maintenance to be said")
    (job,) = project.jobs("finetune")
    slurm("scontrol", "uhold", job)  # as a user does; of root it would be an administrator's
    slurm("scontrol", "delete", "reservation=service")
    held = f"SLURM job {job} waits (JobHeldUser): it is held: `scontrol release {job}` lets it start"
    wait_until(lambda: held in project.finecal("status"), PATIENCE, "the hold to be seen")
    slurm("scontrol", "release", job)
    project.finish(running)


def never_starts(project: Project, _: Cluster) -> None:
    """`sbatch` takes a job whose account the partition does not allow, and SLURM lets it wait for ever."""
    slurm("scontrol", "create", "partitionname=closed", "nodes=n3", "allowaccounts=four")
    said = project.run(MODEL, *in_partition("closed"), status=1)
    assert "SLURM would never start it" in said
    assert "set `account` in the profile" in said
    assert "Trying to restart" not in said
    assert not project.jobs()


SCENARIOS = by_name(
    never_starts, scancel, requeue, out_of_memory, preempted, preempted_for_good, site_with_accounts, reserved_and_held
)


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
