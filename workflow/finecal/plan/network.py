"""What the jobs of a plan fetch from the network: files of data sets, weights from hubs."""

from __future__ import annotations

from pathlib import Path

from finecal import paths
from finecal.download.spec import Download
from finecal.errors import UserError
from finecal.models import locations
from finecal.plan.options import Options, own_weights
from finecal.plan.plan import Plan


def needs_network(plan: Plan) -> bool:
    """Return whether jobs fetch images or weights."""
    fetched = [use for use in list_clips(plan).values() if locations.folder_of(use["model"]) is None]
    return bool(list_downloads(plan) or list_hub_models(plan) or fetched)


def has_checkpoints(plan: Plan) -> bool:
    """Return whether there are checkpoints of the user's own, pretrained or fine-tuned."""
    pretrained = [own_weights(options) for options in plan.options_of("pretrain").values()]
    return any(pretrained) or any(plan.checkpoint_of(run) for run in plan.trainings)


def list_downloads(plan: Plan) -> dict[Path, Download]:
    """Return path → what is fetched there, for all selected studies.

    Raises
    ------
    UserError
        If two data sets mean different files by one name.
    """
    found: dict[Path, Download] = {}
    needed = [(plan.data_set(dataset), domain) for dataset, domain in plan.domains()]
    files = [(data_set.source, data_set.downloads(domain)) for data_set, domain in needed]
    of_splits = {dataset for (dataset, _), split in plan.options_of("split").items() if split["kind"] == "official"}
    files += [(one.source, one.official_downloads()) for one in map(plan.data_set, sorted(of_splits))]
    for source, downloads in files:
        folder = paths.downloads_folder(source)
        for download in downloads:
            if found.setdefault(folder / download.name, download) != download:
                raise UserError("this name stands for two different files", where=str(folder / download.name))
    return found


def list_hub_models(plan: Plan) -> list[str]:
    """Return timm's names of the models whose weights the jobs fetch from the hub."""
    uses = plan.options_of("pretrain").values()
    of_hub = [use["backbone"] for use in uses if use["pretraining"]["weights"] == "hub" and not own_weights(use)]
    return sorted({backbone["model"] for backbone in of_hub if "zero_shot" not in backbone})


def list_clips(plan: Plan) -> dict[str, Options]:
    """Return name of the backbone → what its zero-shot head is made from."""
    uses = {key[-1]: options["backbone"] for key, options in plan.options_of("pretrain").items()}
    return {name: backbone["zero_shot"] for name, backbone in uses.items() if "zero_shot" in backbone}
