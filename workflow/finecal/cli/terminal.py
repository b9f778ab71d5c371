"""What surrounds a verb: a terminal without Greek letters, a pipe that closes, the settings of a notebook."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What is printed where the terminal's encoding lacks a letter.
SPELLED = {
    "γ": "gamma", "θ": "theta", "α": "alpha", "τ": "tau", "λ": "lambda", "Σ": "sum", "′": "'", "⁰": "0", "−": "-",
    "–": "-", "—": "-", "±": "+/-", "×": "x", "→": "->", "≤": "<=", "≥": ">=", "∞": "inf", "…": "...", "‡": "(+)",
    "▼": "v", "▲": "^", "·": ".", "³": "^3", "¹": "1",
}  # fmt: skip
CLOSED = 128 + 13  # what a program ends with whose reader has gone


def prepare() -> None:
    """Make printing never fail for a letter, and matplotlib draw without a window whatever the environment says."""
    codecs.register_error("finecal", _spell)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="finecal")
    os.environ["MPLBACKEND"] = "agg"


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(SPELLED.get(letter, "?") for letter in letters), error.end


@contextmanager
def quiet_when_closed() -> Iterator[None]:
    """End without a word when nobody reads the output any more, as in `finecal list studies | head -1`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED)
