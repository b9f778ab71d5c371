"""Ctrl-C: the second one ends at once, and the SLURM jobs all the same."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WAITS = """
import time
from finecal.orchestration.slurm.ending import end_at_next_interrupt
end_at_next_interrupt("run-7")
print("ready", flush=True)
time.sleep(60)
"""


def test_the_next_interrupt_ends_at_once_and_cancels(tmp_path: Path) -> None:
    (tmp_path / "scancel").write_text(
        f'#!/bin/sh\necho "$*" > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/cancelled\n'
    )
    (tmp_path / "scancel").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.count("\n") == 1  # no traceback
    end = time.monotonic() + 60
    while not (tmp_path / "cancelled").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (tmp_path / "cancelled").read_text() == "--name=run-7\n"


def test_the_end_waits_neither_for_the_next_look_nor_for_an_answer(executor: Any) -> None:
    executor.next_seconds_between_status_checks = 3600.0

    async def never() -> None:
        await asyncio.sleep(3600)

    async def both() -> list[Any]:
        looking = asyncio.ensure_future(executor.sleep())
        asking = asyncio.ensure_future(executor.unless_ending(never()))
        await asyncio.sleep(0.1)
        assert not looking.done()
        assert not asking.done()
        executor._stopping.set()
        return await asyncio.gather(looking, asking)

    assert asyncio.run(asyncio.wait_for(both(), 60)) == [None, None]
