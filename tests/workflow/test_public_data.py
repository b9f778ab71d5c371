"""The other public data sets in miniature, from a server that loses the first connection, to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import miniatures
import pyarrow.parquet as pq
import pytest
from mirror import serve
from test_real_data import a_project, nothing_to_do

from finecal.images import read_images
from finecal.study import load_study


class Case(NamedTuple):
    """The files of a miniature; data set → domain → classes, training and test samples."""

    files: Callable[[], dict[str, bytes]]
    expected: dict[str, dict[str, tuple[int, int, int]]]


CASES = {
    "vtab": Case(
        lambda: miniatures.caltech101(24), {"caltech101": {"few": (4, 36, 20), "images": (4, 40, 20)}}
    ),
    "iwildcam": Case(
        lambda: miniatures.iwildcam(10), {"iwildcam": {"train_locations": (4, 80, 80), "test_locations": (4, 40, 40)}}
    ),
    "cifar_c": Case(lambda: miniatures.cifar(10), {"cifar_c": {"clean": (4, 240, 48), "contrast": (4, 240, 48)}}),
    "domainnet": Case(
        lambda: miniatures.domainnet("sketch", 24) | miniatures.domainnet("painting", 24),
        {"domainnet": {"sketch": (4, 48, 48), "painting": (4, 58, 38)}},
    ),
    "pacs": Case(lambda: miniatures.pacs(10), {"pacs": {"photo": (7, 49, 21), "sketch": (7, 49, 21)}}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("study", CASES)
def test_from_the_download_to_the_report(source: Path, tmp_path: Path, study: str) -> None:
    files, expected = CASES[study].files(), CASES[study].expected
    small = load_study(f"small/{study}").datasets
    datasets = {name: {"source": f"miniature/{study}.py", "options": use.options} for name, use in small.items()}
    first = f"first/{next(iter(files))}"
    with serve({f"first/{name}": content for name, content in files.items()}) as mirror:
        mirror.faults[first] = ["drop", "503"]
        project = a_project(tmp_path, source, study, mirror, {"datasets": datasets})
        project.snakemake("--cores", "2", "results/report.html")
        asked = [path for path, _ in mirror.asked]
        assert set(asked) == {f"first/{name}" for name in files}
        assert asked.count(first) == 3  # again after the lost connection and the error
        assert nothing_to_do(project)
    for dataset, domains in expected.items():
        for domain, (classes, training, test) in domains.items():
            images = read_images(project.path(f"results/{dataset}/images/{domain}.parquet"))
            assert (len(images.classes), images.train.sum(), images.test.sum()) == (classes, training, test)
    metrics = pq.read_table(project.path("results/tables/metrics.parquet")).to_pandas()
    assert set(metrics["dataset"]) == set(expected)
    assert project.path("results/report.html").stat().st_size > 10_000
