"""The verbs of the stages: what each is given is in its record, what it does in `finecal.stages`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finecal import paths
from finecal.cli.arguments import AUTO_GPU
from finecal.cli.waiting import is_made_by_another
from finecal.errors import UserError
from finecal.paths import REPORT, RUN, RunKey
from finecal.plan.stage import Stage
from finecal.plan.stages import STAGES
from finecal.runtime.imports import large_imports
from finecal.training.model_hash import check_models, forget_models, note_models

if TYPE_CHECKING:
    from finecal.plan.plan import Plan

Given = argparse.Namespace


def selected_plan(given: Given) -> Plan:
    """The plan of the studies of --study, or of config.yaml."""
    from finecal.config.settings import read_settings
    from finecal.plan.plan import Plan

    return Plan(given.study or read_settings().studies)


def mirror(given: Given) -> str | None:
    """The folder or address of --mirror, or of config.yaml."""
    from finecal.config.settings import read_settings

    found: str | None = given.mirror
    return found or read_settings().mirror


# Stage → what its function takes besides the arguments that its record tells of.
FURTHER: dict[str, Callable[[Given], dict[str, Any]]] = {
    "download": lambda given: {"mirror": mirror(given)},
    "prepare": lambda given: {"threads": given.threads},
    "frame": lambda given: {"threads": given.threads},
    "export": lambda given: {name: getattr(given, name) for name in ("name", "threads", "out", "force", "onnx")},
}
# Whose work a stage does besides its own (`stages/_handover.py`).
LEAVES = {"finetune": ("extract",)}


def run_stage(stage: Stage, given: Given) -> None:
    """Import a stage's function and call it with the plan, what its target names, and the settings of the machine.

    A job of a measured stage notes what it took from the start of its process on: it is to be the only one in it.
    """
    from finecal.io.contents import kept_hashes

    with kept_hashes():
        _run_stage(stage, given)


def _run_stage(stage: Stage, given: Given) -> None:
    from finecal.runtime.usage import noted

    plan = [selected_plan(given)] if stage.study else []
    arguments = target_arguments(stage, given, *plan)
    if stage.resumable and is_made_by_another(stage, _wildcards(stage, arguments), *plan):
        return
    if stage.name in FURTHER:
        arguments |= FURTHER[stage.name](given)
    _read_code(stage, arguments, *plan)
    with large_imports():
        work = getattr(import_module(f"finecal.stages.{stage.module or stage.name}"), stage.name)
    if stage.torch:
        from finecal.stages import Settings

        own = {name: getattr(given, name) for name in Settings.__dataclass_fields__}
        arguments["settings"] = Settings(**{**own, "device": "cuda" if given.device == AUTO_GPU else given.device})
    with noted(measurement(stage, arguments)), _as_configured(getattr(given, "device", "")):
        made = _check_ready(stage, arguments, *plan)
        said = _interruptible(lambda: work(*plan, **arguments)) if stage.resumable else work(*plan, **arguments)
        note_models(made)
    if said:
        print(said)


def _read_code(stage: Stage, arguments: dict[str, Any], plan: Plan | None = None) -> None:
    """Take the digests of a job's code, and of the user's own files, before anything of them is imported or read.

    They are kept until the job notes them at its end. So where they are edited while it works, its result does not say
    that it was made of the new ones.
    """
    from finecal.plan.code_digests import Identity, stage_digest
    from finecal.plan.identities import Identities

    if not stage.code:
        return
    for name in LEAVES.get(stage.name, ()):
        stage_digest(name)
    with suppress(UserError):  # of a wrong name: the job says so
        if plan is None:
            Identity.of(stage.name, {})
        else:
            Identities(plan).of(stage.name, {**_wildcards(stage, arguments), "calibrator": arguments.get("name")})


@contextmanager
def _as_configured(device: str) -> Iterator[None]:
    """Name the device as config.yaml does, not as the job was told."""
    try:
        yield
    except UserError as error:
        told, meant = "device is 'cuda', but", "device is 'auto', on a cluster a GPU, but"
        if device != AUTO_GPU or not error.what.startswith(told):
            raise
        what = error.what.replace(told, meant)
        raise UserError(what, where=error.where, why=error.why, hint=error.hint) from error


def _check_ready(stage: Stage, arguments: dict[str, Any], plan: Plan | None = None) -> list[Path]:
    """Look at all that decides whether the job can succeed and does not depend on its work; its outputs, if known."""
    from finecal.io.provenance import sha256
    from finecal.plan.job_files import inputs_of, outputs_of, sizes_of
    from finecal.runtime.readiness import check_ready

    if stage.target not in ("", "RUN", "FILE", "FOLDER", "NAME"):  # a download looks at its own files
        return []
    wildcards = _wildcards(stage, arguments)
    inputs = inputs_of(stage, wildcards, plan)
    check_models(inputs)
    if stage.name == "export":  # it may go elsewhere, and its name is no part of the target
        return []
    outputs = outputs_of(stage, wildcards)
    check_ready(outputs, inputs, sizes_of(stage, wildcards, plan))
    for file in filter(Path.exists, inputs):
        sha256(file)  # is kept: one that is replaced meanwhile is not noted as what the result was made from
    forget_models(outputs)
    return outputs


def _wildcards(stage: Stage, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the wildcards of the job that a verb stands for."""
    if stage.target == "NAME":
        return {stage.place.strip("{}"): arguments["name"]}
    run: RunKey | None = arguments.get("run")
    return {**run.columns(), "source": run.source, "target": run.target} if run else arguments


