"""`finecal` as a program: the command line in a process of its own, which ends as soon as the work is done."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading

from finecal.cli.parser import main


def run() -> None:
    """Run a verb as `main` does, and end the process."""
    main()
    if "torch" in sys.modules:
        end_at_once()


def end_at_once() -> None:
    """End this process without tearing the interpreter and its libraries down; return if a file is still open.

    With torch that takes a third of a second of CPU time, and 130 MiB of its libraries are read for it, after all
    results are written (findings/torch_takes_long_to_end.sh). All else that belongs to an end is done: other threads
    are waited for, functions for the end of the process (`atexit`) are called, output is written. But a module of the
    user's own may have left a file open, and its last lines are written as the interpreter ends.
    """
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does first; it may be called twice
    if _has_open_files():
        return
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what libraries in C have printed
    os._exit(0)


def _has_open_files() -> bool:
    """Return whether a file is open for writing, apart from standard output and errors; True where it is not known."""
    import psutil

    try:
        files = psutil.Process().open_files()
    except psutil.Error:
        return True
    return any(file.fd > sys.stderr.fileno() and getattr(file, "mode", "w") != "r" for file in files)
