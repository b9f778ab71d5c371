"""Snakemake's SLURM executor with three things more: SLURM jobs that take several jobs, time limits that their
partition grants, and a watch that loses no job (finecal.orchestration.slurm.watcher).

Snakemake's own way to put jobs together, `group:`, does not do. On SLURM the members of a group run one after the
other, so they cannot share a GPU. All wait until the last of them can start, so a run that has failed keeps others from
being scored. If one fails, the outputs of all are deleted and all run again. Here each member stays a job of its own to
Snakemake, which starts it when it is ready, tries it again and finishes it alone. They share only the SLURM job.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.orchestration.slurm import limits, upstream
from finecal.orchestration.slurm.launcher import IN_TURN
from finecal.orchestration.slurm.packing import divide, pack_size
from finecal.orchestration.slurm.requests import Request, Resources, combine, requested_resources
from finecal.orchestration.slurm.settings import runs_per_gpu
from finecal.orchestration.slurm.watcher import SCRIPT, WatchingExecutor

# Snakemake hands out jobs in small portions, those to be tried again one by one.
COLLECT_SECONDS = 5


class Executor(WatchingExecutor):
    """As the plugin's, but for jobs that share a SLURM job (packing.py) and for time limits."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._runs_per_gpu = runs_per_gpu(self.workflow)
        self._collecting = Lock()
        self._collected: list[Any] = []  # jobs that will share, not yet submitted
        self._unfinished: Counter[Path] = Counter()  # folder of a SLURM job → its members that did not succeed so far

    def run_jobs(self, jobs: Sequence[Any]) -> None:
        """Submit jobs that share after the time in which others may join, all others at once."""
        sharing = [job for job in jobs if pack_size(job, self._runs_per_gpu)]
        super().run_jobs([job for job in jobs if not pack_size(job, self._runs_per_gpu)])
        for job in sharing:
            self.run_job_pre(job)
        with self._collecting:
            if sharing and not self._collected:
                self.call_in_thread(self._submit_collected)
            self._collected += sharing

    def run_job(self, job: Any) -> None:
        """Submit a job by itself."""
        if self._stopping.is_set():
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
            self.logger.info(f"{name}: {asked} minutes are more than the partition grants; asking for {limit}.")
            resources["runtime"] = limit

    def _submit_collected(self) -> None:
        self._stopping.wait(COLLECT_SECONDS)
        with self._collecting:
            jobs = self._collected.copy()
            self._collected.clear()
        try:
            time_limit = (lambda _: None) if self.chooses_partitions else limits.longest
            packs = divide(jobs, self._runs_per_gpu, time_limit)
        except Exception as error:
            self._report_not_submitted(jobs, error)
            return
        for pack in packs:
            if not self._stopping.is_set():
                self._submit_pack(pack)

    def _report_not_submitted(self, jobs: Sequence[Any], error: Exception) -> None:
        """Tell Snakemake of an error of any kind: this runs in a thread, and Snakemake would wait for ever."""
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        for job in jobs:
            self.report_refused(job, f"SLURM job not submitted: {reason}. ")

    def _submit_pack(self, jobs: list[Any]) -> None:
        """Submit one SLURM job for all of these jobs, and tell Snakemake of each."""
        folder = self.slurm_logdir / f"rule_{jobs[0].name}" / f"shared_{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir(parents=True)
            scripts = [folder / f"{place}.sh" for place in range(len(jobs))]
            for job, script in zip(jobs, scripts, strict=True):
                script.write_text(self._member_script(job))
            request = combine(jobs, divided=self._runs_per_gpu > 1)
            self._limit_time(request.name, request.resources)
            number = self._submit(request, folder, f"rule_{request.name}_{len(jobs)}_jobs")
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._report_not_submitted(jobs, error)
            return
        self._unfinished[folder] = len(jobs)
        numbers = ", ".join(str(job.jobid) for job in jobs)
        self.logger.info(f"SLURM job {number} takes {len(jobs)} of {request.name}: {numbers} (logs: {folder}).")
        for job, script in zip(jobs, scripts, strict=True):
            notes = {SCRIPT: script, "slurm_logfile": script.with_suffix(".log")}
            self.report_submitted(SubmittedJobInfo(job, external_jobid=number, aux=notes))

    def _submit(self, request: Request, folder: Path, comment: str) -> str:
        """Submit the launcher of a folder's scripts; return the number of the SLURM job."""
        upstream.validate_slurm_extra(request)
        params = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": folder / "%j.log",
            "comment_str": comment,
            "account": next(self.get_account_arg(request)),
            "partition": self.get_partition_arg(request),
            "workdir": self.workflow.workdir_init,
        }
        call = upstream.sbatch_command(request, params, self.workflow.executor_settings, self.failed_nodes)
        options = [IN_TURN] if request.resources.get("in_turn") else []
        launcher = shlex.join(
            [self.get_python_executable(), "-m", "finecal.orchestration.slurm.launcher", str(folder), *options]
        )
        # A step, since SLURM's warnings reach steps only; exec, since a shell would not outlive a SIGTERM.
        batch = f"#!/bin/sh\nexec srun -n1 --nodes=1 --cpu-bind=q --cpus-per-task={request.threads} {launcher}\n"
        done = subprocess.run(f"{call} /dev/stdin", shell=True, input=batch, capture_output=True, text=True, check=True)
        return upstream.read_job_number(done.stdout)

    def _member_script(self, job: Any) -> str:
        """Return the script of a member: Snakemake with this one job, as at the end of the plugin's chain of commands.

        The shell outlives a SIGTERM, so that the launcher waits for what the training makes of it. The job is told its
        own part of the memory of the SLURM job, since it sees the whole.
        """
        command = self.format_job_without_step(job)
        return f"trap : TERM\nexport FINECAL_MEMORY={job.resources.get('mem_mb') or 0}\n{command}\n"

    def _note_success(self, script: Path) -> None:
        """Remove what was written for a SLURM job after all of its members have succeeded."""
        self._unfinished[script.parent] -= 1
        if not self._unfinished[script.parent] and not self.workflow.executor_settings.keep_successful_logs:
            shutil.rmtree(script.parent, ignore_errors=True)
