"""pyarrow without pandas until somebody imports it, and as ever from then on."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE = """
import sys
import numpy as np
import pyarrow as pa
from finecal.runtime.imports import no_pandas_yet
no_pandas_yet()
no_pandas_yet()
pa.array(np.ones(2)), pa.array(["a"], pa.string()), pa.table({"a": pa.array([1], pa.int64())})
print("pandas" in sys.modules)
"""
SERIES = "print(pa.array(pd.Series([1.0, float('nan')])).null_count, pa.lib._pandas_api.have_pandas)"
LOADER = "print(type(pd.__loader__).__name__, pd.__loader__ is pd.__spec__.loader)"
FRAME = "print(pa.table({'a': pa.array([1], pa.int64())}).to_pandas()['a'].tolist())"
CASES = {
    "by a module": ("import pandas as pd", SERIES, LOADER),
    "by its name": ("from importlib import import_module", "pd = import_module('pandas')", SERIES, LOADER),
    "by pyarrow": (
        "print(pa.table({'a': pa.array([1], pa.int64())}).to_pandas()['a'].tolist())",
        "import pandas as pd",
        SERIES,
    ),
    "by what is inferred": ("pa.array(['a'])", "import pandas as pd", SERIES),
}


@pytest.mark.parametrize("case", CASES)
def test_imported_later(case: str) -> None:
    lines = CASES[case]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([BEFORE, *lines])], capture_output=True, text=True, check=False
    )
    said = {SERIES: "1 True\n", LOADER: "SourceFileLoader True\n", FRAME: "[1]\n"}
    assert (done.stdout, done.stderr) == ("False\n" + "".join(said.get(line, "") for line in lines), "")


def test_imported_before() -> None:
    lines = ("import pyarrow as pa", "import pandas as pd", "from finecal.runtime.imports import no_pandas_yet")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, "no_pandas_yet()", SERIES])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1 True\n", "")


def test_failed_import() -> None:
    """One that fails, as where a file of pandas is missing, may be tried again."""
    lines = (
        "sys.modules['pandas.compat'] = None", "try:", "    import pandas", "except ImportError:", "    print('fails')",
        "del sys.modules['pandas.compat']", "import pandas as pd", SERIES,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([BEFORE, *lines])], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("False\nfails\n1 True\n", "")
