"""Time and memory as people write them, and as Snakemake understands them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slurm_jobs import job, rule
from snakemake.resources import Resource
from snakemake.resources import Resources as Written

from finecal.errors import UserError
from finecal.orchestration.slurm.asked import check_asked, check_profiles, check_words, say_constant_memory
from finecal.orchestration.slurm.requests import Resources, in_units_of_slurm

WARNED = {"slurm_extra": "--signal=URG@120"}


def understood(text: str) -> Any:
    value = Written.parse([f"runtime={text}"], allow_expressions=True)["runtime"]
    known = {"input": [], "attempt": 1, "threads": 1, "rulename": "a", "async_run": None}
    return value.evaluate({}, **known).value if value.is_evaluable() else value.value


@pytest.mark.parametrize(("text", "minutes"), [("90.0", "1 minute"), ("2-12", "-10 minutes"), ("2", "2 minutes")])
def test_what_was_meant_in_another_way(text: str, minutes: str) -> None:
    with pytest.raises(UserError, match=rf"the time of finetune was understood as {minutes}\b"):
        check_asked("finetune", Resources(runtime=understood(text), **WARNED))


@pytest.mark.parametrize("text", ["3", "90", "1.5h", "2.5d", "30*attempt"])
def test_what_is_understood(text: str) -> None:
    check_asked("finetune", Resources(runtime=understood(text), **WARNED))


def test_light_jobs_and_trainings_that_are_warned_later_may_be_short() -> None:
    check_asked("evaluate", Resources(runtime=1, **WARNED))
    check_asked("finetune", Resources(runtime=1, slurm_extra="--signal=URG@1"))
    check_asked("finetune", Resources(runtime=1))
    with pytest.raises(UserError, match="evaluate was understood as -10 minutes"):
        check_asked("evaluate", Resources(runtime=-10))


def test_memory_that_does_not_grow_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    fixed, growing, light = job("finetune"), job("pseudo_splits"), job("evaluate")
    fixed.rule = rule("finetune", resources={"mem_mb": Resource("mem_mb", 4000)})
    growing.rule = rule("pseudo_splits", resources={"mem_mb": Resource("mem_mb", lambda: 1)})
    light.rule = rule("evaluate", resources={"mem_mb": Resource("mem_mb", 4000)})
    say_constant_memory([fixed, fixed, growing, light])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "finetune gets 4000 MB at each try" in said
    assert "'finetune:mem_mb=4000*attempt'" in said


@pytest.mark.parametrize("word", ["evaluate:runtime=90.0", "runtime=90.5", "runtime='90.5'"])
def test_decimals_of_light_jobs_and_of_all(word: str) -> None:
    """Snakemake has made a whole number of them when it tells of resources."""
    with pytest.raises(UserError, match=r"runtime=90\.\d was understood as 1 minute\b"):
        check_words(["snakemake", word])


@pytest.mark.parametrize("word", ["evaluate:mem=4.5", "disk=1000.0"])
def test_decimals_of_memory(word: str) -> None:
    with pytest.raises(UserError, match=r"was understood as 1 MB\b"):
        check_words([word])


def test_words_that_are_understood() -> None:
    check_words(
        ["--set-resources", "evaluate:runtime=90", "finetune:runtime=1.5h", "runtime=30*attempt", "runtime=90."]
    )
    check_words(["mem_mb=4500", "mem=4.5GB", "mem_mb=4500.0", "temp=4.5", "finetune:mem_mb=1.5e4"])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("default-resources: {runtime: 2.5}", "default-resources runtime"),
        ("default-resources: ['runtime=2.5']", "default-resources runtime"),
        ("set-resources: {evaluate: {runtime: 2.5}}", "set-resources evaluate:runtime"),
        ("default-resources: {runtime: 1.5h, mem_mb: 5}", ""),
        ("scheduler: greedy", ""),
    ],
)
def test_decimals_in_a_profile(text: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also in one that is named by a path from where Snakemake was started."""
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/profile.yaml").write_text(text)
    words = ["--profile", "profile", "--workflow-profile", "none"]
    if key:
        with pytest.raises(UserError) as raised:
            check_profiles(words, tmp_path)
        assert str(raised.value).startswith(f"profile/profile.yaml: {key}: runtime=2.5 was understood as 1 minute.")
    else:
        check_profiles(words, tmp_path)
    assert capsys.readouterr().err == ""


def test_a_command_line_that_is_not_snakemakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_profiles(["--no-such-option"], tmp_path)
    assert capsys.readouterr().err == ""


def test_memory_is_asked_for_in_slurms_units() -> None:
    asked = in_units_of_slurm(Resources(mem_mb=4295, mem_mb_per_cpu=None, runtime=5))
    assert asked == {"mem_mb": 4096, "mem_mb_per_cpu": None, "runtime": 5}
