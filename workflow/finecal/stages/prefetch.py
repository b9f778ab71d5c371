"""Fetch what the jobs of a study would fetch, for compute nodes without network."""

from __future__ import annotations

from finecal.models import architecture, build
from finecal.plan import Plan


def prefetch(plan: Plan) -> str:
    """Fetch the hub's weights of every backbone into the cache that the jobs read (HF_HOME); say what was fetched.

    Raises
    ------
    UserError
        If something cannot be fetched.
    """
    lines = []
    for model in plan.hub_models():
        build(architecture({"model": model, "options": {}, "image_size": 224}, ("a", "b"), 3), weights="hub")
        lines.append(f"{model}: the hub's weights are in the cache")
    return "\n".join(lines or ["The selected studies need nothing from the network."])
