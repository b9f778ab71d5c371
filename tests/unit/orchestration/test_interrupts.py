"""A Ctrl-C before the first job."""

from __future__ import annotations

import sys

import pytest

from finecal.orchestration.interrupts import explain_interrupts


def test_an_interrupt_is_a_sentence_and_errors_are_what_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _traceback: told.append(error))
    explain_interrupts()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    error = ValueError("other")
    sys.excepthook(ValueError, error, None)
    assert capsys.readouterr().err == "finecal: interrupted; what is finished stays\n"
    assert told == [error]