def target_arguments(stage: Stage, given: Given, plan: Plan | None = None) -> dict[str, Any]:
    """What the target of a verb stands for, as arguments of the stage's function.

    Raises
    ------
    UserError
        If it does not match the pattern that the stage has, or no selected study contains it.
    """
    if stage.target == "RUN":
        _check_not_of_another(stage, given.target)
        run = RunKey.of(given.target)
        return {"run": plan.check_contains(run) if plan else run}
    if stage.target in ("FILE", "FOLDER"):
        pattern = stage.result if stage.target == "FILE" else str(Path(stage.result).parent)
        found = paths.parse(pattern, given.target)
        if found is None:
            raise UserError(f"{given.target!r} does not match {pattern}")
        return dict(found)
    if stage.target == "NAME":
        return {"name": given.target}
    return {"target": given.target} if stage.target else {}


def measurement(stage: Stage, arguments: dict[str, Any]) -> Path | None:
    """The file in which a job notes what it took; None for a stage that is not measured."""
    if stage.benchmark is None:
        return None
    run: RunKey | None = arguments.get("run")
    return run.path(stage.benchmark) if run else Path(stage.benchmark.format(**arguments))


def _check_not_of_another(stage: Stage, target: str) -> None:
    """Refuse what another stage makes of the run: the file, or a folder of its own in that of the run."""
    for other in STAGES.values():
        for pattern in other.outputs.values():
            folder = str(Path(pattern).parent)
            places = [pattern] if folder == RUN else [pattern, folder]
            if other is not stage and pattern.startswith(RUN) and any(paths.parse(one, target) for one in places):
                raise UserError(f"{target!r} is not made by this verb", hint=f"Use `finecal {other.verb}`")


def _interruptible(work: Callable[[], Any]) -> Any:
    """Call a function; an interruption ends with 128 + signal."""
    from finecal.training.state import Interrupted

    try:
        return work()
    except Interrupted as signal:
        print(f"finecal: {signal}", file=sys.stderr)
        sys.exit(128 + signal.number)


def write_report(given: Given) -> None:
    """Write the report; with --open show it, and write it only if it is missing."""
    page = Path(REPORT)
    if not (given.open and page.is_file()):
        run_stage(STAGES["report"], given)
    if given.open:
        open_page(page)


def open_page(page: Path) -> None:
    """Open a page in the browser; where there is none, as on a login node, say where the page is."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print(f"no browser was found; the page is {page.resolve()}")
