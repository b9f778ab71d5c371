"""A training that was started twice: the second one takes what the first one has made, if it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_why import finish, of, plan

from finecal.cli import waiting
from finecal.cli.waiting import is_made_by_another
from finecal.io import lease
from finecal.io.provenance import sha256
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES

__all__ = ["plan"]  # the fixture
STAGE = STAGES["finetune"]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What another process does between two looks at its lease, until it ends."""
    todo: list[Any] = []

    def held_by(path: Path) -> str:
        assert path.name == "seed0.lease"
        if not todo:
            return ""
        todo.pop(0)()
        return "process 12 on node7"

    monkeypatch.setattr(lease, "held_by", held_by)
    monkeypatch.setattr(waiting, "LOOK", 0)
    return todo


def test_nobody_is_at_work(plan: Plan, ends: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is made anew: it was asked for."""
    assert not is_made_by_another(STAGE, of(plan, "finetune").wildcards, plan)
    assert capsys.readouterr().err == ""


def test_what_was_made_meanwhile_is_taken(
    plan: Plan,
    ends: list[Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    job, given = of(plan, "finetune"), Path("given")
    given.write_text("as it was")

    def make() -> None:
        finish(plan, job, [given])

    ends += [lambda: None, make]
    assert is_made_by_another(STAGE, job.wildcards, plan)
    said = capsys.readouterr().err
    assert said.startswith("waiting: process 12 on node7 is working on the training")
    assert f"{job.result.parent}; it is taken as it is" in said


def test_what_is_not_the_same_is_made(plan: Plan, ends: list[Any]) -> None:
    """Made with other options, from other inputs, damaged, or not whole."""
    job, given = of(plan, "finetune"), Path("given")
    for file, change in ((given, "options"), (given, "write"), (job.result, "write"), (job.outputs[-1], "unlink")):
        given.write_text("as it was")
        finish(plan, job, [given], **({"options": {"lr": 1}} if change == "options" else {}))
        sha256.cache_clear()
        ends.append({"options": given.touch, "unlink": file.unlink, "write": lambda: file.write_text("new")}[change])  # noqa: B023
        assert not is_made_by_another(STAGE, job.wildcards, plan), (file, change)
