"""The report page: whole in one file, the same every time, and safe whatever the names are."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from page_cases import view
from result_tables import RUNS, made_metrics, made_tables

from finecal import figures, registry, tables
from finecal.report import explorer, study_page
from finecal.report.explorer import Explored
from finecal.report.render import report_html
from finecal.report.study_page import render
from finecal.report.vega import vega

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


def page(frames: dict[str, pd.DataFrame], **changes: Any) -> str:
    """The page from aggregated tables; without runs to explore, hence without Vega, unless they are given."""
    arguments = {
        "made": ("main", "ausuc", "cost_by_stage"),
        "studies": "digits:\n  seeds: [0]\n",
        "provenance": PROVENANCE,
        **changes,
    }
    svgs = arguments.pop("svgs", {"anatomy": SVG, "gain": SVG})
    return render(frames, svgs, **arguments)


def without_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


@pytest.mark.parametrize("views", [[], [view(0), view(1, split="b")]], ids=["no run", "two runs"])
def test_page_loads_nothing(views: list[Any]) -> None:
    html = page(made_tables(), explored=Explored(views, len(views)))
    assert not re.search(r"https?:|[\"' ]//[a-z]|url\(|@import|javascript:", without_scripts(html))
    found = Page(html)
    assert {tag for tag, _ in found.tags}.isdisjoint({"link", "iframe", "object", "embed", "base"})
    sources = [attributes["src"] for tag, attributes in found.tags if tag == "img"]
    assert all(str(source).startswith("data:image/svg+xml;base64,") for source in sources)
    assert base64.b64decode(str(sources[0]).partition(",")[2]).decode() == SVG
    targets = [str(attributes["href"]) for tag, attributes in found.tags if tag == "a"]
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)
    assert len(ids) == len(set(ids))
    labelled = [
        value for _, attributes in found.tags for name, value in attributes.items() if name == "aria-labelledby"
    ]
    assert set(labelled) <= set(ids)


def test_only_scripts_with_the_right_hash_may_run() -> None:
    html = page(made_tables(), explored=Explored([view()], 1))
    policy = html.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "; base-uri 'none'; form-action 'none'; " in policy  # which default-src does not cover
    scripts = re.findall(r'<script type="module">(.*?)</script>', html, re.DOTALL)
    assert scripts[0] == vega()
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts]
    assert policy.endswith(f"script-src {' '.join(hashes)} 'unsafe-eval'")
    assert "unsafe-eval" not in page(made_tables())
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]


def test_everything_names_its_file_and_its_target() -> None:
    text, html = Page(page(made_tables())).text, page(made_tables())
    for name in (
        "figures/anatomy",
        "figures/gain",
        "tables/main",
        "tables/ausuc",
        "tables/metrics",
        "tables/calibration",
    ):
        assert f'href="{name}.parquet"' in html
        assert f"results/{name}" in text
    assert "snakemake results/figures/gain.svg" in text
    assert "snakemake results/tables/main.csv" in text


def test_leaderboard_says_what_its_rows_read() -> None:
    html = page(made_tables(), made=("leaderboard",))
    found = Page(html)
    rows = [json.loads(str(a["data-reads"])) for tag, a in found.tags if tag == "tr" and "data-reads" in a]
    assert ["train S"] in rows
    assert ["test labels"] in rows
    assert [] in rows
    boxes = [attributes["value"] for tag, attributes in found.tags if tag == "input"]
    assert sorted({read for row in rows for read in row}) == sorted(map(str, boxes))


def test_advice_comes_with_the_command_that_exports_it() -> None:
    text = Page(page(made_tables(dataset="my data"))).text
    folder = "results/my data/printed-handwritten/resnet10t/full/a/seed0"
    assert f"finecal export '{folder}' --calibrator pcv" in text
    changes = {("fine_tuned", name, "acc_y_y"): 0.5 for name in ("alg", "pcv")}
    worse = {**made_tables(), "metrics": made_metrics(changes=changes)}
    text = Page(page(worse)).text
    assert "Leave the model as it is" in text
    assert "finecal export" not in text


def test_long_tables_and_large_figures_stay_in_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_page, "ROWS", 3)
    monkeypatch.setattr(study_page, "FIGURES", 1000)
    found = Page(page(made_tables(), made=("main",), svgs={"gain": SVG, "anatomy": SVG + " " * 2000}))
    assert "rows more are in the Parquet file" in found.text
    assert sum(tag == "img" for tag, _ in found.tags) == 1
    assert "Too large for this page: figures/anatomy.svg" in found.text


def test_pages_of_other_parts_are_possible_and_unknown_parts_are_not() -> None:
    text = Page(report_html(title="Two runs", provenance={"version": "1"})).text
    assert "Two runs" in text
    assert "Answer" not in text
    with pytest.raises(TypeError, match="unknown part of a page: tittle"):
        report_html(tittle="x")


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


def test_a_page_that_is_full_is_below_five_megabytes() -> None:
    """As many runs as there is room for, with classes, pictures and figures up to their budgets, and long tables."""
    runs = [replace(view(room=explorer.room_for_stops(10_000)), folder=f"r/{n}") for n in range(explorer.RUNS)]
    for n, one in enumerate(runs):
        runs[n] = replace(one, where=(*one.where[:-1], str(n)))
    drawn = dict.fromkeys(registry.names("figure"), SVG + " " * 300000)
    pictures = dict.fromkeys(range(240), "data:image/webp;base64," + "A" * 3000)
    long = {name: pd.concat([one.assign(recipe=f"r{n}") for n in range(30)]) for name, one in made_tables().items()}
    made = page(
        long, svgs=drawn, studies="x" * 100_000,
        explored=Explored(runs, 5000, lambda one: ((one.where[-1],), pictures)),
    )  # fmt: skip
    assert 2_000_000 < len(made.encode()) < 5_000_000


def test_the_same_input_gives_the_same_bytes() -> None:
    one, two = (page(made_tables(), explored=Explored([view(0)], 1)) for _ in range(2))
    assert one == two


def test_hostile_names_stay_text() -> None:
    evil = '"></script><script>alert(1)</script><img src=x onerror=alert(1)>'
    made = made_tables(dataset=evil, task=f"a-{evil}", recipe="{{ 7 * 7 }}")
    views = [view(dataset=evil, task=f"a-{evil}", recipe="{{ 7 * 7 }}", names=(evil, "b", "c", "d", "e", "\u202ef"))]
    given = {**PROVENANCE, "command": evil, "inputs": {evil: evil}}
    html = page(made, studies=f"</pre>{evil}", provenance=given, explored=Explored(views, 1))
    found = Page(html)
    kinds = [attributes.get("type") for tag, attributes in found.tags if tag == "script"]
    assert kinds == ["application/json", "application/json", "module", "module"]
    assert sum(tag == "img" for tag, _ in found.tags) == 2
    assert evil in found.text
    assert "{{ 7 * 7 }}" in found.text
    data = html.partition('id="explorer-data">')[2].partition("</script>")[0]
    assert json.loads(data)["names"][0][0] == evil


def test_one_run_without_provenance() -> None:
    text = Page(page(made_tables(RUNS[:1]), provenance={}, svgs={})).text
    assert "There is one training only: the intervals are over its test samples" in text
