"""Fetch in advance what the jobs of a study would fetch, for compute nodes without network."""

from __future__ import annotations

from finecal.download.fetch import fetch_all
from finecal.plan.network import list_clips, list_downloads, list_hub_models
from finecal.plan.plan import Plan


def prefetch(plan: Plan, mirror: str | None = None) -> str:
    """Fetch the data sets' files into resources/, and the hub's weights of every backbone into the cache that the jobs
    read (HF_HOME); list what is available.

    Raises
    ------
    UserError
        If something cannot be fetched.
    """
    lines = []
    files = list_downloads(plan)
    fetch_all(files, mirror=mirror)
    lines += [f"{path}: checked" for path in files]
    for model in list_hub_models(plan):
        from finecal.models.build import architecture, build  # a second, for those who need it

        build(architecture({"model": model, "options": {}, "image_size": 224}, ("a", "b"), 3), weights="hub")
        lines.append(f"{model}: the hub's weights are in the cache")
    for backbone, use in list_clips(plan).items():
        from finecal.models.zero_shot import load_clip

        load_clip(use, f"backbones.{backbone}.zero_shot")
        lines.append(f"{use['model']}: CLIP's weights are there")
    return "\n".join(lines or ["The selected studies need nothing from the network."])
