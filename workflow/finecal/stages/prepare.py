"""Decode or render a domain once and pack it: images.parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from finecal import paths
from finecal.data.dataset import DataSet
from finecal.data.divisions import hold_out_validation
from finecal.data.image_files import ImageFiles
from finecal.data.packed import PackedImages, write_images
from finecal.download.fetch import check
from finecal.download.spec import Files
from finecal.errors import unknown
from finecal.io.provenance import provenance
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.runtime.scratch import scratch_folder
from finecal.seeds import generator


def prepare(plan: Plan, dataset: str, domain: str, threads: int = 1) -> None:
    """Write results/{dataset}/images/{domain}.parquet; files are decoded by this many threads."""
    path = paths.IMAGES.format(dataset=dataset, domain=domain)
    columns = {"dataset": dataset, "domain": domain}
    with open_samples(plan, dataset, domain, path) as (samples, inputs):
        made = provenance(Identities(plan).of("prepare", columns).record(), inputs=inputs)
        if isinstance(samples, PackedImages):
            write_images(path, samples, columns=columns, provenance=made)
        else:
            from finecal.data.decoding import pack  # Pillow, which those that are made of arrays do without

            pack(samples, path, columns=columns, provenance=made, threads=threads)


class Opened(NamedTuple):
    """The samples of a domain, some held out for validation, and the downloads that they are in."""

    samples: PackedImages | ImageFiles
    inputs: list[Path]


@contextmanager
def open_samples(plan: Plan, dataset: str, domain: str, result: str) -> Iterator[Opened]:
    """Give the samples of a domain, with the files that they are to be decoded from."""
    data_set = plan.data_set(dataset)
    if domain not in data_set.domains():
        raise unknown("domain", domain, data_set.domains(), where=f"the data set {dataset!r}")
    fraction = plan.options("prepare", dataset)["validation_fraction"]
    with _open_files(data_set, domain, result) as files:
        # Its own generator: a data set has the same training and test samples with and without validation.
        random = generator("validation", dataset, domain)
        samples = hold_out_validation(data_set.prepare(domain, files), fraction, random)
        yield Opened(samples, [files.folder / download.name for download in data_set.downloads(domain)])


@contextmanager
def _open_files(data_set: DataSet, domain: str, result: str) -> Iterator[Files]:
    """Check the domain's downloads, and make a scratch folder that is removed after the block."""
    folder = paths.downloads_folder(data_set.source)
    downloads = data_set.downloads(domain)
    for download in downloads:
        check(download, folder)
    otherwise = paths.state_folder(result).with_suffix("")
    # Archives of images are about as large as what is in them.
    needed = 2 * sum((folder / download.name).stat().st_size for download in downloads)
    with scratch_folder(otherwise, needed) as scratch:
        yield Files(folder, scratch)
