"""How the tests are divided among processes (`-n 3`), and what all of them inherit."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# A shell lets what it starts in the background ignore Ctrl-C, and so would the Snakemakes that tests start and end so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class OneCluster(LoadScopeScheduling):
    """All tests of tests/slurm go to one process, since there is one cluster; all others to the next that is free."""

    def _split_scope(self, nodeid: str) -> str:
        return "slurm" if nodeid.startswith("tests/slurm/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return OneCluster(config, log)
