"""A Ctrl-C while Snakemake reads and plans: a sentence, where Python would print a traceback.

Once jobs run, Snakemake sees to it itself.
"""

from __future__ import annotations

import sys
from types import TracebackType


def explain_interrupts() -> None:
    """Let this process end with a sentence if a Ctrl-C ends it; its exit status says so, as ever."""
    usual = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("finecal: interrupted; what is finished stays", file=sys.stderr)
        else:
            usual(kind, error, traceback)

    sys.excepthook = tell
