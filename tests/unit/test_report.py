"""The report page: whole in one file, the same every time, and safe whatever the names are."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
from result_tables import RUNS, made_tables

from finecal import figures, tables
from finecal.report import render

SVG = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="504pt" height="100pt"><g id="a"/></svg>'
PROVENANCE: dict[str, Any] = {
    "version": "1.2.3", "commit": "abc", "command": "finecal report <x>", "device": "cpu",
    "libraries": {"numpy": "2.0"}, "inputs": {"results/tables/metrics.parquet": "f00"},
}  # fmt: skip
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", []
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(made: dict[str, pd.DataFrame], **changes: Any) -> str:
    arguments = {
        "made": ("main", "ausuc", "cost_by_stage"),
        "studies": "digits:\n  seeds: [0]\n",
        "provenance": PROVENANCE,
        **changes,
    }
    svgs = arguments.pop("svgs", {"anatomy": SVG, "gain": SVG})
    return render(made, svgs, **arguments)


def test_page_loads_nothing_and_runs_nothing() -> None:
    html = page(made_tables())
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|javascript:", html)
    found = Page(html)
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "link", "iframe", "object", "form"})
    sources = [attributes["src"] for tag, attributes in found.tags if tag == "img"]
    assert all(str(source).startswith("data:image/svg+xml;base64,") for source in sources)
    assert base64.b64decode(str(sources[0]).partition(",")[2]).decode() == SVG
    targets = [str(attributes["href"])[1:] for tag, attributes in found.tags if tag == "a"]
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert set(targets) <= set(ids)
    assert len(ids) == len(set(ids))


def test_page_says_everything_in_order() -> None:
    text = Page(page(made_tables())).text.replace("\u00a0", " ")
    parts = [
        "What was damaged, and how to get it back",
        "Damaged: the logit scale",
        "Add γ = 2.00 ± 1.15",
        figures.caption("gain"),
        figures.caption("anatomy"),
        tables.caption("main"),
        "fine-tuned + γ* †",
        tables.caption("ausuc"),
        tables.caption("cost_by_stage"),
        "seeds: [0]",
        "1.2.3, commit abc",
        "finecal report <x>",
        "numpy",
        "f00",
    ]
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)
    images = [attributes for tag, attributes in Page(page(made_tables())).tags if tag == "img"]
    assert [
        str(image["alt"]).startswith(figures.caption(name))
        for image, name in zip(images, ("gain", "anatomy"), strict=True)
    ]
    assert images[0]["width"] == "840"


def test_several_settings_have_an_overview() -> None:
    one, other = made_tables(), made_tables(task="a-b")
    both = {name: pd.concat([one[name], other[name]], ignore_index=True) for name in one}
    text = Page(page(both)).text
    assert "Logit scale: damaged in 2 of 2 settings." in text
    assert text.count("What to do.") == 2


def test_the_same_input_gives_the_same_bytes() -> None:
    assert page(made_tables()) == page(made_tables())


def test_hostile_names_stay_text() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    made = made_tables(dataset=evil, task=f"a-{evil}", recipe="{{ 7 * 7 }}")
    html = page(made, studies=f"</pre>{evil}", provenance={**PROVENANCE, "command": evil, "inputs": {evil: evil}})
    assert "<script" not in html
    found = Page(html)
    assert sum(tag == "img" for tag, _ in found.tags) == 2
    assert evil in found.text
    assert "{{ 7 * 7 }}" in found.text


def test_one_run_without_provenance() -> None:
    text = Page(page(made_tables(RUNS[:1]), provenance={}, svgs={})).text
    assert "There is one run only: no interval and no verdict" in text
