"""Make docs/reference.md and docs/study.schema.json from the code; `--check` fails if they have drifted.

uv run python docs/generate.py
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from finecal import columns, config, plugins
from finecal.calibration import READABLE
from finecal.settings import GlobalSettings

DOCS = Path(__file__).parent
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
    ("splits.NAME, kind: official", config.OfficialSplit),
    ("pseudo_splits", config.PseudoSplits),
    ("calibrators.NAME", config.CalibratorUse),
)


def main() -> None:
    """Write the files, or compare them."""
    pages = {"reference.md": reference(), "study.schema.json": schema()}
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


def schema() -> str:
    """The JSON schema of a study file, for editors."""
    return json.dumps(config.Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """The reference page as Markdown."""
    parts = ["# Reference", "Made from the code by `uv run python docs/generate.py`; a test fails if it has drifted."]
    parts += ["## config.yaml", _fields(GlobalSettings)]
    for title, model in MODELS:
        parts += [f"## {title}", model.__doc__ or "", _fields(model)]
    for kind, title in (("dataset", "Data sets"), ("recipe", "Recipes"), ("calibrator", "Calibrators")):
        parts.append(f"## {title}")
        for name in plugins.names(kind):
            module = plugins.load(kind, name)
            parts += [f"### {name}", plugins.description(kind, name)]
            if kind == "calibrator":
                reads = ", ".join(f"{data} ({READABLE[data]})" for data in sorted(module.READS)) or "nothing"
                parts += [(module.Calibrator.__doc__ or "").replace("\n    ", "\n"), f"Reads: {reads}."]
            if module.Options.model_fields:
                parts.append(_fields(module.Options))
    parts += ["## Columns", "Wildcards are columns, so any set of files of one kind concatenates."]
    for file, meanings in columns.COLUMNS.items():
        parts += [f"### {file}", _table(("column", "meaning"), [(f"`{k}`", v) for k, v in meanings.items()])]
    parts += ["## Metrics", _table(("metric", "meaning"), [(f"`{k}`", v) for k, v in columns.METRICS.items()])]
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
    """A JSON schema's type in a few words."""
    if "anyOf" in field:
        return " or ".join(_type(part) for part in field["anyOf"])
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
