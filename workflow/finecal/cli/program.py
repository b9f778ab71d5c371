"""`finecal` as a program: the command line in a process of its own, which ends as soon as the work is done."""

from __future__ import annotations

import os
import sys

from finecal.cli.parser import main
from finecal.runtime.process_end import finish


def run() -> None:
    """Run a verb as `main` does, and end the process."""
    main()
    if "torch" in sys.modules:
        finish()
        os._exit(0)
