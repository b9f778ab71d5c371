"""The other public data sets in miniature, from a server that loses the first connection, to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import miniatures
import pyarrow.parquet as pq
import pytest
from mirror import serve, twice
from test_real_data import a_project, nothing_to_do

from finecal.config.load import load_study
from finecal.data.packed import read_images


class Case(NamedTuple):
    """The files of a miniature, how their first address fails, and how often the first file is asked for there.

    Data set → domain → classes, training and test samples.
    """

    files: Callable[[], dict[str, bytes]]
    faults: tuple[list[str], ...]  # of the first file, the second, …
    expected: dict[str, dict[str, tuple[int, int, int]]]


CASES = {
    "vtab": Case(
        lambda: miniatures.caltech101(24), (["wrong"],), {"caltech101": {"few": (4, 36, 20), "images": (4, 40, 20)}}
    ),
    "iwildcam": Case(
        lambda: miniatures.iwildcam(10),
        (["drop", "503"],),
        {"iwildcam": {"train_locations": (4, 80, 80), "test_locations": (4, 40, 40)}}
    ),
    "cifar_c": Case(
        lambda: miniatures.cifar(10),
        (["short"],),
        {"cifar_c": {"clean": (4, 240, 48), "contrast": (4, 240, 48)}},
    ),
    "domainnet": Case(
        lambda: miniatures.domainnet("sketch", 24) | miniatures.domainnet("painting", 24),
        (["drop", "503"], ["wrong"], ["short"]),
        {"domainnet": {"sketch": (4, 48, 48), "painting": (4, 58, 38)}},
    ),
    "pacs": Case(
        lambda: miniatures.pacs(10), (["drop", "wrong"],), {"pacs": {"photo": (7, 49, 21), "sketch": (7, 49, 21)}}
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("study", CASES)
def test_from_the_download_to_the_report(source: Path, tmp_path: Path, study: str) -> None:
    case, files = CASES[study], CASES[study].files()
    expected = case.expected
    small = load_study(f"small/{study}").datasets
    datasets = {name: {"source": f"miniature/{study}.py", "options": use.options} for name, use in small.items()}
    faults = {f"first/{name}": list(some) for name, some in zip(files, case.faults, strict=False)}
    # A lost connection and an error are tried again; wrong bytes, and half of a file as if it were whole, are not.
    again = {path for path, some in faults.items() if some == ["drop", "503"]}
    with serve(twice(files), {path: list(some) for path, some in faults.items()}) as mirror:
        project = a_project(tmp_path, source, study, mirror, {"datasets": datasets})
        project.snakemake("--cores", "2", "results/report.html")
        asked = [path for path, _ in mirror.asked]
        assert {path for path in asked if path.startswith("first/")} == {f"first/{name}" for name in files}
        elsewhere = {path.replace("first", "second") for path in {*faults} - again}
        assert {path for path in asked if path.startswith("second/")} == elsewhere
        assert all(asked.count(path) == 3 for path in again)
        assert nothing_to_do(project)
    for dataset, domains in expected.items():
        for domain, (classes, training, test) in domains.items():
            images = read_images(project.path(f"results/{dataset}/images/{domain}.parquet"))
            assert (len(images.classes), images.train.sum(), images.test.sum()) == (classes, training, test)
    metrics = pq.read_table(project.path("results/tables/metrics.parquet")).to_pandas()
    assert set(metrics["dataset"]) == set(expected)
    assert project.path("results/report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_every_other_task_of_vtab_from_the_download_to_the_images(source: Path, tmp_path: Path) -> None:
    """What follows is the same for all; each has its own files, which fail here in turn."""
    tasks = sorted({*miniatures.VTAB} - {"caltech101"})
    files = {task: miniatures.VTAB[task]() for task in tasks}
    faults = [["drop", "silent", "503"], ["wrong"], ["short"], ["unannounced"], ["404"], ["page"]]
    every = {name: content for of_task in files.values() for name, content in of_task.items()}
    failing = {f"first/{name}": list(faults[k % len(faults)]) for k, name in enumerate(every)}
    study = {
        "datasets": {
            task: {"source": "miniature/vtab.py", "options": {"task": task, "size": 32, "source_per_class": 2}}
            for task in tasks
        },
        "tasks": {task: ["few-images"] for task in tasks},
    }
    with serve(twice(every), failing) as mirror:
        project = a_project(tmp_path, source, "vtab", mirror, study)
        wanted = [f"results/{task}/images/{domain}.parquet" for task in tasks for domain in ("few", "images")]
        project.snakemake("--cores", "2", *wanted)
    for task in tasks:
        few, images = (
            read_images(project.path(f"results/{task}/images/{domain}.parquet")) for domain in ("few", "images")
        )
        assert few.classes == images.classes
        assert set(images.labels[images.test]) == set(few.labels[few.train]) == set(range(len(few.classes)))
