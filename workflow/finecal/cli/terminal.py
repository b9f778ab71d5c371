"""What surrounds a verb: a terminal without Greek letters, a pipe that closes, the settings of a notebook."""

from __future__ import annotations

import codecs
import getpass
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from finecal.errors import UserError

# What is printed where the terminal's encoding lacks a letter.
SPELLED = {
    "γ": "gamma", "θ": "theta", "α": "alpha", "τ": "tau", "λ": "lambda", "Σ": "sum", "′": "'", "⁰": "0", "−": "-",
    "–": "-", "—": "-", "±": "+/-", "×": "x", "→": "->", "≤": "<=", "≥": ">=", "∞": "inf", "…": "...", "‡": "(+)",
    "▼": "v", "▲": "^", "·": ".", "³": "^3", "¹": "1",
}  # fmt: skip
CLOSED = 128 + 13  # what a program ends with whose reader has gone


def prepare() -> None:
    """Make printing never fail for a letter, matplotlib draw without a window, and warnings end nothing.

    A user without a name, as in a container, gets that of his number: Snakemake and torch ask for one.
    """
    codecs.register_error("finecal", _spell)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="finecal")
    os.environ["MPLBACKEND"] = "agg"
    if any(option.startswith("e") for option in sys.warnoptions):  # PYTHONWARNINGS=error
        warnings.simplefilter("default")
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(SPELLED.get(letter, "?") for letter in letters), error.end


@contextmanager
def quiet_when_closed() -> Iterator[None]:
    """End without a word when nobody reads the output any more, as in `finecal list studies | head -1`.

    Raises
    ------
    UserError
        If the output cannot be written for another reason, such as a full disk.
    """
    try:
        try:
            yield
        finally:  # also after --help, which ends the program
            _flush()
    except BrokenPipeError:
        _discard()
        sys.exit(CLOSED)


def _flush() -> None:
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None where whoever started it has closed it
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard()
        raise UserError(f"the output cannot be written ({error.strerror})") from error


def _discard() -> None:
    """Lead the output nowhere: Python would flush once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
