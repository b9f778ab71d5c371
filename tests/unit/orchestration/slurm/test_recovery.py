"""What is left of a Snakemake that was killed, with a pretended `squeue`; tests/slurm asks a real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_jobs import Program

from finecal.errors import UserError
from finecal.orchestration.slurm import recovery


def test_only_the_jobs_of_a_folder_are_its_jobs(program: Program, tmp_path: Path) -> None:
    logs = f"{tmp_path}/.snakemake/slurm_logs/rule_a"
    lines = [f"{1:<24}{logs}/1.log", f"{2:<24}{tmp_path}2/.snakemake/slurm_logs/rule_a/2.log", f"{3:<24}{logs}/3.log"]
    program("squeue", "\n".join(f"echo '{line}'" for line in lines))
    program("scancel", f"echo $* > {tmp_path}/cancelled; echo '#!/bin/sh' > {tmp_path}/bin/squeue")
    recovery.cancel_left_jobs()
    assert (tmp_path / "cancelled").read_text() == "1 3\n"


@pytest.mark.parametrize("squeue", ["echo 'slurm_load_jobs error: no route' >&2; exit 1", "exit 1"])
def test_a_queue_that_does_not_answer(program: Program, squeue: str) -> None:
    program("squeue", squeue)
    with pytest.raises(UserError, match=r"SLURM does not answer: .*`squeue` must work here"):
        recovery.cancel_left_jobs()


def test_scancel_that_minds_a_job_that_has_just_ended(program: Program, tmp_path: Path) -> None:
    program("squeue", f"echo '{1:<24}{tmp_path}/.snakemake/slurm_logs/rule_a/1.log'")
    program("scancel", f"echo '#!/bin/sh' > {tmp_path}/bin/squeue; echo 'Invalid job id specified' >&2; exit 1")
    recovery.cancel_left_jobs()
