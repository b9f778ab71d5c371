"""On a terminal a line per job that has ended, and whatever goes wrong; elsewhere all that Snakemake says."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake.logging import logger as of_snakemake
from snakemake_interface_logger_plugins.common import LogEvent

from finecal.orchestration.progress import show_progress

LONG = "results/digits/printed-handwritten/test_resnet/full/half0/seed0/model.safetensors"


class Stream(io.StringIO):
    """What is written to a terminal, or to a pipe."""

    terminal = True

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    found = Stream()
    handler = ColorizingTextHandler(nocolor=True, stream=found, formatter=DefaultFormatter())
    monkeypatch.setattr(of_snakemake, "handlers", [handler])
    monkeypatch.setattr(of_snakemake, "propagate", False)
    monkeypatch.setenv("COLUMNS", "80")
    before = of_snakemake.level
    of_snakemake.setLevel(logging.INFO)  # not by an attribute: a logger remembers what it has let through
    yield found
    of_snakemake.setLevel(before)


def workflow(**more: Any) -> Any:
    return SimpleNamespace(output_settings=SimpleNamespace(**{"verbose": False, "quiet": None, **more}))


def say(message: str | None, event: LogEvent | None = None, level: int = logging.INFO, **more: Any) -> None:
    of_snakemake.log(level, message, extra={"event": event, **more} if event else None)


def run_jobs() -> None:
    """What Snakemake says of two jobs, of which the second fails."""
    about = {key: {} for key in ("input", "log", "wildcards", "resources", "aux")} | {
        "rule_msg": None, "local": False, "is_checkpoint": False, "benchmark": None, "reason": "", "priority": 0,
        "threads": 1, "conda_env": None, "shellcmd": "exec finecal split", "indent": False,
    }  # fmt: skip
    say("Select jobs to execute...")
    say("Execute 2 jobs...")
    say("rule finetune:", LogEvent.JOB_INFO, jobid=1, rule_name="finetune", output=[LONG], **about)
    say("rule split:", LogEvent.JOB_INFO, jobid=2, rule_name="split", output=["results/split"], **about)
    say("exec finecal finetune", LogEvent.SHELLCMD, cmd="exec finecal finetune")
    say("Finished jobid: 1 (Rule: finetune)", LogEvent.JOB_FINISHED, job_id=1)
    say(None, LogEvent.PROGRESS, done=1, total=2)
    of_split = {"jobid": 2, "rule_name": "split", "output": ["results/split"]}
    say("Error in rule split", LogEvent.JOB_ERROR, logging.ERROR, **about | of_split)
    say("Exiting because a job execution failed. Look below for error messages", level=logging.ERROR)


def test_a_line_per_job_and_whole_errors(stream: Stream) -> None:
    assert show_progress(workflow())
    assert show_progress(workflow())  # of a second module
    run_jobs()
    first, *rest = stream.getvalue().splitlines()
    assert first.startswith("1 of 2  finetune  …")
    assert first.endswith("/full/half0/seed0/model.safetensors  0 s")
    assert len(first) < 80
    text = "\n".join(rest)
    for part in ("Error in rule split:", "output: results/split", "exec finecal split", "Exiting because"):
        assert part in text
    for part in ("rule finetune:", "Select jobs", "Execute 2", "exec finecal finetune", "Finished"):
        assert part not in stream.getvalue()


def test_a_pipe_gets_everything(stream: Stream) -> None:
    stream.terminal = False
    assert not show_progress(workflow())
    run_jobs()
    for part in ("rule finetune:", "Select jobs", "exec finecal finetune", "Finished", "1 of 2 steps (50%) done"):
        assert part in stream.getvalue()


@pytest.mark.parametrize("more", [{"verbose": True}, {"quiet": {"progress"}}])
def test_what_was_asked_for_stays(stream: Stream, more: dict[str, Any]) -> None:
    assert not show_progress(workflow(**more))
    run_jobs()
    assert "rule finetune:" in stream.getvalue()
