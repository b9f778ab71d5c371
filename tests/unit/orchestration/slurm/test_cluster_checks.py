"""What is asked of SLURM, with a pretended `scontrol`, `sinfo` and `squeue`; tests/slurm asks a real one."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.orchestration.slurm import cluster
from finecal.runtime.signals import WARNINGS
from finecal.training.state import Signals

RULES = Path(__file__).resolve().parents[4] / "workflow/rules"
Program = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def forget_partitions() -> None:
    cluster.partition_limits.cache_clear()


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


@pytest.mark.parametrize("squeue", ["echo 'slurm_load_jobs error: no route' >&2; exit 1", "exit 1"])
def test_a_queue_that_does_not_answer(program: Program, squeue: str) -> None:
    program("squeue", squeue)
    with pytest.raises(UserError, match=r"SLURM does not answer: .*`squeue` must work here"):
        cluster.cancel_left_jobs()


def test_scancel_that_minds_a_job_that_has_just_ended(program: Program, tmp_path: Path) -> None:
    program("squeue", f"echo '{1:<24}{tmp_path}/.snakemake/slurm_logs/rule_a/1.log'")
    program("scancel", f"echo '#!/bin/sh' > {tmp_path}/bin/squeue; echo 'Invalid job id specified' >&2; exit 1")
    cluster.cancel_left_jobs()


def test_hidden_partitions_are_known(program: Program) -> None:
    program("sinfo", "case \"$*\" in *--all*) echo 'hidden|30:00';; esac")
    assert cluster.longest("hidden") == 30


@pytest.mark.parametrize("number", WARNINGS)
def test_a_warning_is_noted(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Signals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
    assert signal.getsignal(number) == before


SINFO = "printf 'gpu*|1-00:00:00\\nshort|30:00\\nlong|infinite\\n'"


@pytest.fixture
def limits(program: Program) -> None:
    program("sinfo", SINFO)


@pytest.mark.usefixtures("limits")
def test_what_partitions_grant(program: Program) -> None:
    assert [cluster.longest(name) for name in (None, "gpu", "short", "long", "other")] == [1440, 1440, 30, None, None]
    assert [cluster.longest(names) for names in ("short,gpu", "short,long")] == [1440, None]
    program("sinfo", "exit 1")  # asked once
    assert cluster.longest("short") == 30
    cluster.partition_limits.cache_clear()
    assert cluster.longest("short") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("30:00", 30), ("1:05:00", 65), ("2-00:00:00", 2880), ("infinite", None), ("n/a", None)]
)
def test_minutes_of_a_limit(text: str, expected: int | None) -> None:
    assert cluster.minutes(text) == expected


@pytest.mark.usefixtures("limits")
def test_jobs_that_ask_for_more_time_than_there_is() -> None:
    fits = [cluster.Asked("a", "short", 30), cluster.Asked("b", "long", 9999), cluster.Asked("c", None, None)]
    cluster.check_time(fits)
    with pytest.raises(UserError) as error:
        cluster.check_time([*fits, cluster.Asked("d", "short", 31), cluster.Asked("e", None, 1441)])
    assert "more minutes than their partition grants" in str(error.value)
    assert "d for 31" in str(error.value)
    assert "`--set-resources d:runtime=30 e:runtime=1440`" in str(error.value)


@pytest.mark.usefixtures("limits")
def test_trainings_take_the_time_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    cluster.check_time([cluster.Asked("pseudo_splits", "short", 360)])
    said = capsys.readouterr().err
    assert "pseudo_splits asks for 360 minutes, its partition grants 30" in said
    assert "goes on from its state" in said
    with pytest.raises(UserError) as error:
        cluster.check_time([cluster.Asked("finetune", "short", 120), cluster.Asked("d", "short", 31)])
    assert "finetune" not in str(error.value)
    rules = {name for file in RULES.glob("*.smk") for name in re.findall(r"^rule (\w+):", file.read_text(), re.M)}
    assert rules.issuperset(cluster.RESUMABLE)
