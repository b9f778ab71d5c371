"""The one error a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: bad input, a missing file, a full disk.

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
        return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts)


def closest(name: str, known: Iterable[str]) -> list[str]:
    """The known names, most similar first.

    >>> closest("algg", ["pcv", "alg", "none"])[0]
    'alg'
    """
    return sorted(known, key=lambda k: (-difflib.SequenceMatcher(None, name.lower(), k.lower()).ratio(), k))


def unknown(kind: str, name: object, known: Iterable[str], *, where: str = "", limit: int = 12) -> UserError:
    """An error for a name that is not among the known ones; the closest are offered first."""
    names = closest(str(name), known)
    shown = ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
    why = f"Known, closest first: {shown}" if names else "There are none"
    return UserError(f"unknown {kind} {name!r}", where=where, why=why)
