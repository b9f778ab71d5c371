"""Snakemake's SLURM executor with a watch over what was submitted that loses no job, up to the end of Snakemake."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.orchestration.slurm import job_states
from finecal.orchestration.slurm.asking import AskingExecutor
from finecal.orchestration.slurm.markers import look_into, read_status, taken_by
from finecal.orchestration.slurm.recovery import explain_missing_logs
from finecal.orchestration.slurm.shared_jobs import SharedJobs

# Keys of the notes on a submitted job: the script of one that shares a SLURM job; what is planned for one that follows.
SCRIPT = "member_script"
FOLLOWER = "follower"
POLL_SECONDS = 1.0  # between two looks at the files of members
POLL_SHARE = 0.05  # of the time may be spent on them: a slow file system is asked more rarely


class WatchingExecutor(AskingExecutor):
    """As the plugin's, but for how it learns of the end of jobs (job_states.py), and for its own end."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._stopping = Event()
        # What was submitted and is not known to have ended. Snakemake's own list lacks the jobs that it was not told of
        # yet, and all of them while SLURM is asked.
        self._alive: dict[int, SubmittedJobInfo] = {}
        self._logs_of_failed: list[Path] = []
        self._has_one_ended = False  # since the last question to SLURM
        self.shared_jobs = SharedJobs(keep=self.workflow.executor_settings.keep_successful_logs)

    @property
    def is_watching(self) -> bool:
        """Whether any submitted job waits or runs."""
        return bool(self._alive)

    def collect(self, jobs: Sequence[Any]) -> None:
        """Submit jobs that were to follow others in a SLURM job, and were not run there."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Submit no more, then cancel what was submitted."""
        self._stopping.set()
        self.end_threads()
        super().cancel()

    def cancel_jobs(self, active_jobs: Sequence[Any]) -> None:
        """Cancel all jobs that live, each SLURM job once. Where SLURM refuses, Snakemake ends all the same."""
        living = {info.external_jobid: info for info in (*active_jobs, *self._alive.values()) if info.external_jobid}
        for number in self.shared_jobs.living():  # some have only followers left
            living.setdefault(number, SubmittedJobInfo(None, external_jobid=number))
        try:
            super().cancel_jobs(list(living.values()))
        except WorkflowError as error:
            self.logger.warning(f"{error}\nLook with `squeue --me` for what is left: {', '.join(living)}.")

    def shutdown(self) -> None:
        """End, and say what it means if a SLURM job that has failed did not even begin its log."""
        self._stopping.set()
        super().shutdown()
        explain_missing_logs(self._logs_of_failed)
        self._logs_of_failed.clear()  # Snakemake may end an executor twice

    def report_submitted(self, info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job was submitted, and watch it."""
        self._alive[id(info)] = info
        super().report_submitted(info)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job has succeeded, and watch it no more."""
        self._has_one_ended = True
        self._alive.pop(id(job_info), None)
        super().report_job_success(job_info)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Tell Snakemake that a job has failed, and watch it no more."""
        self._has_one_ended = True
        self._alive.pop(id(job_info), None)
        super().report_job_error(job_info, msg, **kwargs)

    async def check_active_jobs(self, active_jobs: Sequence[Any]) -> AsyncIterator[Any]:
        """Report the jobs that have ended and yield those that go on.

        The files of their launcher tell of members, about once a second; SLURM tells of all others, and of members
        without such a file, and is asked more rarely.
        """
        self.next_seconds_between_status_checks = POLL_SECONDS
        if not active_jobs:  # so it is before __post_init__
            self.ask_no_more()
            return
        start = time.monotonic()
        look_into(info.aux[SCRIPT].parent for info in active_jobs if SCRIPT in (info.aux or {}))
        left = [info for info in active_jobs if not (self._report_member(info) or self._submit_passed_over(info))]
        self.next_seconds_between_status_checks = max(POLL_SECONDS, (time.monotonic() - start) / POLL_SHARE)
        if left and self.is_time_to_ask():
            left = await self._ask_slurm(left)
        for info in left:
            yield info

    async def _ask_slurm(self, infos: Sequence[Any]) -> list[Any]:
        """Report the jobs that SLURM says have ended; return the others."""
        followers = [follower for info in infos if (follower := (info.aux or {}).get(FOLLOWER))]
        of_followers = [number for follower in followers for number in self.shared_jobs.numbers(follower)]
        asked = list(dict.fromkeys([*(info.external_jobid for info in infos if info.external_jobid), *of_followers]))
        states = await self.query_states(asked)
        outcomes = {} if states is None else {n: self._answers.outcome(n, states) for n in asked}
        for number, outcome in outcomes.items():
            if outcome != job_states.GOES_ON:
                self.shared_jobs.note_end(number)
        failed = [number for number, outcome in outcomes.items() if outcome in job_states.FAILURES]
        places = await self.query_places(failed)
        going_on = []
        for info in infos:
            outcome = outcomes.get(info.external_jobid, job_states.GOES_ON)
            # A member may have ended while SLURM was asked.
            if (
                _is_waiting(info)
                or outcome == job_states.GOES_ON
                or not (self._report_member(info) or self._report_outcome(info, outcome, places))
            ):
                going_on.append(info)
        self.ask_later(soon=self._has_one_ended)
        self._has_one_ended = False
        return going_on

    def _report_member(self, info: SubmittedJobInfo) -> bool:
        """Tell Snakemake that a member has ended if it has left its exit status; return whether it has."""
        script = (info.aux or {}).get(SCRIPT)
        status = read_status(script) if script else None
        if script is None or status is None:
            return False
        if self._submit_stale(info):
            return True
        if status == 0:
            self.report_job_success(info)
            self.shared_jobs.settle(script, (info.aux or {}).get(FOLLOWER))
        else:
            self.shared_jobs.forget(info.job, script)
            message = f"Exit status {status} in SLURM job {info.external_jobid}. "
            self.report_job_error(info, msg=message, aux_logs=[str(script.with_suffix(".log"))])
        return True

    def report_if_ended(self, info: SubmittedJobInfo) -> bool:
        """Tell Snakemake of a member that has ended before Snakemake has started it; return whether it has."""
        if read_status(info.aux[SCRIPT]) is None:
            return False
        self.report_ended(info)
        return self._report_member(info)

    def _submit_passed_over(self, info: SubmittedJobInfo) -> bool:
        """Submit a follower that no launcher will begin by itself; return whether it is one."""
        follower = (info.aux or {}).get(FOLLOWER)
        if follower is None:
            return False
        if name := taken_by(follower.script):
            info.external_jobid = name
        if not self.shared_jobs.will_never_run(follower) or not self.shared_jobs.take_back(info.job, follower):
            return False
        self._submit_again(info)
        return True

    def _submit_stale(self, info: SubmittedJobInfo) -> bool:
        """Submit a follower by itself that has ended, but ran with what was made again since; whether it is one."""
        follower = (info.aux or {}).get(FOLLOWER)
        if follower is None or not follower.is_stale:
            return False
        self.shared_jobs.forget(info.job, follower.script)
        self._submit_again(info)
        return True

    def _submit_again(self, info: SubmittedJobInfo) -> None:
        self._alive.pop(id(info), None)
        self.collect([info.job])

    def _report_outcome(self, info: SubmittedJobInfo, outcome: str, places: Mapping[str, str]) -> bool:
        """Tell Snakemake that a job has ended as SLURM says.

        Return False where a member's status is still to be seen on a slow network.
        """
        script, log = (info.aux or {}).get(SCRIPT), (info.aux or {}).get("slurm_logfile")
        if outcome == job_states.COMPLETED and script is None:
            self.report_job_success(info)
            if log is not None and not self.workflow.executor_settings.keep_successful_logs:
                log.unlink(missing_ok=True)
            return True
        if outcome == job_states.COMPLETED and not self._answers.is_lost(str(script)):
            return False
        if self._submit_stale(info):
            return True
        if script is not None:
            self.shared_jobs.forget(info.job, script)
        if outcome == job_states.FAILED and (own := script.parent / f"{info.external_jobid}.log" if script else log):
            self._logs_of_failed.append(own)
        place = places.get(info.external_jobid, "")
        if outcome == job_states.NODE_FAIL and place:  # then the plugin submits no further job there
            self.failed_nodes.add(place.split()[0])
        on = f" on {place}" if place else ""
        left_none = " and left no exit status of this member" if outcome == job_states.COMPLETED else ""
        message = f"SLURM-job '{info.external_jobid}' failed{on}, SLURM status is: '{outcome}'{left_none}. "
        self.report_job_error(info, msg=message, aux_logs=[str(log)] if log else [])
        return True


def _is_waiting(info: SubmittedJobInfo) -> bool:
    """Return whether a job is a follower that no launcher has begun."""
    follower = (info.aux or {}).get(FOLLOWER)
    return follower is not None and not follower.has_begun
