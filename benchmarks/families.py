"""Which families of timm's models does finecal take, and what can it do with them?

    uv run python benchmarks/families.py [--only FAMILY …] [--rest] [--no-onnx] [--write] [--quick]

Every module of timm's models is a family. One small model of each, those in `families.csv`, lives through all of a run
on random images: every recipe trains it; two of them are interrupted and resumed; it is saved, loaded, exported as a
folder and as ONNX, and the logits are compared. `--write` puts the rows into `docs/families.md`; with `--only` the
others stay as they are, with `--no-onnx` that column does. `--quick` takes one family and few recipes. What fails is in
the table; nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import warnings
from pathlib import Path

import timm
import torch
from _families import OF_LAYERS, Family, Life, families, live
from _measure import line, table

from finecal import registry

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
BEGIN, END = "<!-- begin: made by benchmarks/families.py -->\n", "<!-- end -->\n"
HEAD = ("family", "measured with", "pixels", "recipes", "saved, exported", "ONNX")
WELL, NOT_MEASURED = "✓", "not measured"


def row(family: Family, life: Life) -> list[str]:
    """Return the cells of a family."""
    options = "".join(f", {key} {value}" for key, value in family.options.items())
    cells = [family.name, f"{family.model}{options}", str(family.image_size)]
    if life.refused:
        return [*cells, f"refused: {life.refused}", "", ""]
    without = [name for name, why in life.recipes.items() if why]
    recipes = f"all but {', '.join(without)}" if without else "all"
    if life.failed:
        recipes += f"; fails: {', '.join(life.failed)}"
    if life.resumed:
        recipes += f"; not the same when resumed: {', '.join(life.resumed)}"
    onnx = NOT_MEASURED if life.onnx is None else life.onnx or WELL
    return [*cells, *(cell.replace("|", "/") for cell in (recipes, life.files or WELL, onnx))]


def not_measured(family: Family) -> list[str]:
    """Return the cells of a family of which nothing is known yet."""
    return [*row(family, Life(refused="-"))[:3], *(NOT_MEASURED,) * 3]


def rows_of(text: str) -> dict[str, list[str]]:
    """Read the rows of the page's table by family."""
    made = text.partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip() for cell in one.strip("|").split("|")] for one in made.splitlines() if one.startswith("| ")]
    return {cells[0]: cells for cells in rows if cells[0] != HEAD[0]}


def known_rows() -> dict[str, list[str]]:
    """Return a row for each family, of what the page says now."""
    return {one.name: not_measured(one) for one in families()} | rows_of(PAGE.read_text("utf-8"))


def page(text: str, rows: dict[str, list[str]]) -> str:
    """Return the page with these rows."""
    libraries = f"timm {timm.__version__}, torch {torch.__version__.partition('+')[0]}"
    made = f"{libraries}, on a CPU ({platform.machine()}). There are {len(registry.names('recipe'))} recipes."
    lines = table(HEAD, [rows[name] for name in sorted(rows)], words=len(HEAD))
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{made}\n\n{lines}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Measure, print a row for each family as soon as it is there, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="FAMILY", help="these families (default: all)")
    parser.add_argument("--no-onnx", action="store_true", help="leave ONNX out")
    parser.add_argument("--write", action="store_true", help=f"put the rows into {PAGE.name}")
    parser.add_argument("--rest", action="store_true", help="only those of which the page lacks what is asked")
    parser.add_argument("--quick", action="store_true", help="a small model and few recipes, to see that it runs")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    recipes = OF_LAYERS if given.quick else registry.names("recipe")
    only = ["mambaout"] if given.quick else given.only
    print(table(HEAD, [], words=len(HEAD)))
    for family in families():
        if only and family.name not in only:
            continue
        known = known_rows()[family.name]
        if given.rest and NOT_MEASURED not in known[: -1 if given.no_onnx else None]:
            continue
        # What the page has but ONNX is measured already; `full` trains what is written.
        lacks_onnx = given.rest and NOT_MEASURED not in known[:-1]
        cells = row(family, live(family, ("full",) if lacks_onnx else recipes, onnx=not given.no_onnx))
        if lacks_onnx:
            cells = [*known[:-1], cells[-1]]
        elif given.no_onnx and known[:3] == cells[:3]:
            cells[-1] = known[-1]
        print(line(cells), flush=True)
        if given.write:
            PAGE.write_text(page(PAGE.read_text("utf-8"), known_rows() | {family.name: cells}), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
