"""The error that users see, and the words that errors share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

LONGEST = 2500  # letters of a part of an error; a list of twenty files has room


class UserError(Exception):
    """An error that the user can correct: bad input, a missing file, a full disk.

    The command line prints it as one paragraph without a traceback and exits with status 2.

    Parameters
    ----------
    what
        What is wrong, in one sentence, with the offending value.
    where
        The key path or the file it was found in.
    why
        What is allowed, or why it cannot work.
    hint
        What to do about it.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.hint = what, where, why, hint

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        parts += [self.why] if self.why else []
        parts += [f"Hint: {self.hint}"] if self.hint else []
        return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in map(_readable, parts))


def _readable(text: str) -> str:
    """What a file or a name says is shown without what moves a terminal's cursor, and without its middle if it is long.

    >>> _readable("a\\x1b[2Jb"), len(_readable("a" * 9999))
    ('a\\\\x1b[2Jb', 2503)
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def counted(n: int, thing: str) -> str:
    """Return a number of things in words; every message that counts something does it here.

    >>> counted(1, "run"), counted(1234, "class"), counted(2, "category"), counted(0, "empty value")
    ('1 run', '1,234 classes', '2 categories', '0 empty values')
    """
    if n == 1:
        return f"1 {thing}"
    if thing.endswith("y") and thing[-2] not in "aeiou":
        return f"{n:,} {thing[:-1]}ies"
    return f"{n:,} {thing}{'es' if thing.endswith('s') else 's'}"


def how_to_install(extra: str) -> str:
    """What to type for an extra, where finecal was installed as a package and in a checkout.

    >>> how_to_install("clip")
    "pip install 'finecal[clip]', or in a checkout uv sync --extra clip"
    """
    return f"pip install 'finecal[{extra}]', or in a checkout uv sync --extra {extra}"


def not_finite(row: int, rows: int, where: str = "") -> UserError:
    """Return the error for logits of which `rows` rows, the first of them `row`, have a value that is no number."""
    said = f"{counted(rows, 'row')} {'does' if rows == 1 else 'do'}"
    return UserError(
        f"row {row} has a logit that is NaN or infinite ({said})", where=where,
        hint="Such logits come from a diverged model or a lost half-precision value",
    )  # fmt: skip


def closest(name: str, known: Iterable[str]) -> list[str]:
    """Sort the known names by their similarity to a name, the most similar first.

    >>> closest("algg", ["pcv", "alg", "none"])[0]
    'alg'
    """
    return sorted(known, key=lambda k: (-difflib.SequenceMatcher(None, name.lower(), k.lower()).ratio(), k))


def join_names(names: Sequence[str], limit: int) -> str:
    """Join the first names with commas and say how many more there are.

    >>> join_names(["ash", "elm"], 2), join_names(["ash", "elm", "fir", "yew"], 2)
    ('ash, elm', 'ash, elm and 2 more')
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def unknown(kind: str, name: object, known: Iterable[str], *, where: str = "", limit: int = 12) -> UserError:
    """Return the error for a name that is not known; it lists the known names, the most similar first."""
    names = closest(str(name), known)
    why = f"Known, closest first: {join_names(names, limit)}" if names else "There are none"
    return UserError(f"unknown {kind} {name!r}", where=where, why=why)
