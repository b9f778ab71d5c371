"""A job that the system has killed: its log says so."""

from __future__ import annotations

import signal
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace

import pytest
from snakemake.executors.local import Executor

from finecal.orchestration import killed_jobs
from finecal.orchestration.killed_jobs import count_out_of_memory, describe, explain_killed_jobs, signal_of

COUNTED = "pgfault 1\noom_kill 3\n"


@pytest.mark.parametrize(
    ("status", "found"),
    [(-9, signal.SIGKILL), (137, signal.SIGKILL), (-11, signal.SIGSEGV), (135, signal.SIGBUS), (-15, None), (143, None),
     (1, None), (2, None)],
)  # fmt: skip
def test_the_signal_of_a_command(status: int, found: signal.Signals | None) -> None:
    """As Snakemake hands it on: as the reason of an error of its own."""
    error = RuntimeError("a rule has failed")
    assert signal_of(error) is None
    error.__cause__ = CalledProcessError(status, "exec finecal …")
    assert signal_of(error) == found


@pytest.mark.parametrize(
    ("before", "counted", "said"),
    [
        (3, COUNTED, "ended by SIGKILL: most likely out of memory, unless somebody has killed it; it had 4,000 MB"),
        (2, COUNTED, "ended by SIGKILL: out of memory, as the system has noted; it had 4,000 MB"),
        (None, "", "ended by SIGKILL: most likely out of memory; it had 4,000 MB"),
    ],
)
def test_the_reason(
    before: int | None, counted: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killed_jobs, "COUNTS", tmp_path / "vmstat")
    (tmp_path / "vmstat").write_text(counted)
    assert describe(signal.SIGKILL, 4000, before).startswith(said)
    assert "it had" not in describe(signal.SIGKILL, 0, before)
    assert describe(signal.SIGBUS, 0, None).startswith("ended by SIGBUS")
    (tmp_path / "vmstat").unlink()
    assert count_out_of_memory() is None


def test_it_stands_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_executor: object, _job: object, status: int) -> None:
        if status:
            raise CalledProcessError(status, "exec finecal …")

    monkeypatch.setattr(Executor, "cached_or_run", run)
    explain_killed_jobs()
    explain_killed_jobs()
    log = tmp_path / "a.log"
    log.write_text("epoch 1/2\n")
    job = SimpleNamespace(log=[log], resources={"mem_mb": 8000})
    Executor.cached_or_run(None, job, 0)
    for status in (1, -9):
        with pytest.raises(CalledProcessError):
            Executor.cached_or_run(None, job, status)
    assert log.read_text().splitlines()[0] == "epoch 1/2"
    assert log.read_text().count("finecal: ended by SIGKILL: ") == 1
    with pytest.raises(CalledProcessError):
        Executor.cached_or_run(None, SimpleNamespace(log=[], resources={}), -9)
    assert capsys.readouterr().err.startswith("finecal: ended by SIGKILL: ")
