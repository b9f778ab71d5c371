"""Which nodes let jobs fail that succeed elsewhere: such a node is free again at once, and would take all that waits.

Nobody knows at a first failure whether it is the node's or the job's. So a job that has failed within seconds, on a
node where none has done well, is submitted again elsewhere without a try used up. If it fails there as soon, it was the
job's own. A node that several jobs have failed on, or on which one could not even begin, gets no more jobs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path

from finecal.orchestration.slurm.markers import SCRIPT, read_needs, read_status

FAST = 60.0  # seconds within which a failure may be that of the node
SEVERAL = 2  # jobs that have failed fast on a node of which none has done well
MOVES = {True: 1, False: 3}  # how often a job is moved that has begun on its node, and one that has not


class Nodes:
    """What is known of nodes in one main process."""

    def __init__(self) -> None:
        self._good: set[str] = set()
        self._failed: defaultdict[str, set[Hashable]] = defaultdict(set)  # node → jobs
        self._left: defaultdict[Hashable, set[str]] = defaultdict(set)  # job → nodes
        self._unfit: set[str] = set()  # nodes on which a job could not begin

    @property
    def bad(self) -> set[str]:
        """The nodes that get no more jobs."""
        return self._unfit | {node for node, jobs in self._failed.items() if len(jobs) >= SEVERAL}

    def left_by(self, jobs: Iterable[Hashable]) -> set[str]:
        """Return the nodes that any of these jobs has left."""
        return set().union(*(self._left.get(job, set()) for job in jobs))

    def praise(self, node: str) -> None:
        """Note that a job has done well on a node."""
        self._good.add(node)
        self._failed.pop(node, None)
        self._unfit.discard(node)

    def blame(self, job: Hashable, node: str, *, has_begun: bool) -> bool:
        """Note a fast failure; return whether the job is to be submitted again elsewhere, since it may be the node's.

        Parameters
        ----------
        has_begun
            Whether the job itself has failed; else it could not even begin.
        """
        if has_begun and node in self._good:
            return False
        if len(self._left[job]) >= MOVES[has_begun]:
            for jobs in self._failed.values():  # it was not theirs
                jobs.discard(job)
            return False
        self._left[job].add(node)
        if has_begun:
            self._failed[node].add(job)
        else:
            self._unfit.add(node)
        return True

    def forgive(self) -> None:
        """Forget all blame: SLURM has no node left."""
        self._failed.clear()
        self._left.clear()
        self._unfit.clear()


def node_file(folder: Path) -> Path:
    """Return the file in which the launcher of a folder names its node as it begins."""
    return folder / "node"


def node_of(folder: Path) -> str | None:
    """Return on which node a launcher has begun; None if it has not."""
    try:
        return node_file(folder).read_text().strip() or None
    except OSError:
        return None


def seconds_to_end(folder: Path, status: Path) -> float:
    """Return how long after the launcher's begin a member has ended."""
    try:
        return status.stat().st_mtime - node_file(folder).stat().st_mtime
    except OSError:
        return float("inf")


def have_all_failed(folder: Path) -> bool | None:
    """Return whether all members that are no followers have failed; None while that is not known, for a minute."""
    scripts = [script for script in folder.glob(f"*{SCRIPT}") if not script.is_symlink() and read_needs(script) is None]
    statuses = [read_status(script) for script in scripts]
    if 0 in statuses:
        return False
    try:
        is_early = time.time() - node_file(folder).stat().st_mtime <= FAST
    except OSError:
        is_early = False
    return None if None in statuses and is_early else None not in statuses
