"""Decode or render a domain once and pack it: images.parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from finecal import paths, registry
from finecal.config import plugin_options
from finecal.data.image_files import ImageFiles
from finecal.data.packed import PackedImages, hold_out_validation, write_images
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
    spec = plan.options("prepare", dataset)
    module = registry.load("dataset", spec["source"])
    options = plugin_options("dataset", spec["source"], spec["options"])
    if domain not in module.domains(options):
        raise unknown("domain", domain, module.domains(options), where=f"the data set {dataset!r}")
    path = paths.IMAGES.format(dataset=dataset, domain=domain)
    columns = {"dataset": dataset, "domain": domain}
    with _files(plan, dataset, domain) as files:
        samples: PackedImages | ImageFiles = module.prepare(domain, options, files)
        # Its own generator: a data set has the same training and test samples with and without validation.
        samples = hold_out_validation(samples, spec["validation_fraction"], generator("validation", dataset, domain))
        inputs = [files.folder / download.name for download in plan.downloads(dataset, domain)]
        made = provenance(Identities(plan).of("prepare", columns).record(), inputs=inputs)
        if isinstance(samples, PackedImages):
            write_images(path, samples, columns=columns, provenance=made)
        else:
            from finecal.data.decoding import pack  # Pillow, which those that are made of arrays do without

            pack(samples, path, columns=columns, provenance=made, threads=threads)


@contextmanager
def _files(plan: Plan, dataset: str, domain: str) -> Iterator[Files]:
    """The domain's downloads, checked, and a scratch folder that lives as long as the block."""
    folder = paths.downloads_folder(plan.options("prepare", dataset)["source"])
    downloads = plan.downloads(dataset, domain)
    for download in downloads:
        check(download, folder)
    otherwise = paths.state_folder(paths.IMAGES.format(dataset=dataset, domain=domain)).with_suffix("")
    # Archives of images are about as large as what is in them.
    needed = 2 * sum((folder / download.name).stat().st_size for download in downloads)
    with scratch_folder(otherwise, needed) as scratch:
        yield Files(folder, scratch)
