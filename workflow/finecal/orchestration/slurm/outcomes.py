"""Snakemake's SLURM executor as it tells Snakemake how jobs have ended, or submits them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.orchestration.slurm import job_states, limits
from finecal.orchestration.slurm.adoption import note_failure
from finecal.orchestration.slurm.asking import AskingExecutor
from finecal.orchestration.slurm.bad_nodes import FAST, Nodes, have_all_failed, node_of, seconds_to_end
from finecal.orchestration.slurm.markers import read_status, status_file
from finecal.orchestration.slurm.reasons import explain_failure, last_lines, was_ended
from finecal.orchestration.slurm.shared_jobs import SharedJobs
from finecal.orchestration.slurm.space import Space

# Keys of the notes on a submitted job: the script of one that shares a SLURM job; what is planned for one that follows.
SCRIPT = "member_script"
FOLLOWER = "follower"
# The exit status of finecal's jobs for what people have to change, wherever the job runs; but for this message.
EXPLAINED, NO_GPU = 2, "no GPU is visible to this job"
SIGNALLED = 128  # exit statuses from here on are those of signals, as of SIGKILL where memory was lacking


class ReportingExecutor(AskingExecutor):
    """As the plugin's, but for what it says of the end of jobs."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        # What was submitted and is not known to have ended. Snakemake's own list lacks the jobs that it was not told of
        # yet, and all of them while SLURM is asked.
        self._alive: dict[int, SubmittedJobInfo] = {}
        self._logs_of_failed: list[Path] = []
        self._has_one_ended = False  # since the last question to SLURM
        self.shared_jobs = SharedJobs(keep=self.workflow.executor_settings.keep_successful_logs)
        self.nodes = Nodes()
        self.space = Space()

    def submit_again(self, jobs: Sequence[Any]) -> None:
        """Submit jobs that Snakemake has started, and that have not run."""
        raise NotImplementedError

    def report_submitted(self, info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job was submitted, and watch it."""
        self._alive[id(info)] = info
        super().report_submitted(info)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job has succeeded, and watch it no more."""
        self._note_end(job_info)
        super().report_job_success(job_info)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Tell Snakemake that a job has failed, and watch it no more."""
        self._note_end(job_info)
        if msg and (script := (job_info.aux or {}).get(SCRIPT)):
            note_failure(job_info.job, script, msg)
        super().report_job_error(job_info, msg, **kwargs)

    def _note_end(self, info: SubmittedJobInfo) -> None:
        """Watch a job no more. Others may end now, too; but of members files tell, and SLURM need not be asked."""
        script = (info.aux or {}).get(SCRIPT)
        self._has_one_ended = self._has_one_ended or script is None or read_status(script) is None
        self._alive.pop(id(info), None)

    def cancel_stuck(self, numbers: Sequence[str]) -> None:
        """Cancel jobs that SLURM would never start, and shut out their launchers."""
        if numbers:
            super().cancel_jobs([SubmittedJobInfo(None, external_jobid=number) for number in numbers])
        for number in numbers:
            self.shared_jobs.note_end(number)

    def report_stuck(self, info: SubmittedJobInfo, why: str) -> None:
        """Tell Snakemake of a job that SLURM would never start; it is not tried again, since it would ask the same."""
        if script := (info.aux or {}).get(SCRIPT):
            self.shared_jobs.forget(info.job, script)
        info.job.attempt = max(info.job.attempt, info.job.restart_times + 1)
        self.report_job_error(info, msg=f"SLURM job {info.external_jobid} was cancelled. {why}. ")

    def report_member(self, info: SubmittedJobInfo) -> bool:
        """Tell Snakemake that a member has ended if it has left its exit status; return whether it has."""
        script = (info.aux or {}).get(SCRIPT)
        status = read_status(script) if script else None
        if script is None or status is None:
            return False
        if self._finds_no_room():
            return False
        if self.submit_stale(info):
            return True
        if status == EXPLAINED and self.space.is_lacking(info.job, getattr(info.job, "log", ())):
            self.shared_jobs.forget(info.job, script)
            self.submit_alone(info)
            return True
        folder, own = script.parent, FOLLOWER not in (info.aux or {})
        node, seconds = node_of(folder), seconds_to_end(folder, status_file(script))
        if node is not None and own and (status == 0 or seconds > FAST):
            self.nodes.praise(node)
        if status == 0:
            self.report_job_success(info)
            self.shared_jobs.settle(script, (info.aux or {}).get(FOLLOWER))
        elif own and info.job.attempt == 1 and seconds <= FAST and _may_be_of_node(info.job, status):
            all_failed = have_all_failed(folder)
            if all_failed is None:
                return False  # the others will tell whether it may be the node
            if not (all_failed and self.is_moved(info, node, has_begun=True)):
                self._report_failed_member(info, script, status)
        else:
            self._report_failed_member(info, script, status)
        return True

    def _finds_no_room(self) -> bool:
        """Return whether Snakemake could write no note of a job's end: then it is told of it later."""
        return bool(self.space.find_full())

    def _report_failed_member(self, info: SubmittedJobInfo, script: Path, status: int) -> None:
        self.shared_jobs.forget(info.job, script)
        message = f"Exit status {status} in SLURM job {info.external_jobid}. "
        if not 0 < status < SIGNALLED:
            message += explain_failure("", _log_of_slurm(info), info.job.name, info.job.resources)
        self.report_job_error(info, msg=message, aux_logs=[str(script.with_suffix(".log"))])

    def report_if_ended(self, info: SubmittedJobInfo) -> bool:
        """Tell Snakemake of a member that has ended before Snakemake has started it; return whether it has."""
        if read_status(info.aux[SCRIPT]) is None:
            return False
        self.report_ended(info)
        return self.report_member(info)

    def submit_stale(self, info: SubmittedJobInfo) -> bool:
        """Submit a follower by itself that has ended, but ran with what was made again since; whether it is one."""
        follower = (info.aux or {}).get(FOLLOWER)
        if follower is None or not follower.is_stale:
            return False
        self.shared_jobs.forget(info.job, follower.script)
        self.submit_alone(info)
        return True

    def submit_alone(self, info: SubmittedJobInfo) -> None:
        """Submit a job that was to end elsewhere; to Snakemake it has not ended."""
        self._alive.pop(id(info), None)
        self.submit_again([info.job])

    def report_outcome(
        self, info: SubmittedJobInfo, outcome: str, places: Mapping[str, str], used: Mapping[str, str]
    ) -> bool:
        """Tell Snakemake that a job has ended as SLURM says.

        Return False where a member's status is still to be seen on a slow network.
        """
        if self._finds_no_room():
            return False
        number, log_of_slurm = info.external_jobid or "", _log_of_slurm(info)
        script, log = (info.aux or {}).get(SCRIPT), (info.aux or {}).get("slurm_logfile")
        if outcome == job_states.COMPLETED and script is None:
            self.report_job_success(info)
            if log is not None and not self.workflow.executor_settings.keep_successful_logs:
                log.unlink(missing_ok=True)
            return True
        if outcome == job_states.COMPLETED and not self._answers.is_lost(str(script)):
            return False
        if self.submit_stale(info):
            return True
        place = places.get(number, "")
        could_not = outcome == job_states.FAILED and place and self._could_not_begin(info)
        if could_not and self.is_moved(info, place.split()[0], has_begun=False):
            return True
        if script is not None:
            self.shared_jobs.forget(info.job, script)
        if outcome == job_states.FAILED and log_of_slurm:
            self._logs_of_failed.append(log_of_slurm)
        if outcome == job_states.NODE_FAIL and place:  # then the plugin submits no further job there
            self.failed_nodes.add(place.split()[0])
        on = f" on {place}" if place else ""
        left_none = " and left no exit status of this member" if outcome == job_states.COMPLETED else ""
        message = f"SLURM-job '{number}' failed{on}, SLURM status is: '{outcome}'{left_none}. "
        if outcome != job_states.COMPLETED:
            message += explain_failure(outcome, log_of_slurm, info.job.name, info.job.resources, used.get(number, ""))
        self.report_job_error(info, msg=message, aux_logs=[str(log)] if log else [])
        return True

    def _could_not_begin(self, info: SubmittedJobInfo) -> bool:
        """Return whether nothing was run of a job: its launcher has named no node, or SLURM could write no log."""
        script, log = (info.aux or {}).get(SCRIPT), _log_of_slurm(info)
        if FOLLOWER in (info.aux or {}) or was_ended(log):
            return False
        return log is not None and (not log.exists() if script is None else node_of(script.parent) is None)

    def is_moved(self, info: SubmittedJobInfo, node: str | None, *, has_begun: bool) -> bool:
        """Submit a job elsewhere whose failure may be that of its node; return whether it is."""
        if node is None or not self._may_move(info.job, node):
            return False
        before = self.nodes.bad
        if not self.nodes.blame(info.job, node, has_begun=has_begun):
            self.failed_nodes.difference_update(before - self.nodes.bad)  # it was the jobs' own failure
            return False
        log = _log_of_slurm(info) if has_begun is False else (info.aux or {}).get("slurm_logfile")
        what = "failed within seconds" if has_begun else "could not begin"
        self.logger.warning(
            f"{info.job.name}: SLURM job {info.external_jobid} {what} on {node} (log: {log}). It is submitted again "
            "elsewhere; no try is spent."
        )
        for one in self.nodes.bad - before:
            self.failed_nodes.add(one)
            self.logger.warning(f"The node {one} gets no more jobs of this Snakemake. Tell its administrators.")
        if script := (info.aux or {}).get(SCRIPT):
            self.shared_jobs.forget(info.job, script)
        self.submit_alone(info)
        return True

    def _may_move(self, job: Any, node: str) -> bool:
        """Return whether a job may run on another node of its partition."""
        partition = (
            job.resources.get("slurm_partition")
            if not job.resources.get("gpu")
            else (job.resources.get("gpu_partition") or job.resources.get("slurm_partition"))
        )
        return bool(limits.nodes_at_work(partition) - self.failed_nodes - self.nodes.left_by([job]) - {node})


def _may_be_of_node(job: Any, status: int) -> bool:
    """Return whether an exit status may come of the node."""
    if status != EXPLAINED:
        return 0 < status < SIGNALLED
    return any(NO_GPU in line for log in getattr(job, "log", ()) for line in last_lines(Path(log)))


def _log_of_slurm(info: SubmittedJobInfo) -> Path | None:
    """Return the log that SLURM itself writes; that of a member is beside its script."""
    script: Path | None = (info.aux or {}).get(SCRIPT)
    log: Path | None = (info.aux or {}).get("slurm_logfile")
    return log if script is None else script.parent / f"{info.external_jobid}.log"
