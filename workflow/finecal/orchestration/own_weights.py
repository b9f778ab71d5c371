"""Open checkpoints of the user's own before the first job, so that a bad one wastes no download and no training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence

from finecal.errors import UserError
from finecal.plan.network import has_checkpoints
from finecal.plan.plan import Plan

# The stages that read checkpoints; what comes before one of them in a run is due only if it is.
READERS = frozenset({"pretrain", "finetune"})


def check_before_jobs(plan: Plan, studies: Sequence[str], due: Iterable[str | None]) -> None:
    """Check the checkpoints if jobs are due that read them or come before. Ends Snakemake where one does not fit.

    Parameters
    ----------
    studies
        As config.yaml names them.
    due
        The stages of the jobs that are due.
    """
    if READERS.isdisjoint(due) or not has_checkpoints(plan):
        return
    # In a process of its own: torch would stay in this one's memory for as long as jobs run.
    command = [sys.executable, "-P", "-m", "finecal.orchestration.own_weights", *studies]
    if subprocess.run(command, check=False).returncode == 2:
        sys.exit(2)


def main(studies: Sequence[str]) -> int:
    """Check the checkpoints of studies; return the exit status."""
    from finecal.plan.own_weights import check_checkpoints

    try:
        for _ in check_checkpoints(Plan(studies)):
            pass
    except UserError as error:
        print(f"finecal: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
