"""What is left of a Snakemake that was killed, with a pretended `squeue`; tests/slurm asks a real one."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from slurm_jobs import Program

from finecal.errors import UserError
from finecal.orchestration.slurm import recovery

ME = getpass.getuser()


def line(number: int, log: str, user: str = ME) -> str:
    known = {"JobID": str(number), "UserName": user, "Name": "run-7", "STDOUT": log}
    return "".join(f"{known.get(name, ''):<{width}}" for name, width in recovery.COLUMNS.items())


def queue(program: Program, *lines: str) -> None:
    program("squeue", "\n".join(f"echo '{one}'" for one in lines))


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "others_at_work", lambda: "")


def test_only_the_jobs_of_a_folder_are_its_jobs(program: Program, tmp_path: Path) -> None:
    logs = f"{tmp_path}/.snakemake/slurm_logs/rule_a"
    other = f"{tmp_path}2/.snakemake/slurm_logs/rule_a/2.log"
    queue(program, line(1, f"{logs}/1.log"), line(2, other), line(3, f"{logs}/%j.log"))
    program("scancel", f"echo $* > {tmp_path}/cancelled; echo '#!/bin/sh' > {tmp_path}/bin/squeue")
    recovery.tidy_up([])
    assert (tmp_path / "cancelled").read_text() == "1 3\n"


@pytest.mark.parametrize("known", ["as it is called here", "as it is"])
def test_a_link_is_where_it_leads_to(program: Program, tmp_path: Path, known: str) -> None:
    """`.snakemake` may be one, to a larger disk; SLURM may know the jobs by either name."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / ".snakemake").symlink_to(tmp_path / "scratch")
    place = ".snakemake" if known == "as it is called here" else "scratch"
    queue(program, line(1, f"{tmp_path}/{place}/slurm_logs/rule_a/1.log"))
    assert recovery.find_jobs(tmp_path / recovery.LOGS) == ["1"]


def test_jobs_of_other_people_are_not_trained_beside(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who have written logs here are asked about, too; a Snakemake cannot cancel their jobs."""
    monkeypatch.setattr(recovery, "_writers", lambda _: {"anna"})
    logs = f"{tmp_path}/.snakemake/slurm_logs/rule_a"
    shown = line(4, f"{logs}/shared_1/%j.log", "anna")
    program("squeue", f"case \"$*\" in *anna*) echo '{shown}';; esac")
    with pytest.raises(UserError, match=r"jobs of anna are at work in this folder \(4\)"):
        recovery.tidy_up([])


@pytest.mark.parametrize("squeue", ["echo 'slurm_load_jobs error: no route' >&2; exit 1", "exit 1"])
def test_a_queue_that_does_not_answer(program: Program, squeue: str) -> None:
    program("squeue", squeue)
    with pytest.raises(UserError, match=r"SLURM does not answer: .*`squeue` must work here"):
        recovery.tidy_up([])


def test_scancel_that_minds_a_job_that_has_just_ended(program: Program, tmp_path: Path) -> None:
    queue(program, line(1, f"{tmp_path}/.snakemake/slurm_logs/rule_a/1.log"))
    program("scancel", f"echo '#!/bin/sh' > {tmp_path}/bin/squeue; echo 'Invalid job id specified' >&2; exit 1")
    recovery.tidy_up([])
