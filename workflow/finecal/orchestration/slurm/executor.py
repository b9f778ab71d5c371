"""Snakemake's SLURM executor with three things more: SLURM jobs that take several jobs, time limits that their
partition grants, and a watch that loses no job (finecal.orchestration.slurm.watcher).

Snakemake's own way to put jobs together, `group:`, does not do. On SLURM the members of a group run one after the
other, so they cannot share a GPU. All wait until the last of them can start, so a run that has failed keeps others from
being scored. If one fails, the outputs of all are deleted and all run again. Here each member stays a job of its own to
Snakemake, which starts it when it is ready, tries it again and finishes it alone. They share only the SLURM job, in
which what follows them may have run before Snakemake knows that it could.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.config.settings import parse_settings
from finecal.errors import counted
from finecal.orchestration.slurm import limits
from finecal.orchestration.slurm.adoption import note
from finecal.orchestration.slurm.collecting import CollectingExecutor
from finecal.orchestration.slurm.following import find_followers, fits
from finecal.orchestration.slurm.markers import read_status, write_needs
from finecal.orchestration.slurm.member_script import member_script, plain_script
from finecal.orchestration.slurm.outcomes import FOLLOWER, SCRIPT
from finecal.orchestration.slurm.packing import divide, pack_size
from finecal.orchestration.slurm.recovery import take_left
from finecal.orchestration.slurm.requests import Request, Resources, combine, requested_resources
from finecal.orchestration.slurm.settings import runs_per_gpu
from finecal.orchestration.slurm.shared_jobs import Follower, link_to

# Calls of `sbatch` at a time: a busy controller takes a second or more for each.
AT_ONCE = 4


@dataclass
class Pack:
    """One SLURM job that is to be submitted: its folder with scripts, by Snakemake's jobs, and what it asks for."""

    folder: Path
    request: Request
    scripts: dict[Any, Path]
    followers: dict[Any, Follower]


