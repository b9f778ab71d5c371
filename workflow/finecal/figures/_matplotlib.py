"""Import matplotlib so that no backend of the environment is looked for: figures here are drawn without a window.

A notebook sets MPLBACKEND for its own kernel; processes that it starts inherit it, and where that backend is not
installed matplotlib could not even be imported. A kernel keeps its backend for its own plots.
"""

from __future__ import annotations

import os
from contextlib import suppress

_wanted = os.environ.pop("MPLBACKEND", None)
import matplotlib as mpl  # noqa: E402
import seaborn as sns  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

if _wanted is not None:
    os.environ["MPLBACKEND"] = _wanted
    with suppress(ValueError):
        mpl.rcParams["backend"] = _wanted

__all__ = ["Figure", "mpl", "sns"]
