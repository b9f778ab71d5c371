"""The time limit, reached several times, ending with the numbers of an undisturbed run.

It takes minutes, nearly all of them waiting. So it begins with test_sharing.py, and is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest
from projects import Project
from scenarios import assert_as_undisturbed
from time_limits import SCENARIOS

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.fault]


@pytest.mark.parametrize("name", SCENARIOS)
def test_time_limit(name: str, limited: dict[str, Future[Project]], undisturbed: Callable[[str], Project]) -> None:
    assert_as_undisturbed(limited[name].result(timeout=900), undisturbed, "long")
