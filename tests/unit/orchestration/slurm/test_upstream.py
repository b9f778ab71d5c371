"""The names of Snakemake's SLURM plugin that our executor uses: whether they are still there."""

from __future__ import annotations

import ast
import importlib
import inspect
from importlib.metadata import version
from pathlib import Path

import snakemake_executor_plugin_slurm as plugin

from finecal.orchestration.slurm import upstream

SOURCE = Path(upstream.__file__)
PLUGIN = "snakemake_executor_plugin_slurm"
# Of the plugin's executor also used by the classes that build on upstream.SlurmExecutor.
INHERITED = {"slurm_logdir", "run_uuid", "get_account_arg", "get_partition_arg", "run_jobs", "run_job"}


def test_the_names_that_we_use_are_there() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"))
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PLUGIN)
        for alias in node.names
    }
    ours = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    private = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")
    } | {name for name in ours if name.startswith("_report")}
    missing = {
        name
        for name in imported
        if not hasattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2])
    }
    of_executor = inspect.getsource(plugin.Executor)
    missing |= {
        f"Executor.{name}"
        for name in private | INHERITED
        if f"self.{name}" not in of_executor and f"def {name}" not in of_executor
    }
    assert imported
    assert len(private) > 3
    assert not missing, (
        f"{PLUGIN} {version(PLUGIN)} has no {', '.join(sorted(missing))}, which workflow/finecal/orchestration/slurm/"
        "upstream.py uses: adapt that file to the plugin's new release and its bound in pyproject.toml"
    )


def test_no_other_module_imports_the_plugin() -> None:
    package = Path(__file__).resolve().parents[4] / "workflow/finecal"
    importing = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PLUGIN)
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == PLUGIN for alias in node.names))
    }
    assert importing == {"orchestration/slurm/upstream.py"}
