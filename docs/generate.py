"""Generate docs/reference.md, docs/study.schema.json, the table of the cost of studies in docs/datasets.md, and the
numbers of lines in the links of docs/deviations.md, and docs/library.ipynb from docs/library.md.

`--check` fails if they differ from what the code says.

uv run python docs/generate.py
"""

from __future__ import annotations

import ast
import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from finecal import config, registry, schemas
from finecal.calibration.contract import READABLE
from finecal.cli.overview import job_counts
from finecal.config.groups import PAPER
from finecal.config.settings import Settings
from finecal.datasets import published_files
from finecal.plan.estimate import IMAGES_PER_SECOND, estimate_work
from finecal.plan.plan import Plan

DOCS = Path(__file__).parent
# Studies whose cost, as `finecal check` estimates it, is in the table; the last is all that the paper measures.
ESTIMATED = ("office_home", "imagenet_r", "imagenet_s", "vtab", "iwildcam", PAPER)
FILES = "<!-- begin: files, made by docs/generate.py -->\n"
# A link to what a symbol of a module says, with any target: [`calibrators/alg.py: Calibrator.fit`](…).
CODE_LINK = re.compile(r"\[`([\w/]+\.py): ([\w.]+)`\]\([^)]*\)")
BEGIN, END = "<!-- begin: made by docs/generate.py -->\n", "<!-- end -->\n"
MODELS = (
    ("A study", config.Study),
    ("datasets.NAME", config.Dataset),
    ("backbones.NAME", config.Backbone),
    ("backbones.NAME.zero_shot", config.ZeroShot),
    ("pretraining", config.Pretraining),
    ("training, pretraining.training, recipes.NAME.training", config.Training),
    ("training.augmentation", config.Augmentation),
    ("recipes.NAME", config.RecipeUse),
    ("splits.NAME, kind: random", config.RandomSplit),
    ("splits.NAME, kind: clustered", config.ClusteredSplit),
    ("splits.NAME, kind: classes", config.ClassesSplit),
    ("splits.NAME, kind: present", config.PresentSplit),
    ("splits.NAME, kind: official", config.OfficialSplit),
    ("pseudo_splits", config.PseudoSplits),
    ("calibrators.NAME", config.CalibratorUse),
)


def main() -> None:
    """Write the files, or with `--check` compare them."""
    pages = {
        "reference.md": reference(), "study.schema.json": schema(), "datasets.md": datasets(),
        "deviations.md": deviations(), "library.ipynb": notebook(),
    }  # fmt: skip
    drifted = False
    for name, text in pages.items():
        path = DOCS / name
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif (found := path.read_text("utf-8") if path.is_file() else "") != text:
            drifted = True
            print("".join(difflib.unified_diff(found.splitlines(True), text.splitlines(True), name, "the code")))
    if drifted:
        sys.exit("docs have drifted from the code: run `uv run python docs/generate.py`")


