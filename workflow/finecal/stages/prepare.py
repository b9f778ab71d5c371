"""Decode or render a domain once and pack it: images.parquet."""

from __future__ import annotations

from finecal import paths, plugins
from finecal.artifacts import provenance
from finecal.config import plugin_options
from finecal.images import write_images
from finecal.plan import Plan


def prepare(plan: Plan, dataset: str, domain: str) -> None:
    """Write results/{dataset}/images/{domain}.parquet."""
    spec = plan.options("prepare", dataset)
    module = plugins.load("dataset", spec["source"])
    images = module.prepare(domain, plugin_options("dataset", spec["source"], spec["options"]))
    path = paths.IMAGES.format(dataset=dataset, domain=domain)
    columns = {"dataset": dataset, "domain": domain}
    write_images(path, images, columns=columns, provenance=provenance(options=spec))
