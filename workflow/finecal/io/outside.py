"""The boundary to code that is not finecal's: whatever it raises about a file is an error of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finecal.errors import UserError

PACKAGE = Path(__file__).parents[1]
REASON = 300  # letters of what an outside library says
# What a mistake in finecal's own lines raises. In lines of others it is what they make of a broken file.
MISTAKES = (AttributeError, TypeError, NameError, AssertionError, ImportError)


@contextmanager
def reading(where: str | Path, form: str, *, hint: str = "", missing: str = "this file is missing") -> Iterator[None]:
    """Turn what an outside reader raises into a UserError that names the file and the reason.

    A reader may raise anything for a damaged file: `struct.error`, `KeyError`, `TokenError`, `RecursionError`. The
    block has the call of the reader and little else. A mistake in finecal's own lines stays a traceback, and so does a
    package that is not installed.

    Parameters
    ----------
    form
        What the file should have been, such as "Parquet".

    Raises
    ------
    UserError
        For any other exception in the block, and for a pipe, from which nothing may ever come.
    """
    _refuse_pipe(where)
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(missing, where=str(where)) from error
    except MemoryError as error:
        raise UserError(
            f"reading this as {form} takes more memory than there is", where=str(where),
            why="It is too large for this machine, or damaged where it says how large it is",
        ) from error  # fmt: skip
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) or (isinstance(error, MISTAKES) and _is_own(error)):
            raise
        if _is_folder(where):
            raise UserError("this is a folder, a file is needed", where=str(where)) from error
        raise UserError(f"not readable as {form} ({reason(error)})", where=str(where), hint=hint) from error


def reason(error: Exception) -> str:
    """Return what an exception says, in one line.

    >>> reason(KeyError("a")), reason(EOFError()), reason(ValueError("no. Call f(x)"))
    ("KeyError: 'a'", 'EOFError', 'no. Call f(x)')
    """
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = (str(error).strip().splitlines() or [""])[0][:REASON]
    if isinstance(error, LookupError):  # whose text is a bare key
        return f"{type(error).__name__}: {said}"
    return said or type(error).__name__


def is_count(text: str) -> bool:
    """Whether a text is a whole number from 0 on that fits into 64 bits; Python refuses to read very long ones.

    >>> is_count("12"), is_count("²"), is_count("-1"), is_count("9" * 5000)
    (True, False, False, False)
    """
    return text.isdecimal() and len(text) < 19


def _is_own(error: Exception) -> bool:
    """Whether a line of finecal's raised it, rather than one that it called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).is_relative_to(PACKAGE)


def _is_folder(where: str | Path) -> bool:
    try:
        return Path(where).is_dir()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _refuse_pipe(where: str | Path) -> None:
    """Raise UserError for a pipe: whoever opens one waits until somebody else writes to it."""
    try:
        is_pipe = Path(where).is_fifo()
    except (OSError, ValueError):
        return
    if is_pipe:
        raise UserError(
            "this is a pipe, not a file", where=str(where), hint="Write what comes out of it to a file, and give that"
        )


def read_text(path: str | Path, *, encoding: str = "utf-8", where: str = "") -> str:
    """Return the text of a file; raise UserError if it cannot be read or is no text in UTF-8."""
    place = where or str(path)
    _refuse_pipe(path)
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"this file cannot be read ({reason(error)})", where=place) from error
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"byte {error.start} is not UTF-8", where=place, why="It must be text in UTF-8") from error
    if "\0" in text:
        raise UserError("this is no text: it has bytes that are zero", where=place, why="It must be text in UTF-8")
    return text


def read_lines(path: str | Path, *, where: str = "") -> list[str]:
    """Return the lines of a file that are not empty, without spaces around them and without a mark of bytes' order."""
    return [line.strip() for line in read_text(path, encoding="utf-8-sig", where=where).splitlines() if line.strip()]