def notebook() -> str:
    """Return the page library.md as a notebook: a cell for each block of Python, one for the words between two."""
    parts = re.split(r"```python\n(.*?)```\n", (DOCS / "library.md").read_text("utf-8"), flags=re.DOTALL)
    cells = []
    for number, part in enumerate(parts):
        if text := part.strip("\n"):
            cell = {"id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
            code = {"cell_type": "code", "execution_count": None, "outputs": []}
            cells.append({**(code if number % 2 else {"cell_type": "markdown"}), **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def deviations() -> str:
    """Return the page on deviations with the lines of each link to the code as they are now."""
    return CODE_LINK.sub(lambda link: code_link(*link.groups()), (DOCS / "deviations.md").read_text("utf-8"))


def code_link(module: str, symbol: str) -> str:
    """Return a link to the lines that define a symbol, such as `Class.method`, of a module of the package.

    Raises
    ------
    ValueError
        If the module does not define it.
    """
    file = DOCS.parent / "workflow" / "finecal" / module
    node: Any = ast.parse(file.read_text("utf-8"))
    for name in symbol.split("."):
        node = next((one for one in node.body if name in _defined(one)), None)
        if node is None:
            raise ValueError(f"docs/deviations.md links {symbol} of {module}, which does not define it")
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    lines = f"L{first}" if node.end_lineno == first else f"L{first}-L{node.end_lineno}"
    return f"[`{module}: {symbol}`](../workflow/finecal/{module}#{lines})"


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement defines: of a class, a function, or assigned."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def schema() -> str:
    """Return the JSON schema of a study file, for editors."""
    return json.dumps(config.Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def datasets() -> str:
    """Return the page on data sets with its table of the cost of studies renewed."""
    rows = []
    for name in ESTIMATED:
        plan = Plan([name])
        work = estimate_work(plan)
        downloads = f"{work.downloads / 1e9:,.1f} GB" if work.downloads >= 5e7 else ""
        unknown = f"{work.unknown} file{'s' * (work.unknown > 1)} of unknown size" if work.unknown else ""
        rows.append(
            (
                f"`uv run finecal check {name}`", f"{sum(job_counts(plan).values()):,}",
                f"{work.gpu_hours(IMAGES_PER_SECOND):,.0f}",
                f"{(work.images + work.models + work.logits) / 1e9:,.0f} GB",
                " and ".join(filter(None, (downloads, unknown))),
            )
        )  # fmt: skip
    hours = f"GPU-hours at {IMAGES_PER_SECOND:,.0f} images/s"
    table = _table(("study, by the command that estimates it", "jobs", hours, "disk", "downloads"), rows)
    page = (DOCS / "datasets.md").read_text("utf-8")
    page = re.sub(f"(?<={BEGIN}).*?(?={END})", lambda _: f"\n{table}\n\n", page, count=1, flags=re.DOTALL)
    return re.sub(f"(?<={FILES}).*?(?={END})", lambda _: f"\n{file_table()}\n\n", page, count=1, flags=re.DOTALL)


def file_table() -> str:
    """The table of all files of data sets, as datasets/downloads.csv has them; hashes by their first digits."""
    rows = []
    for row in published_files():
        file = row.download
        size = f"{file.bytes:,}" if file.bytes is not None else f"about {file.about:,}"
        hashes = [f"{kind} {value[:12]}…" for kind, value in (("SHA-256", file.sha256), ("MD5", file.md5)) if value]
        links = [f"[{urlsplit(url).hostname}]({url})" for url in file.urls] or ["by hand"]
        rows.append(
            (
                " ".join(f"`{name}`" for name in row.datasets), f"`{file.name}`", row.version, row.date, size,
                f"{' '.join(hashes)} ({row.hash_from})" if hashes else row.hash_from, ", ".join(links), row.licence,
            )
        )  # fmt: skip
    return _table(("data set", "file", "version", "year", "bytes", "hash (given by)", "from", "licence"), rows)


def reference() -> str:
    """Return the reference page as Markdown."""
    parts = ["# Reference", "Made from the code by `uv run python docs/generate.py`; a test fails if it has drifted."]
    parts += ["## config.yaml", _fields(Settings)]
    for title, model in MODELS:
        parts += [f"## {title}", model.__doc__ or "", _fields(model)]
    for kind, title in (("dataset", "Data sets"), ("recipe", "Recipes"), ("calibrator", "Calibrators")):
        parts.append(f"## {title}")
        for name in registry.built_in_names(kind):
            module = registry.load(kind, name)
            parts += [f"### {name}", registry.description(kind, name)]
            if kind == "calibrator":
                reads = ", ".join(f"{data} ({READABLE[data]})" for data in sorted(module.READS)) or "nothing"
                parts += [(module.Calibrator.__doc__ or "").replace("\n    ", "\n"), f"Reads: {reads}."]
            if paper := registry.record(kind, name).paper:
                parts.append(f"From: {paper}.")
            if module.Options.model_fields:
                parts.append(_fields(module.Options))
    parts += ["## Columns", "Wildcards are columns, so any set of files of one kind concatenates."]
    for file, table in schemas.TABLES.items():
        rows = [(f"`{field.name}`", schemas.type_name(field), schemas.description(field)) for field in table]
        parts += [f"### {file}", _table(("column", "type", "meaning"), rows)]
    parts += ["## Metrics", _table(("metric", "meaning"), [(f"`{k}`", v) for k, v in schemas.METRIC_MEANINGS.items()])]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _fields(model: type[BaseModel]) -> str:
    rows = []
    properties = model.model_json_schema().get("properties", {})
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{_plain(field.get_default())}`"
        rows.append((f"`{name}`", _type(properties[name]), default, field.description or ""))
    return _table(("key", "type", "default", "meaning"), rows)


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "{}"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _type(field: dict[str, Any]) -> str:
    """Return the type of a JSON schema in a few words."""
    if (forms := field.get("anyOf") or field.get("oneOf")) is not None:
        return " or ".join(_type(part) for part in forms)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type", "mapping")
    if kind == "array":
        inner = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of {_type(inner)}"
    bounds = [f"{sign} {field[key]:,}" for key, sign in BOUNDS.items() if key in field]
    words = {"object": "mapping", "string": "text", "boolean": "true or false"}.get(kind, kind)
    return f"{words} {', '.join(bounds)}".strip()


BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    main()
