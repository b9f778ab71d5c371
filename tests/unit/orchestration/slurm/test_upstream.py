"""The names of Snakemake's SLURM plugin that our executor uses: whether they are still there."""

from __future__ import annotations

import ast
import importlib
import inspect
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake_executor_plugin_slurm.utils import get_job_wildcards

from finecal.errors import UserError
from finecal.orchestration.slurm import upstream
from finecal.orchestration.slurm.upstream import _WithResources

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


def test_the_functions_that_are_replaced_are_still_called() -> None:
    of_executor = inspect.getsource(plugin.Executor)
    for call in ("set_gres_string(job)", "get_max_array_size()", "get_job_wildcards(job)"):
        assert call in of_executor


def test_folders_of_long_names_are_cut() -> None:
    """A data set, a recipe and a split of 90 characters each. Names that differ at the end only stay different."""
    cut = [get_job_wildcards(_WithResources(SimpleNamespace(wildcards=["é" * 90] * 3 + [end]), {})) for end in "ab"]
    assert all(len(name.encode()) <= 200 for name in cut)
    assert cut[0] != cut[1]
    assert get_job_wildcards(_WithResources(SimpleNamespace(wildcards=["a", "b/c"]), {})) == "a_b_c"


@pytest.mark.parametrize(("account", "options"), [(None, [""]), ("", [""]), ("a, b", [" -A a", " -A b"])])
def test_no_account_is_guessed(account: str | None, options: list[str]) -> None:
    executor: Any = object.__new__(upstream.SlurmExecutor)
    assert list(executor.get_account_arg(SimpleNamespace(resources={"slurm_account": account}))) == options


@pytest.mark.parametrize(("arrays", "size"), [(None, 1000), ("all", -1)])
def test_a_site_without_arrays_is_no_obstacle_where_none_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, arrays: str | None, size: int
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(plugin, "get_max_array_size", lambda: -1)
    monkeypatch.setattr(plugin.Executor, "__post_init__", lambda *_: seen.append(plugin.get_max_array_size()))
    executor: Any = object.__new__(upstream.SlurmExecutor)
    executor.workflow = SimpleNamespace(executor_settings=SimpleNamespace(array_jobs=arrays, array_limit="1000"))
    executor.__post_init__()
    assert (seen, plugin.get_max_array_size()) == ([size], -1)


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


@pytest.mark.parametrize(
    "answer",
    [
        "17\n", "17;cluster\n", "Submitted batch job 17\n", "Submitted batch job 17 on cluster other\n",
        "--> Checking 2 nodes; 350 hours left ... OK\n17;cluster\n", "17\nNote: 3 jobs wait; see the docs\n",
    ],
)  # fmt: skip
def test_the_number_of_a_job_whatever_a_site_prints_around_it(answer: str) -> None:
    assert upstream.read_job_number(answer) == "17"
    assert plugin.validate_or_get_slurm_job_id(answer.split(";")[0], answer) == "17"


def test_an_answer_without_a_number() -> None:
    with pytest.raises(UserError, match="sbatch: the answer names no job: 'ok'"):
        upstream.read_job_number("ok\n")
