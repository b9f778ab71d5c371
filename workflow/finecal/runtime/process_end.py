"""The end of a process without tearing the interpreter and its libraries down.

With torch that takes a third of a second of CPU time, and 130 MiB of its libraries are read for it, after all results
are written (findings/torch_takes_long_to_end.sh). A fork would besides copy much of the memory that it shares.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import sys
import threading
from contextlib import suppress


def finish() -> None:
    """Do all that belongs to the end of a process, so that it may then leave by `os._exit`.

    Other threads are waited for, functions for the end of the process (`atexit`) are called, output is written: also
    that of files which were left open, as a module of the user's own may have done.
    """
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does first; it may be called twice
    atexit._run_exitfuncs()
    for file in _files():
        with suppress(OSError, ValueError):  # closed, only read, a full disk: Python is silent, too
            file.flush()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ctypes.CDLL(None).fflush(None)  # what libraries in C have printed


def _files() -> list[io.TextIOWrapper | io.BufferedIOBase]:
    """The files that are there. `isinstance` would ask each object for its class: some of torch's warn when asked."""
    return [one for one in gc.get_objects() if issubclass(type(one), io.TextIOWrapper | io.BufferedIOBase)]
