from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from finecal.report import charts, vega

SAYS = "import sys; from finecal.report.vega import specifications, vega; print(len(vega()), len(specifications()))"
SAYS += "; print('altair' in sys.modules, 'vl_convert' in sys.modules)"


def test_what_charts_are_made_by_is_said() -> None:
    """Else a change of it would not be seen: what is in the cache is used as long as nothing named has changed."""
    found = {"charts.py", "vega.py"}
    for name in list(found):
        for node in ast.walk(ast.parse((vega.FOLDER / name).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "finecal.report":
                found |= {f"{one.name}.py" for one in node.names}
            assert not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("finecal.report."))
    assert found == set(vega.MADE_BY)


def test_second_process_takes_it_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = [subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True, check=True) for _ in range(2)]
    (first, made), (second, taken) = (one.stdout.splitlines() for one in done)
    assert first == second
    assert (made, taken) == ("True True", "False False")


def test_same_from_the_cache_as_made_anew() -> None:
    assert vega.specifications() == charts.specifications()
