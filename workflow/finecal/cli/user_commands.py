"""The verbs that no rule calls. Each imports only what it needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from finecal.cli.stage_commands import mirror, open_page, selected_plan
from finecal.runtime.imports import large_imports

if TYPE_CHECKING:
    from finecal.plan.plan import Plan


def do_compare(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.compare_runs import compare_runs

    page = compare_runs(RunKey.of(given.target), RunKey.of(given.other), given.out)
    print(page)
    if given.open:
        open_page(page)


def do_check(given: argparse.Namespace) -> None:
    from finecal.cli.overview import describe_plan
    from finecal.config.extends import study_names
    from finecal.plan.estimate import IMAGES_PER_SECOND
    from finecal.plan.network import has_checkpoints, needs_network

    plan = selected_plan(given)
    # The models of built-in studies are known to be right; to look at any, timm is imported, for two seconds.
    has_own = not {*plan.names} <= {*study_names()}
    if has_own or needs_network(plan):
        with large_imports():
            import timm  # noqa: F401
    if has_own:
        from finecal.cli.model_checks import check_models

        check_models(plan)
    if has_checkpoints(plan):
        from finecal.plan.own_weights import check_checkpoints

        for line in check_checkpoints(plan):
            print(line)
    print(describe_plan(plan, given.images_per_second or IMAGES_PER_SECOND))
    _say_default(given, plan)


def do_status(given: argparse.Namespace) -> None:
    from finecal.cli.status import describe

    plan = selected_plan(given)
    print(describe(plan))
    _say_default(given, plan)


def _say_default(given: argparse.Namespace, plan: Plan) -> None:
    """Say where no configuration was found: whoever is in another folder than they think reads of another study."""
    from finecal.config.settings import CONFIG

    if not given.study and not CONFIG.is_file():
        print(f"finecal: no {CONFIG} in {Path.cwd()}, so this is {', '.join(plan.names)}, the default", file=sys.stderr)


def do_why(given: argparse.Namespace) -> None:
    from finecal.cli.why import explain

    print(explain(selected_plan(given), given.target))


def do_prefetch(given: argparse.Namespace) -> None:
    from finecal.plan.network import list_clips, list_hub_models

    plan = selected_plan(given)
    if list_hub_models(plan) or list_clips(plan):
        with large_imports():
            import timm  # noqa: F401
    from finecal.stages.prefetch import prefetch

    print(prefetch(plan, mirror(given)))


def do_list(given: argparse.Namespace) -> None:
    from finecal.cli.overview import describe_names

    print(describe_names(given.kind))


def do_init(given: argparse.Namespace) -> None:
    from finecal.cli.new_folder import make

    print(make(Path(given.folder)))


def do_diagnose(given: argparse.Namespace) -> None:
    from finecal.library.command import diagnose_files

    said = diagnose_files(
        Path(given.logits), given.fine_tuning, given.out, pretrained=given.pretrained, scores=given.scores,
        classes=given.classes, beside={"labels": given.labels, "features": given.features, "model": given.model},
    )  # fmt: skip
    print(said)
