"""What partitions grant, with a pretended `sinfo`; tests/slurm asks a real one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from slurm_jobs import Program

from finecal.errors import UserError
from finecal.orchestration.slurm import limits
from finecal.orchestration.slurm.limits import RequestedTime, check_time, longest, parse_minutes

RULES = Path(__file__).resolve().parents[4] / "workflow/rules"


def test_hidden_partitions_are_known(program: Program) -> None:
    program("sinfo", "case \"$*\" in *--all*) echo 'hidden|30:00';; esac")
    assert longest("hidden") == 30


SINFO = "printf 'gpu*|1-00:00:00\\nshort|30:00\\nlong|infinite\\n'"


@pytest.fixture
def three_partitions(program: Program) -> None:
    program("sinfo", SINFO)


@pytest.mark.usefixtures("three_partitions")
def test_what_partitions_grant(program: Program) -> None:
    assert [longest(name) for name in (None, "gpu", "short", "long", "other")] == [1440, 1440, 30, None, None]
    assert [longest(names) for names in ("short,gpu", "short,long")] == [1440, None]
    program("sinfo", "exit 1")  # asked once
    assert longest("short") == 30
    limits.partition_limits.cache_clear()
    assert longest("short") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("30:00", 30), ("1:05:00", 65), ("2-00:00:00", 2880), ("infinite", None), ("n/a", None)]
)
def test_minutes_of_a_limit(text: str, expected: int | None) -> None:
    assert parse_minutes(text) == expected


@pytest.mark.usefixtures("three_partitions")
def test_jobs_that_ask_for_more_time_than_there_is() -> None:
    fits = [RequestedTime("a", "short", 30), RequestedTime("b", "long", 9999), RequestedTime("c", None, None)]
    check_time(fits)
    with pytest.raises(UserError) as error:
        check_time([*fits, RequestedTime("d", "short", 31), RequestedTime("e", None, 1441)])
    assert "more minutes than their partition grants" in str(error.value)
    assert "d for 31" in str(error.value)
    assert "`--set-resources d:runtime=30 e:runtime=1440`" in str(error.value)


@pytest.mark.usefixtures("three_partitions")
def test_trainings_take_the_time_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    check_time([RequestedTime("pseudo_splits", "short", 360)])
    said = capsys.readouterr().err
    assert "pseudo_splits asks for 360 minutes, its partition grants 30" in said
    assert "goes on from its state" in said
    with pytest.raises(UserError) as error:
        check_time([RequestedTime("finetune", "short", 120), RequestedTime("d", "short", 31)])
    assert "finetune" not in str(error.value)
    rules = {name for file in RULES.glob("*.smk") for name in re.findall(r"^rule (\w+):", file.read_text(), re.M)}
    assert rules.issuperset(limits.RESUMABLE)
