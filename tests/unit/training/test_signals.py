"""Signals that a training notes."""

from __future__ import annotations

import os
import signal

import pytest

from finecal.runtime.signals import WARNINGS
from finecal.training.state import Signals


@pytest.mark.parametrize("number", WARNINGS)
def test_a_warning_is_noted(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Signals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
    assert signal.getsignal(number) == before
