"""How SLURM is asked for the state of jobs, with a pretended `scontrol`."""

from __future__ import annotations

import pytest
from slurm_jobs import Program

from finecal.orchestration.slurm.commands import status_command


@pytest.mark.parametrize(
    ("kept", "command"), [("slurmdbd", "sacct"), ("none", "squeue"), ("filetxt", "squeue"), ("(null)", "squeue")]
)
def test_jobs_are_asked_about_where_slurm_keeps_them(program: Program, kept: str, command: str) -> None:
    program("scontrol", f"echo 'AccountingStorageType   = accounting_storage/{kept}'")
    assert status_command() == command


def test_without_slurm_the_profile_can_be_read(program: Program) -> None:
    assert status_command() == "squeue"
