"""Time limits, stages and batches: the results of what aside.py has played since test_cluster.py began."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest
from projects import Project
from scenarios import assert_as_undisturbed

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
Played = dict[str, Future[Project]]


@pytest.mark.fault
@pytest.mark.parametrize("name", ["time_limit_reached_several_times", "time_limit_of_a_pack"])
def test_ends_as_undisturbed(name: str, played_aside: Played, undisturbed: Callable[[str], Project]) -> None:
    assert_as_undisturbed(played_aside[name].result(timeout=900), undisturbed, "long")


@pytest.mark.parametrize("name", ["stages_and_batches"])
def test_has_the_numbers_of_an_undisturbed_run(
    name: str, played_aside: Played, undisturbed: Callable[[str], Project]
) -> None:
    assert_as_undisturbed(played_aside[name].result(timeout=900), undisturbed, "short")


@pytest.mark.parametrize("name", ["benchmark_of_groups", "sweep"])
def test_number_of_slurm_jobs(name: str, played_aside: Played) -> None:
    """Counted where it is played, which compares the numbers, too."""
    played_aside[name].result(timeout=900)
