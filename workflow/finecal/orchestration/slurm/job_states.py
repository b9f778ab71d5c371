"""What SLURM's answers say of submitted jobs: which go on, which have ended, and how.

The plugin's own reading of them lets Snakemake wait for ever in some cases: after a question without an answer it
forgets all jobs; a preempted job that SLURM does not start again counts as running, and so do one that sacct calls
"CANCELLED by 1000" and one that squeue has forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

GOES_ON, COMPLETED, FAILED = "GOES_ON", "COMPLETED", "FAILED"
ENDED = (FAILED, "BOOT_FAIL", "CANCELLED", "DEADLINE", "ERROR", "LAUNCH_FAILED", "OUT_OF_MEMORY", "TIMEOUT")
# SLURM may start such a job again, under the same number.
NODE_FAIL = "NODE_FAIL"
MAY_RETURN = (NODE_FAIL, "PREEMPTED")
STUCK = "PENDING"  # for ever
GONE = "FORGOTTEN"  # not SLURM's word: squeue does not name the job any more
FAILURES = (*ENDED, *MAY_RETURN)  # of which SLURM still knows where
LONGEST_INTERVAL = 180  # seconds between two questions
SHORTEST_INTERVAL = 5
STEP = 10  # seconds that are added to the interval as long as nothing ends
MOST_PLACES = 1000  # jobs in one question about where they failed: the length of an argument is limited
PATIENCE = 2  # so many answers in a row must say that a job is lost


class Answers:
    """Read SLURM's answers, one after the other.

    Parameters
    ----------
    names_all
        Whether an answer names all jobs of the last minutes, as squeue's does: then one that it does not name has
        ended. sacct may learn of a job only later, and squeue says nothing of jobs on other clusters.
    """

    def __init__(self, *, names_all: bool) -> None:
        self.names_all = names_all
        self._doubts: Counter[str] = Counter()

    def outcome(self, number: str, states: Mapping[str, str]) -> str:
        """Return `GOES_ON`, `COMPLETED`, or how a job has failed in SLURM's words; to be called once for each answer.

        Parameters
        ----------
        number
            The job's.
        states
            The answer: number of each job → its state.
        """
        state = state_of(number, states)
        if state is None and self.names_all:
            state = GONE
        if state in (*MAY_RETURN, GONE):
            return state if self.is_lost(number) else GOES_ON
        self._doubts.pop(number, None)
        return state if state is not None and state in (COMPLETED, *ENDED) else GOES_ON

    def is_lost(self, what: str) -> bool:
        """Count one more answer in which something is missing; return whether it is to be given up."""
        self._doubts[what] += 1
        return self._doubts[what] >= PATIENCE


def state_of(number: str, states: Mapping[str, str]) -> str | None:
    """Return a job's state without what sacct adds ("CANCELLED by 1000"); for a task of an array that of the array."""
    found = states.get(number, states.get(number.partition("_")[0], ""))
    return found.split()[0].rstrip("+") if found.strip() else None


def may_return(numbers: Iterable[str], states: Mapping[str, str]) -> bool:
    """Return whether SLURM may start one of these jobs again."""
    return any(state_of(number, states) in MAY_RETURN for number in numbers)


def place_command(command: str, numbers: Iterable[str]) -> str:
    """Return the command that prints where jobs ran and why they ended.

    It prints `NUMBER|NODE (REASON)` for each; sacct leaves out the reason.

    Parameters
    ----------
    command
        "squeue" or "sacct".
    """
    asked = ",".join(islice(numbers, MOST_PLACES))
    if command == "sacct":
        return f"sacct --allocations --parsable2 --noheader --format=JobIDRaw,NodeList --jobs={asked}"
    return f"squeue --states=all --noheader --format='%i|%N (%r) after %M' --jobs={asked}"


def usage_command(numbers: Iterable[str]) -> str:
    """Return the command that prints the most memory that each step of jobs took, as `NUMBER.STEP|MEMORY`."""
    asked = ",".join(islice(numbers, MOST_PLACES))
    return f"sacct --parsable2 --noheader --format=JobIDRaw,MaxRSS --jobs={asked}"


def queue_command(names: str) -> str:
    """Return the command that prints the state of all jobs of these names, why they wait and when they may start.

    It prints `NUMBER|STATE REASON TIME` for each.
    """
    return f"squeue --states=all --noheader --format='%i|%T %r %S' --name {names}"


def reason_command(names: str) -> str:
    """Return the command that prints the same of those that wait, for where sacct tells of states."""
    return f"squeue --states=PENDING --noheader --format='%i|%T %r %S' --name {names}"


def reason_of(number: str, answers: Mapping[str, str]) -> tuple[str, str]:
    """Return why a job waits and when it is expected to start, as squeue says; empty where it says neither."""
    _, _, rest = answers.get(number, "").partition(" ")
    reason, _, start = rest.rpartition(" ")
    return reason, start if start not in ("N/A", "Unknown") else ""


def longest_interval(command: str, min_job_age: int | None) -> int:
    """Return the most seconds between two questions.

    squeue names an ended job for `min_job_age` seconds only (0: for ever).
    """
    if command != "squeue" or not min_job_age:
        return LONGEST_INTERVAL
    return min(LONGEST_INTERVAL, max(SHORTEST_INTERVAL, min_job_age // 2))
