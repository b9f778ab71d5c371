"""Snakemake's SLURM executor with three things more: SLURM jobs that take several jobs, time limits that their
partition grants, and a watch that loses no job (finecal.orchestration.slurm.watcher).

Snakemake's own way to put jobs together, `group:`, does not do. On SLURM the members of a group run one after the
other, so they cannot share a GPU. All wait until the last of them can start, so a run that has failed keeps others from
being scored. If one fails, the outputs of all are deleted and all run again. Here each member stays a job of its own to
Snakemake, which starts it when it is ready, tries it again and finishes it alone. They share but the SLURM job.
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
from types import SimpleNamespace
from typing import Any

from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string
from snakemake_executor_plugin_slurm.validation import validate_or_get_slurm_job_id, validate_slurm_extra
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from finecal.orchestration.slurm import cluster
from finecal.orchestration.slurm.launcher import IN_TURN
from finecal.orchestration.slurm.packing import combined, packs, room, route_to_partition
from finecal.orchestration.slurm.watcher import SCRIPT, Watching

# Snakemake hands out jobs in small portions, those to be tried again one by one.
COLLECT_SECONDS = 5


def install(runs_per_gpu: int) -> None:
    """Have Snakemake use our executor where it was told to use its own for SLURM."""
    Executor.runs_per_gpu = runs_per_gpu
    ExecutorPluginRegistry().get_plugin("slurm").executor = Executor


class Executor(Watching):
    """As the plugin's, but for jobs that share (finecal.orchestration.slurm.packing) and for limits of time."""

    runs_per_gpu = 1

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._collecting = Lock()
        self._collected: list[Any] = []  # jobs that will share, not yet submitted
        self._unfinished: Counter[Path] = Counter()  # folder of a SLURM job → its members that did not succeed so far

    def run_jobs(self, jobs: Sequence[Any]) -> None:
        for job in jobs:
            route_to_partition(job)
        sharing = [job for job in jobs if room(job, self.runs_per_gpu)]
        super().run_jobs([job for job in jobs if not room(job, self.runs_per_gpu)])
        for job in sharing:
            self.run_job_pre(job)
        with self._collecting:
            if sharing and not self._collected:
                self._job_submission_executor.submit(self._submit_collected)
            self._collected += sharing

    def run_job(self, job: Any) -> None:
        if self._stopping.is_set():
            return
        try:
            self._limit_time(job)
        except Exception as error:
            self._not_submitted([job], error)
            return
        super().run_job(job)

    def _limit_time(self, job: Any) -> None:
        """What grows with every try ends at what the partition grants; SLURM would let the job wait for ever."""
        if self._partitions is not None:  # of --slurm-partition-config: the plugin chooses one by what jobs ask for
            return
        asked = job.resources.get("runtime")
        longest = cluster.longest(job.resources.get("slurm_partition"))
        if not asked or longest is None or asked <= longest:
            return
        self.logger.info(f"{job.name}: {asked} minutes are more than the partition grants; asking for {longest}.")
        if isinstance(job, SimpleNamespace):
            job.resources["runtime"] = longest
        elif job.is_group():  # whose `resources` are made anew from this each time
            job._resources["runtime"] = longest
        else:
            job.resources.runtime = longest

    def _submit_collected(self) -> None:
        self._stopping.wait(COLLECT_SECONDS)
        with self._collecting:
            jobs = self._collected.copy()
            self._collected.clear()
        try:
            granted = cluster.longest if self._partitions is None else lambda _: None
            divided = packs(jobs, self.runs_per_gpu, granted)
        except Exception as error:
            self._not_submitted(jobs, error)
            return
        for together in divided:
            if not self._stopping.is_set():
                self._run_pack(together)

    def _not_submitted(self, jobs: list[Any], error: Exception) -> None:
        """An error of any kind: this is in a thread, and Snakemake would wait for ever."""
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        for job in jobs:
            self._report_job_error_threadsafe(SubmittedJobInfo(job), f"SLURM job not submitted: {reason}. ")

    def _run_pack(self, jobs: list[Any]) -> None:
        """Submit one SLURM job for all of them."""
        folder = self.slurm_logdir / f"rule_{jobs[0].name}" / f"shared_{uuid.uuid4().hex[:12]}"
        try:
            number, scripts = self._submit(jobs, folder)
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._not_submitted(jobs, error)
            return
        numbers = ", ".join(str(job.jobid) for job in jobs)
        self.logger.info(
            f"SLURM job {number} takes {len(jobs)} of {jobs[0].name}: {numbers} (logs: {scripts[0].parent})."
        )
        for job, script in zip(jobs, scripts, strict=True):
            notes = {SCRIPT: script, "slurm_logfile": script.with_suffix(".log")}
            self._report_job_submission_threadsafe(SubmittedJobInfo(job, external_jobid=number, aux=notes))

    def _submit(self, jobs: list[Any], folder: Path) -> tuple[str, list[Path]]:
        folder.mkdir(parents=True)
        scripts = [folder / f"{place}.sh" for place in range(len(jobs))]
        for job, script in zip(jobs, scripts, strict=True):
            script.write_text(self._member(job))
        together = combined(jobs, divided=self.runs_per_gpu > 1)
        self._limit_time(together)
        validate_slurm_extra(together)
        params = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": folder / "%j.log",
            "comment_str": f"rule_{jobs[0].name}_{len(jobs)}_jobs",
            "account": next(self.get_account_arg(together)),
            "partition": self.get_partition_arg(together),
            "workdir": self.workflow.workdir_init,
        }
        settings = self.workflow.executor_settings
        call = get_submit_command(together, params, settings=settings, failed_nodes=self._failed_nodes)
        how = [IN_TURN] if together.resources.get("in_turn") else []
        launcher = shlex.join(
            [self.get_python_executable(), "-m", "finecal.orchestration.slurm.launcher", str(folder), *how]
        )
        # A step, since SLURM's warnings reach steps only; exec, since a shell would not outlive a SIGTERM.
        batch = f"#!/bin/sh\nexec srun -n1 --nodes=1 --cpu-bind=q --cpus-per-task={together.threads} {launcher}\n"
        done = subprocess.run(
            f"{call}{set_gres_string(together)} /dev/stdin",
            shell=True, input=batch, capture_output=True, text=True, check=True,
        )  # fmt: skip
        self._unfinished[folder] = len(jobs)
        return validate_or_get_slurm_job_id(done.stdout.strip().split(";")[0], done.stdout), scripts

    def _member(self, job: Any) -> str:
        """A member's script: Snakemake with this one job, as at the end of the plugin's chain of commands.

        The shell outlives a SIGTERM, so that the launcher waits for what the training makes of it. Of the memory of the
        SLURM job, which all members see, it is told its own part.
        """
        command = self.format_job_exec(job).replace(self.additional_general_args(), "--executor local")
        return f"trap : TERM\nexport FINECAL_MEMORY={job.resources.get('mem_mb') or 0}\n{command}\n"

    def _forget(self, script: Path) -> None:
        """Remove what was written for a SLURM job after all of its members have succeeded."""
        self._unfinished[script.parent] -= 1
        if not self._unfinished[script.parent] and not self.workflow.executor_settings.keep_successful_logs:
            shutil.rmtree(script.parent, ignore_errors=True)
