"""The benchmarks run. How long anything takes is never a reason to fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(("script", "rows"), [("dag.py", ["nothing built", "all built"]), ("curve.py", ["curve"])])
def test_quick(script: str, rows: list[str]) -> None:
    command = [sys.executable, BENCHMARKS / script, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert not done.returncode, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert all(any(row in line for line in table) for row in rows), done.stdout
