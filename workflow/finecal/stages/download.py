"""Fetch the files of a data set into resources/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finecal import paths, registry
from finecal.data import dataset as data_set
from finecal.download.fetch import fetch_all
from finecal.download.spec import Download
from finecal.errors import UserError, unknown
from finecal.plan.plan import Plan


def download(plan: Plan, target: str, mirror: str | None) -> str:
    """Fetch one file, or all files of a data set, unless they are there; check them, and say which they are.

    Parameters
    ----------
    target
        resources/{module}/{file}, a data set of the selected studies, or a built-in data set, with all its domains and
        its options as they are by default.

    Raises
    ------
    UserError
        For an unknown name; if a file cannot be fetched or is wrong.
    """
    found = paths.parse(paths.DOWNLOAD, target)
    files = _file(plan, target) if found else _data_set(plan, target)
    fetch_all(files, mirror=mirror)
    return "\n".join(f"{path}: checked" for path in files) or f"{target}: needs nothing from the network"


def _file(plan: Plan, target: str) -> dict[Path, Download]:
    selected = plan.all_downloads()
    if Path(target) not in selected:
        raise unknown("download", target, map(str, selected), where="selected studies")
    return {Path(target): selected[Path(target)]}


def _data_set(plan: Plan, name: str) -> dict[Path, Download]:
    """The files of a data set of the studies, of all that are made by a module, or of a module as it is by default."""
    used = {dataset: plan.options("prepare", dataset) for dataset, _ in plan.domains()}
    if name in used:
        meant = [(used[name]["source"], used[name]["options"])]
    elif name in registry.names("dataset"):
        meant = [(name, spec["options"]) for spec in used.values() if spec["source"] == name]
        meant = meant or [(name, _default(name))]
    else:
        raise unknown("data set", name, [*used, *registry.names("dataset")])
    found: dict[Path, Download] = {}
    for source, options in meant:
        module, folder = registry.load("dataset", source), paths.downloads_folder(source)
        if not hasattr(module, "downloads"):
            continue
        for domain in module.domains(module.Options.model_validate(options)):
            found.update({folder / one.name: one for one in data_set.downloads(source, domain, options)})
    return found


def _default(name: str) -> dict[str, Any]:
    module = registry.load("dataset", name)
    needed = [key for key, field in module.Options.model_fields.items() if field.is_required()]
    if needed and hasattr(module, "downloads"):
        raise UserError(
            f"the data set {name!r} has no files by default: it needs the option {needed[0]!r}", where="download",
            hint="Name a study that gives it, and the data set as that study calls it",
        )  # fmt: skip
    return {}
