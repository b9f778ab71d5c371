"""In which order the tests run and in which processes (`-n 3`), when a failure is told, and what all tests inherit.

The tests on a cluster mostly wait, so they begin at once, beside all others. Of these the first test of every file goes
first, among them a whole study, then the fast ones: what is basic and broken is told in the first minutes, and not only
at the end.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator
from typing import Any

import forks
import pytest
from xdist.scheduler import LoadScopeScheduling

# A shell lets what it starts in the background ignore Ctrl-C, and so would the Snakemakes that tests start and end so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So does `nohup` with the signal of a closed terminal. It is ignored on, but not by what is started here.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


# Tests make many models of many modules, hardly any of which is garbage: looking for it takes up to a third of a test.
gc.set_threshold(10_000)


class OneCluster(LoadScopeScheduling):
    """All tests of tests/slurm go to one process, since there is one cluster; all others to the next that is free."""

    def _split_scope(self, nodeid: str) -> str:
        return "slurm" if nodeid.startswith("tests/slurm/") else nodeid


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Modules and tests stay to the end: looking for garbage among them, again and again, would be in vain."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    fast = [item for item in items if item.get_closest_marker("slow") is None]
    first = {item.path: item for item in reversed(fast)}

    def turn(item: pytest.Item) -> int:
        if item.nodeid.startswith("tests/slurm/"):
            return 0
        if item is first.get(item.path):
            return 1
        return 3 if item.get_closest_marker("slow") else 2

    items.sort(key=turn)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where processes share the cores, torch has one thread in each: threads that wait for others keep a core busy."""
    if hasattr(session.config, "workerinput") and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


class AtOnce:
    """Tells of each failure when it happens, in one line; pytest shows all of them at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message if crash is not None else report.longreprtext.strip()
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when}): {reason.partition(chr(10))[0]}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # of xdist: the processes that run the tests tell the one that prints
        config.pluginmanager.register(AtOnce(config))
        servers = os.environ[forks.SERVERS] = tempfile.mkdtemp(prefix="forks-")
        config.add_cleanup(lambda: shutil.rmtree(servers))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return OneCluster(config, log)
