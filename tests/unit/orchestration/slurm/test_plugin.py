"""The executor plugin `finecal-slurm`, as Snakemake finds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.cli import parse_args
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from finecal.orchestration.slurm.executor import Executor
from finecal.orchestration.slurm.settings import EXECUTOR, ExecutorSettings, runs_per_gpu

PROFILE = Path(__file__).resolve().parents[4] / "profiles/slurm"


def settings_of(*options: str) -> Any:
    """The executor's settings for the profile and further options."""
    _, args = parse_args(["--profile", str(PROFILE), "--workflow-profile", "none", *options])
    assert args.executor == EXECUTOR
    return ExecutorPluginRegistry().get_plugin(EXECUTOR).get_settings(args)


def test_it_is_found_by_its_name() -> None:
    plugin = ExecutorPluginRegistry().get_plugin(EXECUTOR)
    assert plugin.executor is Executor
    assert plugin.common_settings.non_local_exec
    assert ExecutorPluginRegistry().get_plugin("slurm").executor is not Executor


def test_the_settings_of_the_profile() -> None:
    settings = settings_of()
    assert isinstance(settings, ExecutorSettings)
    assert (settings.init_seconds_before_status_checks, settings.requeue, settings.runs_per_gpu) == (20, True, None)


@pytest.mark.parametrize(("options", "expected"), [((), 4), ((f"--{EXECUTOR}-runs-per-gpu", "2"), 2)])
def test_how_many_runs_share_a_gpu(options: tuple[str, ...], expected: int) -> None:
    """As config.yaml says, unless the executor is told otherwise."""
    config = {"studies": ["digits"], "runs_per_gpu": 4}
    assert runs_per_gpu(SimpleNamespace(executor_settings=settings_of(*options), config=config)) == expected


def test_no_run_shares_a_gpu_with_less_than_itself() -> None:
    with pytest.raises(WorkflowError, match="--finecal-slurm-runs-per-gpu must be at least 1, not 0"):
        ExecutorSettings(runs_per_gpu=0)


def test_snakemake_starts_without_the_large_libraries() -> None:
    """Snakemake imports the plugin in every process."""
    code = (
        "import sys, snakemake_executor_plugin_finecal_slurm; print({'torch', 'timm', 'matplotlib'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
