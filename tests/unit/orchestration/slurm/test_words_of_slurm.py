"""That finecal knows SLURM's own words: those of the SLURM that is installed here, asked of its library."""

from __future__ import annotations

import ctypes
from itertools import chain
from pathlib import Path

import pytest

from finecal.orchestration.slurm import reasons

LIBRARY = next(chain(*(Path("/").glob(f"usr/{place}/slurm*/libslurmfull.so") for place in ("lib*", "lib*/*"))), None)


@pytest.mark.skipif(LIBRARY is None, reason="SLURM is not installed")
def test_every_reason_to_wait_has_a_meaning() -> None:
    """A job whose reason means nothing to finecal would wait without a word of advice."""
    asked = ctypes.CDLL(str(LIBRARY)).job_reason_string
    asked.restype = ctypes.c_char_p
    known = {asked(number).decode() for number in range(1000)}
    names = {name for name in known if not name.isdecimal()}  # others are numbers that mean nothing
    assert len(names) > 150
    assert {name for name in names if not (reasons.is_usual(name) or reasons.advice(name, "7", "finetune"))} == set()
