"""What the charts of a page are drawn with: Vega's script, and the charts compiled for it.

Both depend on versions alone, and to make them takes most of a report's time, so they are kept in the user's cache.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from finecal.io.user_cache import kept

FOLDER = Path(__file__).parent
MADE_BY = ("charts.py", "curve_labels.py", "vega.py")
MADE_WITH = ("altair", "vl-convert-python")


@cache
def vega() -> str:
    """Return Vega as one script of 0.9 MB; vl-convert bundles it with Vega-Lite and Vega-Embed."""
    script: str = _drawing()["script"]
    return script


def specifications() -> dict[str, dict[str, Any]]:
    """Return the Vega specification of every chart by its name."""
    made: dict[str, dict[str, Any]] = _drawing()["specifications"]
    return made


@cache
def _drawing() -> Any:
    code = {name: (FOLDER / name).read_text("utf-8") for name in MADE_BY}
    versions = {name: metadata.version(name) for name in MADE_WITH}
    return json.loads(kept("vega", json.dumps([code, versions]), lambda: json.dumps(_make()).encode()))


def _make() -> dict[str, Any]:
    import vl_convert

    from finecal.report import charts

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if "</script" in script.lower():
        raise AssertionError("the bundle of Vega would end its own script element")
    return {"script": script, "specifications": charts.specifications()}
