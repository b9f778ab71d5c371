"""Fetch the files of a data set into resources/."""

from __future__ import annotations

from pathlib import Path

from finecal import paths, registry
from finecal.data.dataset import DataSet
from finecal.download.fetch import fetch_all
from finecal.download.spec import Download
from finecal.errors import UserError, unknown
from finecal.plan.network import list_downloads
from finecal.plan.plan import Plan


def download(plan: Plan, target: str, mirror: str | None) -> str:
    """Fetch one file, or all files of a data set, unless they exist; check them and list them.

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
    selected = list_downloads(plan)
    if Path(target) not in selected:
        raise unknown("download", target, map(str, selected), where="selected studies")
    return {Path(target): selected[Path(target)]}


def _data_set(plan: Plan, name: str) -> dict[Path, Download]:
    """The files of a data set of the studies, of all that are made by a module, or of a module as it is by default."""
    used = {dataset: plan.data_set(dataset) for dataset, _ in plan.domains()}
    if name in used:
        meant = [used[name]]
    elif name in registry.names("dataset"):
        meant = [data_set for data_set in used.values() if data_set.source == name] or _with_defaults(name)
    else:
        raise unknown("data set", name, [*used, *registry.names("dataset")])
    found: dict[Path, Download] = {}
    for data_set in meant:
        folder = paths.downloads_folder(data_set.source)
        found.update({folder / one.name: one for one in data_set.all_downloads()})
    return found


def _with_defaults(name: str) -> list[DataSet]:
    """A built-in data set with the options as they are by default; none if it needs no files whatever the options."""
    module = registry.load("dataset", name)
    if not hasattr(module, "downloads"):
        return []
    needed = [key for key, field in module.Options.model_fields.items() if field.is_required()]
    if needed:
        raise UserError(
            f"the data set {name!r} has no files by default: it needs the option {needed[0]!r}", where="download",
            hint="Name a study that gives it, and the data set as that study calls it",
        )  # fmt: skip
    return [DataSet(name, {})]