class Executor(CollectingExecutor):
    """As the plugin's, but for jobs that share a SLURM job (packing.py) and for time limits."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._runs_per_gpu = runs_per_gpu(self.workflow)
        self._is_warm = parse_settings(dict(self.workflow.config)).warm
        self._left: dict[Any, str] = {}  # jobs of an earlier main process → the number of their SLURM job

    def run_jobs(self, jobs: Sequence[Any]) -> None:
        """Submit jobs that share after the time in which others may join, all others at once."""
        self._take_left()
        sharing = [job for job in jobs if self._pack_size(job) or job in self._left]
        super().run_jobs([job for job in jobs if job not in sharing])
        for job in sharing:
            self.run_job_pre(job)
        self.collect([job for job in sharing if not self._take_over(job)])

    def shares_with_few(self, job: Any) -> bool:
        """Return whether a job shares at most with another training of its run."""
        return self._pack_size(job) == 1

    def _pack_size(self, job: Any) -> int:
        size = pack_size(job, self._runs_per_gpu)
        alone = size == 1 and not job.resources.get("in_turn") and not job.resources.get("gpu_share")
        return 0 if alone and not {job.name, "all"}.isdisjoint(self.array_jobs) else size

    def _take_left(self) -> None:
        """Note the jobs that an earlier main process has submitted; Snakemake starts each when it is ready."""
        for left in take_left():
            self.shared_jobs.add(left.number, left.members, left.followers, has_ended=not left.number)
            self._left |= dict.fromkeys(left.members, left.number)
            self.names_before |= {left.name} - {""}

    def _take_over(self, job: Any) -> bool:
        """Watch a job that is in a SLURM job that was submitted before, or was in one; return whether it is or was."""
        script = self.shared_jobs.script_of(job)
        if (number_before := self._left.pop(job, None)) is not None and script is not None:
            notes: dict[str, Any] = {SCRIPT: script, "slurm_logfile": script.with_suffix(".log")}
            info = SubmittedJobInfo(job, external_jobid=number_before, aux=notes)
            if not self.report_if_ended(info):
                self.report_submitted(info)
            return True
        if (failed := self.shared_jobs.script_of(job)) is not None and not self.shared_jobs.is_follower(job):
            self.shared_jobs.forget(job, failed)  # Snakemake was not content with its outputs
        follower = self.shared_jobs.start(job)
        if follower is None:
            return False
        number = next(iter(self.shared_jobs.numbers(follower)), "")
        notes = {SCRIPT: follower.script, FOLLOWER: follower, "slurm_logfile": follower.script.with_suffix(".log")}
        info = SubmittedJobInfo(job, external_jobid=number, aux=notes)
        if not self.report_if_ended(info):
            self.report_submitted(info)
        return True

    def run_job(self, job: Any) -> None:
        """Submit a job by itself."""
        if self._stopping.is_set() or self.hold_if_full([job]):
            return
        try:
            resources = self._resources_of(job)
        except Exception as error:
            self._report_not_submitted([job], error)
            return
        self.submit_job(job, resources)

    def run_array_jobs(self, jobs: Sequence[Any]) -> None:
        """Submit jobs as a SLURM array."""
        if self._stopping.is_set():
            return
        try:
            resources = [self._resources_of(job) for job in jobs]
        except Exception as error:
            self._report_not_submitted(jobs, error)
            return
        self.submit_array(jobs, resources)

    def _resources_of(self, job: Any) -> Resources:
        resources = requested_resources(job)
        self._limit_time(job.name, resources)
        return resources

    def _limit_time(self, name: str, resources: Resources) -> None:
        """Cut the time, which grows with every try, to what the partition grants; else the job would wait for ever."""
        if self.chooses_partitions:  # by what jobs ask for
            return
        asked = resources.get("runtime")
        limit = limits.exceeded_limit(resources.get("slurm_partition"), asked)
        if limit is not None:
            least = counted(asked or 0, "minute")
            self.logger.info(f"{name}: the partition grants less than {least}; asking for {limit}.")
            resources["runtime"] = limit

    def submit_packs(self, jobs: Sequence[Any]) -> None:
        """Submit jobs, those together that may share a SLURM job, and tell Snakemake of each."""
        try:
            time_limit = (lambda _: None) if self.chooses_partitions else limits.longest
            packs = divide(jobs, self._runs_per_gpu, time_limit)
        except Exception as error:
            self._report_not_submitted(jobs, error)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for members in packs:
                if not self._stopping.is_set() and (pack := self._prepare(members)) is not None:
                    pool.submit(self._send, pack)

    def _report_not_submitted(self, jobs: Sequence[Any], error: Exception) -> None:
        """Tell Snakemake of an error of any kind: this runs in a thread, and Snakemake would wait for ever."""
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        for job in jobs:
            self.report_refused(job, f"SLURM job not submitted: {reason}. ")

    def submit_again(self, jobs: Sequence[Any]) -> None:
        """Submit jobs that were held."""
        self.collect([job for job in jobs if self._pack_size(job)])
        for job in jobs:
            if not self._pack_size(job):
                self.call_in_thread(self.run_job, job)

    def _prepare(self, jobs: list[Any]) -> Pack | None:
        """Write the scripts of one SLURM job for all of these jobs and what follows them; None if it must wait."""
        if self.hold_if_full(jobs):
            return None
        folder = self.slurm_logdir / f"rule_{jobs[0].name}" / f"shared_{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir(parents=True)
            scripts = {job: folder / f"{place:04}.sh" for place, job in enumerate(jobs)}
            for job, script in scripts.items():
                note(job, script)
                script.write_text(member_script(job, self.format_job_without_step))
            with self.shared_jobs.lock:  # what these follow may fail meanwhile
                followers = self._write_followers(scripts)
                request = combine(jobs, divided=self._runs_per_gpu > 1, followers=followers)
                self._limit_time(request.name, request.resources)
                self.shared_jobs.add("", scripts, followers)
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._report_not_submitted(jobs, error)
            return None
        return Pack(folder, request, scripts, followers)

    def _send(self, pack: Pack) -> None:
        """Submit a SLURM job, and tell Snakemake of each of its jobs."""
        if self._stopping.is_set():
            return
        jobs = list(pack.scripts)
        try:
            number = self.submit_launcher(pack.request, pack.folder, jobs, pack.followers, is_warm=self._is_warm)
        except Exception as error:
            self.shared_jobs.drop(pack.folder, pack.scripts, pack.followers)
            shutil.rmtree(pack.folder, ignore_errors=True)
            self._report_not_submitted(jobs, error)
            return
        self.shared_jobs.set_number(pack.folder, number)
        self.logger.info(f"SLURM job {number} takes {_listed(jobs)} (logs: {pack.folder}).")
        if pack.followers:
            self.logger.info(f"After them it goes on with {_listed(list(pack.followers))}.")
        for job, script in pack.scripts.items():
            notes = {SCRIPT: script, "slurm_logfile": script.with_suffix(".log")}
            self.report_submitted(SubmittedJobInfo(job, external_jobid=number, aux=notes))

    def _write_followers(self, scripts: dict[Any, Path]) -> dict[Any, Follower]:
        """Write the scripts of what can follow the members with these; members of earlier SLURM jobs find them, too."""
        jobs = list(scripts)
        request = combine(jobs, divided=False)
        shared = self.shared_jobs
        found = find_followers(
            jobs,
            lambda job: shared.script_of(job) is not None,
            lambda job: not shared.is_follower(job) and fits(job, request, jobs),
        )
        known, followers = dict(scripts), {}
        folder = scripts[jobs[0]].parent
        for place, (job, needed) in enumerate(found.items(), len(jobs)):
            script = known[job] = folder / f"{place:04}.sh"
            needs = [known.get(need) or shared.script_of(need) for need in needed]
            waiting = [need for need in needs if need is not None and read_status(need) != 0]
            follower = followers[job] = Follower(script, waiting, {folder, *(need.parent for need in waiting)})
            note(job, script)
            write_needs(script, waiting)
            script.write_text(plain_script(job) or "exit 1\n")
            link_to(script, follower.folders - {folder})
        return followers


def _listed(jobs: Sequence[Any]) -> str:
    """Return jobs as people read them: `2 of finetune: 4, 7`, with more rules `3 of calibrate, evaluate: 4, 7, 8`."""
    rules = ", ".join(dict.fromkeys(job.name for job in jobs))
    return f"{len(jobs)} of {rules}: {', '.join(str(job.jobid) for job in jobs)}"
