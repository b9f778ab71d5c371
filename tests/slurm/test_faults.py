"""Each fault on the real SLURM, ending with the numbers of an undisturbed run on this machine."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from mini_cluster import GPU, Project, run_folder, slurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
METRICS = f"{run_folder('short')}/metrics.parquet"


def assert_as_undisturbed(project: Project, undisturbed: Project, recipe: str = "short") -> None:
    """The numbers are those of the undisturbed run to the last bit, and nothing half-done is left."""
    for name in ("metrics", "curve", "logits"):
        file = f"{run_folder(recipe)}/{name}.parquet"
        assert pq.read_table(project.path(file)).equals(pq.read_table(undisturbed.path(file))), file
    assert project.leftovers() == []


def test_scancel(project: Project, undisturbed: Project) -> None:
    running = project.start(METRICS, "--set-resources", GPU)
    slurm("scancel", project.wait_for_state())
    said = project.finish(running)
    assert "SLURM status is: 'CANCELLED'" in said
    assert "going on from step" in project.training_log()
    assert_as_undisturbed(project, undisturbed)
