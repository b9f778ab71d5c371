"""What other libraries say to their developers is not shown to users: warnings of torch, timm, ONNX and the like."""

from __future__ import annotations

import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ABOUT_CODE = (FutureWarning, DeprecationWarning, UserWarning)
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
_OWN = str(Path(__file__).parents[1])  # finecal says what it has to say without Python's warnings


@contextmanager
def unseen() -> Iterator[None]:
    """Do not show, in this block, what code of packages warns of; whoever asks for warnings (`python -W`) gets all.

    Warnings of a user's own files are shown, and so is what concerns numbers (RuntimeWarning).
    """
    if sys.warnoptions:
        yield
        return
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_others(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
            if not (issubclass(category, _ABOUT_CODE) and filename.startswith((*_LIBRARIES, _OWN))):
                show(message, category, filename, *rest, **more)

        warnings.showwarning = show_others
        yield
