"""Fill the templates: each page is one HTML file that loads nothing.

The content security policy forbids every request and allows only the scripts in the file: Vega, and explore.js. Vega
compiles the charts' expressions to functions, hence 'unsafe-eval'; no name of a user's is part of an expression.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from finecal.report.vega import vega

FOLDER = Path(__file__).parent
TITLE = "What was damaged, and how to get it back"
_TABLES = [f"tables/{name}.parquet" for name in ("metrics", "calibration")]
ENLARGED = 1.25  # a screen is read from further away than paper
# The parts of a report and their defaults; a part that is empty is left out.
PARTS: dict[str, Any] = {
    "answered_from": (_TABLES, " ".join(f"results/{file}" for file in _TABLES)),
    "title": TITLE, "answers": [], "overall": [], "exports": {}, "labels": {}, "things": {}, "explorer": "",
    "explored": (0, 0), "leaderboard": None, "figures": [], "tables": [], "studies": "", "provenance": {}, "cost": "",
    "shown": {},
    "more_inputs": 0, "one_training": False, "pictured": False, "notes": [],
}  # fmt: skip


def svg_source(svg: bytes) -> str:
    """Return an SVG as a data URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def screen_width(inches: float) -> int:
    """Return the width on the screen, in CSS pixels, of a figure that is so wide on paper."""
    return round(inches * 96 * ENLARGED)


def report_html(**parts: Any) -> str:
    """Fill `report.html.jinja` with its parts (see PARTS) and the functions that its macros call.

    Raises
    ------
    TypeError
        For a part that the template does not know.
    """
    functions = {"sign", "tell", "count", "change", "lines", "method", "per_class", "most_classes"}
    unknown = sorted(parts.keys() - PARTS.keys() - functions)
    if unknown:
        raise TypeError(f"unknown part of a page: {', '.join(unknown)}")
    given = {**PARTS, **parts}
    given["explorer"] = Markup(given["explorer"])
    return render_template("report.html.jinja", charts=bool(given["explorer"]), **given)


def render_template(template: str, *, charts: bool = False, **given: Any) -> str:
    """Fill a template of this folder, with style.css and explore.js, and with Vega if `charts`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["unbroken"] = lambda words: words.replace(" %", "\u00a0%").replace("γ = ", "γ\u00a0=\u00a0")
    scripts = [(FOLDER / "explore.js").read_text("utf-8")]
    if charts:
        scripts.insert(0, vega())
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"; script-src {hashes}{' ' + chr(39) + 'unsafe-eval' + chr(39) if charts else ''}"
    style = Markup((FOLDER / "style.css").read_text("utf-8"))
    page = environment.get_template(template)
    return page.render(**given, style=style, policy=Markup(policy), scripts=[Markup(script) for script in scripts])


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
