"""Write a presented table, texts only, as CSV, Markdown and LaTeX."""

from __future__ import annotations

import re

import pandas as pd

SETTING_TITLES = ("data set", "task", "backbone", "recipe")
WORDS = ("method", "reads", "stage", "device")  # the other columns are numbers
LONGEST = 25  # rows of a table that fits on one page
_INTERVAL = re.compile(r"(?P<mean>[^\[]+) (?P<interval>\[.*\])")

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$",
    "γ*": r"$\gamma^*$", "γ": r"$\gamma$", "Δ": r"$\Delta$", "−": "$-$", "±": r"$\pm$", "“": "``", "”": "''",
    "→": r"$\rightarrow$", "·": r"$\cdot$", "–": "--", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "\n": " ",
}  # fmt: skip


def condense(shown: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Drop the columns of the setting that are the same in every row, and return these as a sentence."""
    same = [name for name in SETTING_TITLES if name in shown and shown[name].nunique() == 1]
    sentence = ", ".join(f"{name} {shown[name].iloc[0]}" for name in same)
    return shown.drop(columns=same), f"{sentence[:1].upper()}{sentence[1:]}." if same else ""


def group_by_setting(shown: pd.DataFrame) -> tuple[list[str], dict[str, list[list[str]]], str]:
    """Return column titles, heading of a setting → its rows of texts, and a sentence with what all rows share."""
    table, same = condense(shown)
    heads = [name for name in table.columns if name in SETTING_TITLES]
    columns = [name for name in table.columns if name not in SETTING_TITLES]
    groups: dict[str, list[list[str]]] = {}
    for record in table.astype(str).to_dict("records"):
        heading = ", ".join(record[name] for name in heads)
        groups.setdefault(heading, []).append([record[name] for name in columns])
    return columns, groups, same


def csv(shown: pd.DataFrame) -> str:
    """Return the table with all columns as CSV."""
    return shown.to_csv(index=False, lineterminator="\n")


def markdown(shown: pd.DataFrame, caption: str) -> str:
    """Return the caption and the table in Markdown."""
    table, setting = condense(shown)
    safe = table.map(lambda cell: str(cell).replace("|", "\\|").replace("\n", " "))
    return f"{caption} {setting}".rstrip() + f"\n\n{safe.to_markdown(index=False, disable_numparse=True)}\n"


def latex(shown: pd.DataFrame, caption: str, *, label: str) -> str:
    """Return a LaTeX table for the package booktabs: a heading for each setting, intervals below their means.

    With more than `LONGEST` rows it is a longtable, which may break between pages, but not within a row.
    """
    columns, groups, same = group_by_setting(shown)
    alignment = "".join("l" if name in WORDS else "r" for name in columns)
    titles = _row([escape(name) for name in columns])
    words = rf"\caption{{{escape(f'{caption} {same}'.strip())}}}", rf"\label{{{label}}}"
    if len(shown) > LONGEST:
        lines = [
            r"% needs \usepackage{booktabs} and \usepackage{longtable}, one column of text", r"\begingroup",
            r"\scriptsize", r"\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{alignment}}}",
            *words, r"\\", r"\toprule", titles, r"\midrule", r"\endfirsthead",
            r"\toprule", titles, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
        ]  # fmt: skip
        end = [r"\end{longtable}", r"\endgroup"]
    else:
        lines = [
            r"% needs \usepackage{booktabs}", r"\begin{table*}", r"\centering", r"\scriptsize",
            r"\setlength{\tabcolsep}{3pt}", *words, rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", titles,
            r"\midrule",
        ]  # fmt: skip
        end = [r"\bottomrule", r"\end{tabular}", r"\end{table*}"]
    for number, (heading, rows) in enumerate(groups.items()):
        lines += [r"\midrule"] if number else []
        # The star keeps a page from ending below a heading, or between a mean and its interval.
        lines += [rf"\multicolumn{{{len(columns)}}}{{l}}{{\itshape {escape(heading)}}} \\*"] if heading else []
        lines += [line for row in rows for line in _lines(row)]
    return "\n".join([*lines, *end]) + "\n"


def escape(text: str) -> str:
    r"""Escape plain text for LaTeX.

    >>> escape("γ* of R&D_1: 50 %")
    '$\\gamma^*$ of R\\&D\\_1: 50 \\%'
    """
    parts = text.split("γ*")
    return _LATEX["γ*"].join("".join(_LATEX.get(letter, letter) for letter in part) for part in parts)


def _lines(cells: list[str]) -> list[str]:
    """Return one row of LaTeX, and a second one in tiny letters if there are intervals."""
    found = [_INTERVAL.fullmatch(cell) for cell in cells]
    means = [escape(match["mean"] if match else cell) for cell, match in zip(cells, found, strict=True)]
    if not any(found):
        return [_row(means)]
    below = [rf"{{\tiny {escape(match['interval'])}}}" if match else "" for match in found]
    return [_row(means, r"\\*[-2pt]"), _row(below, r"\\[2pt]")]


def _row(cells: list[str], end: str = r"\\") -> str:
    # LaTeX would take a bracket after the end of a row for an argument of `\\`; "{}" keeps them apart.
    return "{}" * cells[0].startswith("[") + " & ".join(cells) + f" {end}"
