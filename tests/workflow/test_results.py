"""What a finished results folder holds: documented columns, provenance, no pickle, reports that need no network."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import RUNS, Project
from safetensors import safe_open

from finecal import registry, schemas
from finecal.io import parquet
from finecal.io.declared import conform
from finecal.io.provenance import LIBRARIES
from finecal.paths import AGGREGATED
from finecal.report.vega import vega

PROVENANCE = {"version", "commit", "command", "stage", "code", "modules", "options", "libraries", "device", "inputs"}


@pytest.fixture(scope="module")
def tables(complete: Project) -> dict[str, pa.Schema]:
    """Path below results → schema, of every Parquet file."""
    return {str(f.relative_to(complete.path("results"))): pq.read_schema(f) for f in
            sorted(complete.path("results").rglob("*.parquet"))}  # fmt: skip


def declared_as(file: str) -> str | None:
    """The entry of `schemas.TABLES` that declares a file; None for figures and tables for presentation."""
    run = RUNS.removeprefix("results/")
    if file.startswith(("tables/", "figures/")):
        name = file.removeprefix("tables/").removesuffix(".parquet")
        return f"{{run}}/{AGGREGATED[name]}" if name in AGGREGATED else file if file in schemas.TABLES else None
    if file.startswith(run):
        return "{run}/" + "/".join(file.removeprefix(run).split("/")[3:])
    name = file.removeprefix("digits/")
    patterns = {
        r"images/\w+\.parquet": "images/{domain}.parquet",
        r"splits/\w+\.parquet": "splits/{split}.parquet",
        r"pretrained/.*/(\w+\.parquet)": r"pretrained/…/\1",
        r"printed-handwritten/test_resnet/(pretrained/logits.parquet)": r"{source}-{target}/{backbone}/\1",
    }
    return next(re.sub(p, r, name) for p, r in patterns.items() if re.fullmatch(p, name))


def test_columns_are_the_declared(tables: dict[str, pa.Schema]) -> None:
    """Names, types and order, in each file, and the meanings with them."""
    seen = set()
    for file, schema in tables.items():
        entry = declared_as(file)
        if entry is not None:
            # What is drawn comes from no file; fitted arrays are in the files of the runs alone.
            left_out = {"file"} if entry.startswith("images/") else {"values"} if file.startswith("tables/") else set()
            declared = schemas.without(schemas.TABLES[entry], left_out)
            expected = conform(schema.empty_table(), declared).schema
            assert schema.equals(expected, check_metadata=True), file
            seen.add(entry)
    # For clustered splits, for points in the plane, for figures of variants, and on request.
    optional = {
        "tables/runs.parquet",
        "pretrained/…/class_means.parquet",
        "{run}/decision_regions.parquet",
        "{run}/export/{calibrator}/check.parquet",
    }
    assert seen == schemas.TABLES.keys() - optional


def test_every_measured_job_says_what_it_took(complete: Project) -> None:
    """However short it was. A training starts torch, and what it shares with other processes is not its own."""
    cost = pq.read_table(complete.path("results/tables/cost.parquet"))
    notes = complete.files("benchmarks")
    assert len(notes) == len(cost)
    assert all(note.startswith("benchmarks/data/") for note in notes)
    for row in cost.to_pylist():
        assert row["cpu_seconds"] > 0, row
        assert row["wall_seconds"] > 0, row
        # The logits that a training has left are taken over in less: what that imports is there before the fork.
        least = 10 if row["stage"] == "extract" else 20
        assert least < row["own_memory_mib"] <= row["peak_memory_mib"] < 4000, row
        assert row["stage"] not in ("pretrain", "finetune") or row["peak_memory_mib"] > 150, row


def test_metrics_are_the_documented(complete: Project) -> None:
    metrics = pq.read_table(complete.path("results/tables/metrics.parquet"))
    assert set(metrics["metric"].to_pylist()) == schemas.METRIC_MEANINGS.keys()


def test_every_table_says_where_it_comes_from(complete: Project, tables: dict[str, pa.Schema]) -> None:
    files = complete.files() | complete.files("benchmarks")
    hashes = {file: hashlib.sha256(complete.path(file).read_bytes()).hexdigest() for file in files}
    for file, schema in tables.items():
        record = json.loads(schema.metadata[parquet.PROVENANCE])
        # Where a model computed, it is said with which precision; where one was trained, whether it was compiled.
        of_runs = file.startswith("digits/")
        by_model = of_runs and file.endswith(("head.parquet", "history.parquet", "logits.parquet"))
        trained = of_runs and file.endswith(("head.parquet", "history.parquet", "pcv/logits.parquet"))
        more = ({"precision"} if by_model else set()) | ({"compiled"} if trained else set())
        assert set(record) == PROVENANCE | more, file
        assert record["command"].startswith("finecal "), file
        assert record["device"] == "cpu"
        assert record["libraries"].keys() == set(LIBRARIES)
        assert bool(record["inputs"]) != file.startswith("digits/images/"), file
        for path, found in record["inputs"].items():
            assert hashes[path] == found, f"{file} was made from another {path}"


def test_weights_say_where_they_come_from(complete: Project) -> None:
    for file in complete.path("results").rglob("*.safetensors"):
        with safe_open(file, "numpy") as opened:
            record = json.loads(opened.metadata()["finecal"])
        assert set(record) == {*PROVENANCE, "architecture", "precision", "compiled"}
        assert record["inputs"]
        hashed = hashlib.sha256(file.read_bytes()).hexdigest()
        assert file.with_name(f"{file.name}.sha256").read_text() == f"{hashed}  {file.name}\n"


def test_nothing_is_pickled(complete: Project) -> None:
    kinds = {Path(file).suffix for file in complete.files()}
    assert kinds <= {".parquet", ".safetensors", ".csv", ".md", ".tex", ".svg", ".png", ".html", ".yaml", ".sha256"}
    for file in complete.files():
        path = complete.path(file)
        assert not zipfile.is_zipfile(path), f"{file} may be torch's format"
        assert path.read_bytes()[:1] != b"\x80", f"{file} begins as a pickle"


def assert_self_contained(page: str) -> None:
    """Check that the page loads nothing: it has no address where a browser would fetch one."""
    loaded = re.findall(r"""<(?:script|img|link|iframe|image|use)\b[^>]*?(?:src|href)=["']?([^"'\s>]+)""", page)
    assert [address for address in loaded if not address.startswith(("data:", "#"))] == []
    assert not re.search(r"""@import|url\(["']?(?:https?:)?//""", page)


def test_page_needs_no_network(complete: Project) -> None:
    page = complete.path("results/report.html").read_text()
    # Vega's own code can make images for tooltips; that the page asks for nothing is seen in test_page_in_browser.
    assert vega() in page
    assert_self_contained(page.replace(vega(), ""))
    assert len(re.findall("data:image|<svg", page)) >= 4


@pytest.mark.slow
def test_snakemakes_report(project: Project) -> None:
    """`snakemake --report` holds the tables, the figures, the page, each with its caption."""
    project.snakemake("--report", "report.html")
    page = project.path("report.html").read_text()
    captions = [
        registry.description(kind, path.stem)
        for kind, path in [
            *(("table", path) for path in project.path("results/tables").glob("*.md")),
            *(("figure", path) for path in project.path("results/figures").glob("*.svg")),
        ]
    ]
    assert len(captions) >= 13
    captions.append(project.source.joinpath("workflow/report/report.rst").read_text().strip())
    for caption in captions:
        assert json.dumps(caption)[1:-1] in page
    assert_self_contained(page.replace('\\"', '"'))
