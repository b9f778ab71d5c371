"""Decode or render a domain once and pack it: images.parquet."""

from __future__ import annotations

from finecal import paths, plugins
from finecal.artifacts import provenance
from finecal.config import plugin_options
from finecal.errors import unknown
from finecal.images import hold_out_validation, write_images
from finecal.plan import Plan
from finecal.seeds import generator


def prepare(plan: Plan, dataset: str, domain: str) -> None:
    """Write results/{dataset}/images/{domain}.parquet."""
    spec = plan.options("prepare", dataset)
    module = plugins.load("dataset", spec["source"])
    options = plugin_options("dataset", spec["source"], spec["options"])
    if domain not in module.domains(options):
        raise unknown("domain", domain, module.domains(options), where=f"the data set {dataset!r}")
    images = module.prepare(domain, options)
    # Its own generator: a data set has the same training and test samples with and without validation.
    images = hold_out_validation(images, spec["validation_fraction"], generator("validation", dataset, domain))
    path = paths.IMAGES.format(dataset=dataset, domain=domain)
    columns = {"dataset": dataset, "domain": domain}
    write_images(path, images, columns=columns, provenance=provenance(options=spec))
