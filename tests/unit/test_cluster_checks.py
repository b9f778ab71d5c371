"""What is asked of SLURM, with a pretended `scontrol`, `sinfo` and `squeue`; tests/slurm asks a real one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from finecal import cluster
from finecal.errors import UserError
from finecal.state import Signals

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Make a shell script that is found under a name; nothing else is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("kept", "command"), [("slurmdbd", "sacct"), ("none", "squeue"), ("filetxt", "squeue"), ("(null)", "squeue")]
)
def test_jobs_are_asked_about_where_slurm_keeps_them(program: Program, kept: str, command: str) -> None:
    program("scontrol", f"echo 'AccountingStorageType   = accounting_storage/{kept}'")
    assert cluster.status_command() == command


def test_without_slurm_the_profile_can_be_read(program: Program) -> None:
    assert cluster.status_command() == "squeue"


def test_slurm_that_does_not_answer(program: Program) -> None:
    program("sbatch", "")
    program("sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UserError, match="SLURM does not answer: slurm_load_partitions: Unable to contact"):
        cluster.check_slurm([])


def test_only_the_jobs_of_a_folder_are_its_jobs(program: Program, tmp_path: Path) -> None:
    logs = f"{tmp_path}/.snakemake/slurm_logs/rule_a"
    lines = [f"{1:<24}{logs}/1.log", f"{2:<24}{tmp_path}2/.snakemake/slurm_logs/rule_a/2.log", f"{3:<24}{logs}/3.log"]
    program("squeue", "\n".join(f"echo '{line}'" for line in lines))
    program("scancel", f"echo $* > {tmp_path}/cancelled; echo '#!/bin/sh' > {tmp_path}/bin/squeue")
    cluster.cancel_left_jobs()
    assert (tmp_path / "cancelled").read_text() == "1 3\n"


def test_the_file_system_of_a_folder(tmp_path: Path) -> None:
    assert cluster._filesystem(Path("/proc/self")) == "proc"
    assert cluster._filesystem(tmp_path) != "proc"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGURG, signal.SIGUSR1])
def test_a_warning_is_noted(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Signals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
    assert signal.getsignal(number) == before
