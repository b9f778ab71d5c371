"""What the verbs of the rules do. A verb imports what it needs, nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from finecal.errors import UserError
from finecal.runtime.imports import large_imports

if TYPE_CHECKING:
    from finecal.plan.plan import Plan
    from finecal.stages import Settings


def plan_of(given: argparse.Namespace) -> Plan:
    from finecal.config.settings import read_settings
    from finecal.plan.plan import Plan

    return Plan(given.study or read_settings().studies)


def _settings(given: argparse.Namespace) -> Settings:
    from finecal.stages import Settings

    return Settings(
        device=given.device,
        threads=given.threads,
        state_interval=given.state_interval,
        precision=given.precision,
        data_memory=given.data_memory,
        compile=given.compile,
    )


def _coordinates(pattern: str, given: argparse.Namespace) -> dict[str, str]:
    from finecal.paths import parse

    found = parse(pattern.removesuffix(".parquet"), given.target.removesuffix(".parquet"))
    if found is None:
        raise UserError(f"{given.target!r} is no such path", why=f"It must follow {pattern}")
    return found


def _interruptible(work: Callable[[], None]) -> None:
    from finecal.training.state import Interrupted

    try:
        work()
    except Interrupted as signal:
        print(f"finecal: {signal}", file=sys.stderr)
        sys.exit(128 + signal.number)


def mirror_of(given: argparse.Namespace) -> str | None:
    from finecal.config.settings import read_settings

    mirror: str | None = given.mirror
    return mirror or read_settings().mirror


def do_download(given: argparse.Namespace) -> None:
    from finecal.stages.download import download

    print(download(plan_of(given), given.target, mirror_of(given)))


def do_prepare(given: argparse.Namespace) -> None:
    from finecal.paths import IMAGES
    from finecal.stages.prepare import prepare

    prepare(plan_of(given), **_coordinates(IMAGES, given), threads=given.threads)


def do_split(given: argparse.Namespace) -> None:
    from finecal.paths import SPLIT
    from finecal.stages.split import split

    found = _coordinates(SPLIT, given)
    split(plan_of(given), found["dataset"], found["split"])


def do_pretrain(given: argparse.Namespace) -> None:
    from finecal.paths import PRETRAINED

    plan, found = plan_of(given), _coordinates(PRETRAINED, given)
    with large_imports():
        from finecal.stages.pretrain import pretrain

    _interruptible(lambda: pretrain(plan, **found, settings=_settings(given)))


def do_finetune(given: argparse.Namespace) -> None:
    from finecal.paths import PSEUDO, RunKey, parse

    plan = plan_of(given)
    run = plan.known(RunKey.of(given.target))
    checkpoint = plan.imported(run)
    if checkpoint is not None:
        with large_imports():
            from finecal.stages.take_over import take_over

        take_over(plan, run, checkpoint, _settings(given))
        return
    with large_imports():
        if parse(PSEUDO, given.target):
            from finecal.stages.pseudo import pseudo as work
        else:
            from finecal.stages.finetune import finetune as work
    _interruptible(lambda: work(plan, run, _settings(given)))


def do_extract(given: argparse.Namespace) -> None:
    from finecal import paths

    class_means = f"{paths.PRETRAINED}/{paths.CLASS_MEANS}"
    if paths.parse(class_means, given.target):
        with large_imports():
            from finecal.stages.means import means

        means(**_coordinates(class_means, given), settings=_settings(given))
    elif paths.parse(paths.INTERPOLATED, given.target):
        plan = plan_of(given)
        run = plan.known(paths.RunKey.of(given.target))
        with large_imports():
            from finecal.stages.interpolate import interpolate

        interpolate(plan, run, _settings(given))
    else:
        from finecal.stages.extract import extract

        extract(Path(given.target), _settings(given))


def do_calibrate(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.calibrate import calibrate

    calibrate(plan_of(given), RunKey.of(given.target))


def do_evaluate(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.evaluate import evaluate

    evaluate(plan_of(given), RunKey.of(given.target))


def do_gamma_data(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.gamma_data import gamma_data

    gamma_data(plan_of(given), RunKey.of(given.target))


def do_similarity(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.similarity import similarity

    similarity(RunKey.of(given.target))


def do_embed(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey

    with large_imports():
        from finecal.stages.embed import embed

    embed(RunKey.of(given.target))


def do_regions(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey

    run = RunKey.of(given.target)
    with large_imports():
        from finecal.stages.regions import regions

    regions(run, _settings(given))


def do_export(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey

    plan = plan_of(given)
    run = plan.known(RunKey.of(given.target))
    with large_imports():
        from finecal.stages import Settings
        from finecal.stages.export import export

    settings = Settings(device="cpu", threads=given.threads)
    onnx = not given.no_onnx
    print(export(plan, run, given.calibrator, settings, out=given.out, force=given.force, onnx=onnx))


def do_aggregate(given: argparse.Namespace) -> None:
    if given.target == "cost":
        from finecal.stages.cost import cost

        cost(plan_of(given))
    elif given.target == "runs":
        from finecal.stages.runs import runs

        runs(plan_of(given))
    else:
        from finecal.stages.aggregate import aggregate

        aggregate(plan_of(given), given.target)


def do_table(given: argparse.Namespace) -> None:
    from finecal.stages.present import table

    table(plan_of(given), given.target)


def do_figure(given: argparse.Namespace) -> None:
    with large_imports():
        from finecal.stages.present import figure

    figure(plan_of(given), given.target)


def do_report(given: argparse.Namespace) -> None:
    from finecal.paths import REPORT

    if not (given.open and Path(REPORT).is_file()):
        with large_imports():
            from finecal.stages.report import report

        report(plan_of(given))
    if given.open:
        open_page(Path(REPORT))


def open_page(page: Path) -> None:
    """In the browser; where there is none, as on a login node, it is said where the page is."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print(f"there is no browser here; the page is {page.resolve()}")
