"""Which jobs of a stage a plan has: the coordinates of each, in the order of the runs. Repetitions are allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from finecal import paths
from finecal.plan.network import list_downloads
from finecal.plan.stage import Coordinates

if TYPE_CHECKING:
    from finecal.plan.plan import Plan


def downloads(plan: Plan) -> Iterator[Coordinates]:
    """Every file that is fetched."""
    return ({"module": file.parent.name, "file": file.name} for file in list_downloads(plan))


def domains(plan: Plan) -> Iterator[Coordinates]:
    """Every domain whose images are prepared as squares: that a model is shown them, or they name the classes."""
    found = plan.domains()
    if plan.options_of("frame"):
        needed = {(run.dataset, plan.first_domain(run.dataset)) for run in plan.trainings}
        for run in plan.trainings:
            split = plan.options("split", run.dataset, run.split)
            needed |= {(run.dataset, split["target"])} if "target" in split else set()
            if not plan.is_framed(run.dataset, run.backbone):
                needed |= {(run.dataset, run.source), (run.dataset, run.target)}
        found = tuple(one for one in found if one in needed)
    return ({"dataset": dataset, "domain": domain} for dataset, domain in found)


def framed(plan: Plan) -> Iterator[Coordinates]:
    """Every domain of every backbone that is shown the images in its own way."""
    for run in plan.trainings:
        if plan.is_framed(run.dataset, run.backbone):
            yield {"dataset": run.dataset, "domain": run.target, "backbone": run.backbone}
    for model in pretrained(plan):
        dataset, domain, backbone = (str(model[name]) for name in ("dataset", "domain", "backbone"))
        if plan.is_framed(dataset, backbone):
            source = domain if plan.has_images(dataset, domain) else plan.first_domain(dataset)
            yield {"dataset": dataset, "domain": source, "backbone": backbone}


def splits(plan: Plan) -> Iterator[Coordinates]:
    """Every split, that of all classes included."""
    return ({"dataset": run.dataset, "split": run.split} for run in plan.trainings)


def pretrained(plan: Plan) -> Iterator[Coordinates]:
    """Every pretrained model: those that are fine-tuned, and those that cluster the classes of a split."""
    for run in plan.trainings:
        yield from _clustering(plan, run)
        yield {"dataset": run.dataset, "domain": run.source, "backbone": run.backbone}


def clustering_models(plan: Plan) -> Iterator[Coordinates]:
    """Every pretrained model that clusters the classes of a split."""
    for run in plan.trainings:
        yield from _clustering(plan, run)


def _clustering(plan: Plan, run: paths.RunKey) -> Iterator[Coordinates]:
    split = plan.options("split", run.dataset, run.split)
    if split["kind"] == "clustered":
        yield {"dataset": run.dataset, "domain": split["source"], "backbone": split["backbone"]}


def tasks(plan: Plan) -> Iterator[Coordinates]:
    """Every task of every pretrained model."""
    return ({"dataset": run.dataset, "task": run.task, "backbone": run.backbone} for run in plan.trainings)


def trainings(plan: Plan) -> Iterator[Coordinates]:
    """Every fine-tuning run, those on all classes included."""
    return (run.columns() for run in plan.trainings)


def runs(plan: Plan) -> Iterator[Coordinates]:
    """Every run that is calibrated."""
    return (run.columns() for run in plan.runs)


def runs_that_read(data: str) -> Callable[[Plan], Iterable[Coordinates]]:
    """Every run of which a calibrator reads this data."""
    return lambda plan: (run.columns() for run in plan.runs if data in plan.reads(run))


def runs_that_take(name: str) -> Callable[[Plan], Iterable[Coordinates]]:
    """Every run of which a calibrator takes this of each sample besides its logits."""
    return lambda plan: (run.columns() for run in plan.runs if name in plan.takes(run))


def runs_in(table: str) -> Callable[[Plan], Iterable[Coordinates]]:
    """Every run that an aggregated table holds."""
    return lambda plan: (run.columns() for run in plan.runs_in(table))


def aggregated(plan: Plan) -> Iterator[Coordinates]:
    """Every aggregated table that is made from files of the runs."""
    return ({"table": table} for table in plan.aggregated() if table in paths.AGGREGATED)


def aggregated_if_read(table: str) -> Callable[[Plan], Iterable[Coordinates]]:
    """The one job of a table of all runs, if a figure, a table or the report reads it."""
    return lambda plan: [{}] if table in plan.aggregated() else []


def applicable(kind: str) -> Callable[[Plan], Iterable[Coordinates]]:
    """Every figure or table that shows something of the selected studies."""
    return lambda plan: ({kind: name} for name in plan.applicable(kind))


def one(_plan: Plan) -> list[Coordinates]:
    """The one job of all runs together."""
    return [{}]


def none(_plan: Plan) -> list[Coordinates]:
    """No job, unless one is asked for by the path of its output."""
    return []
