"""Scenarios on the real SLURM, each played in a thread, which must end with the numbers of an undisturbed run.

They run side by side, since a job mostly waits, for SLURM and for the next question about its state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mini_cluster import Cluster
from projects import Project, copy_project, run_folder

Scenario = Callable[[Project, Cluster], None]
RESUMED = r"resuming at step \d+"


def model(recipe: str) -> str:
    return f"{run_folder(recipe)}/model.safetensors"


def by_name(*scenarios: Scenario) -> dict[str, Scenario]:
    return {scenario.__name__: scenario for scenario in scenarios}


def play_one(name: str, scenario: Scenario, prepared: Project, cluster: Cluster, folder: Path) -> Project:
    project = copy_project(prepared, folder / name)
    try:
        scenario(project, cluster)
    finally:
        project.stop()
    return project


@contextmanager
def play(
    scenarios: Mapping[str, Scenario], prepared: Project, cluster: Cluster, folder: Path, at_a_time: int
) -> Iterator[dict[str, Future[Project]]]:
    """Play scenarios, `at_a_time` side by side; yield them by name. They share the processor."""
    with ThreadPoolExecutor(at_a_time) as pool:
        yield {name: pool.submit(play_one, name, scenarios[name], prepared, cluster, folder) for name in scenarios}
        pool.shutdown(cancel_futures=True)


def select(scenarios: Mapping[str, Scenario], module: str, session: pytest.Session) -> dict[str, Scenario]:
    """Return the scenarios of which a test was selected in a module, given by its file's name."""
    chosen = [item.name for item in session.items if item.path.name == module]
    return {name: scenarios[name] for name in scenarios if any(f"[{name}]" in item for item in chosen)}


def assert_as_undisturbed(project: Project, undisturbed: Callable[[str], Project], recipe: str) -> None:
    """Check that the numbers are those of the undisturbed run to the last bit, and that nothing half-done is left."""
    project.run_here(f"{run_folder(recipe)}/metrics.parquet")
    expected = undisturbed(recipe)
    for name in ("metrics", "curve", "logits"):
        file = f"{run_folder(recipe)}/{name}.parquet"
        assert pq.read_table(project.path(file)).equals(pq.read_table(expected.path(file))), file
    assert project.path(model(recipe)).read_bytes() == expected.path(model(recipe)).read_bytes()
    assert project.leftovers() == []
