"""Checks before the first job: whether SLURM is there, and whether it would take what the jobs ask for.

The latter by `sbatch --test-only`. Otherwise a wrong account, QoS or GPU model shows only after every job has been
refused as often as it is tried.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finecal.errors import UserError, unknown
from finecal.orchestration.slurm import limits
from finecal.orchestration.slurm.accounts import accounts_of_user
from finecal.orchestration.slurm.asked import check_asked, check_profiles, check_words, say_constant_memory
from finecal.orchestration.slurm.commands import NO_ANSWER, no_answer_error, plain_environment
from finecal.orchestration.slurm.gpus import WAYS, gpu_options, use_way
from finecal.orchestration.slurm.limits import RequestedTime
from finecal.orchestration.slurm.packing import check_in_turn, divide, pack_size
from finecal.orchestration.slurm.recovery import invisible_folder_error, tidy_up
from finecal.orchestration.slurm.refusals import OF_NODES, heals, reason_of, wrong_keys
from finecal.orchestration.slurm.requests import Request, combine, requested_resources
from finecal.orchestration.slurm.settings import EXECUTOR, STARTED_IN
from finecal.orchestration.slurm.upstream import read_job_number, sbatch_command
from finecal.runtime.filesystem import IN_MEMORY, filesystem_type


def check_executor(name: str) -> None:
    """Check that jobs go to SLURM through finecal's executor if they go there.

    Raises
    ------
    UserError
        For that of the SLURM plugin, which does not know what finecal's profile says of GPUs and of jobs that share.
    """
    if name == "slurm":
        raise UserError(
            "finecal does not work with the executor 'slurm'", where="--executor",
            why="It knows neither jobs that share a SLURM job nor the partition for GPUs",
            hint=f"Use `--profile profiles/slurm`, or `executor: {EXECUTOR}` in a profile of your own, where options "
            f"such as `slurm-requeue` are called `{EXECUTOR}-requeue`",
        )  # fmt: skip


def prepare(jobs: Iterable[Any], runs_per_gpu: int, settings: Any) -> None:
    """Check what would make jobs fail or wait for ever; see to what a Snakemake that was killed has left.

    Parameters
    ----------
    jobs
        Snakemake's jobs that are about to run; those on the cluster count.
    settings
        Those of the SLURM executor.

    Raises
    ------
    UserError
        If something is wrong.
    """
    submitted = [job for job in jobs if not job.is_local]
    check_words(sys.argv)
    check_profiles(sys.argv[1:], STARTED_IN)
    # With a file of partitions the plugin chooses one that grants the time.
    chosen_later = bool(settings.partition_config or os.environ.get("SNAKEMAKE_SLURM_PARTITIONS"))
    requested = set()
    for job in submitted:
        check_in_turn(job.rule.name, job.resources.get("in_turn"))
        resources = requested_resources(job)
        if not job.is_group():
            check_asked(job.rule.name, resources)
        minutes = None if chosen_later else resources.get("runtime")
        requested.add(RequestedTime(job.rule.name, resources.get("slurm_partition"), minutes))
    check_slurm({one.partition for one in requested if one.partition})
    limits.check_time(requested)
    say_constant_memory([job for job in submitted if not job.is_group()])
    if not chosen_later:
        check_requests(submitted, runs_per_gpu, settings)
    tidy_up(submitted)


def check_slurm(partitions: Iterable[str]) -> None:
    """Check before the first job what would make every job fail.

    Parameters
    ----------
    partitions
        The partitions that the jobs ask for by name.

    Raises
    ------
    UserError
        If there is no `sbatch`, SLURM does not answer, a partition is unknown, or the working directory lies in
        this machine's memory.
    """
    where = "profiles/slurm"
    if shutil.which("sbatch") is None:
        raise UserError(
            "there is no `sbatch` on the PATH", where=where, why="Jobs are submitted with it",
            hint="Start on a login node of the cluster, or load its module first (often `module load slurm`)",
        )  # fmt: skip
    try:
        known = [name for name in limits.partition_limits() if name]
    except NO_ANSWER as error:
        raise no_answer_error(error, "sinfo") from error
    for partition in (name for several in partitions for name in several.split(",")):
        if partition not in known:
            error_ = unknown("partition", partition, known, where=f"{where}: slurm_partition")
            raise UserError(
                error_.what, where=error_.where, why=error_.why, hint="Leave it out to use the default partition"
            )
    if (kind := filesystem_type(Path.cwd())) in IN_MEMORY:
        raise invisible_folder_error(Path.cwd(), f"It lies in this machine's memory ({kind})")


def check_requests(jobs: Iterable[Any], runs_per_gpu: int, settings: Any) -> None:
    """Ask SLURM once for each place that jobs go to, with the most that is asked for there.

    Parameters
    ----------
    jobs
        Snakemake's jobs.
    settings
        Those of the SLURM executor.

    Raises
    ------
    UserError
        If it would never take one of them.
    """
    for request in largest_requests(jobs, runs_per_gpu):
        refusal = _find_refusal(request, settings)
        if not refusal or heals(refusal, others_live=True):  # as the submit limit does, when a job ends
            continue
        keys = wrong_keys(refusal)
        yours = accounts_of_user() if keys == "account" else []
        raise UserError(
            f"SLURM takes no job like those of {request.name}: {refusal}",
            where=f"profiles/slurm: {keys}" if keys else "profiles/slurm", why=f"Asked for: {_format_request(request)}",
            hint=f"Set `account`, the first line of the profile. Yours are: {', '.join(yours)}" if yours else
            "Edit the first lines of the profile. `sinfo --format='%P %G %c %m'` says what there is "
            "(GPUs, CPUs, MiB), `sacctmgr show assoc user=$USER format=account,qos` what you may use",
        )  # fmt: skip


def largest_requests(jobs: Iterable[Any], runs_per_gpu: int) -> list[Request]:
    """Return, for each place (partition, account, GPU, …), the SLURM job with the most CPUs and memory."""
    alone: list[Any] = []
    sharing: list[Any] = []
    for job in jobs:
        if not job.is_group():
            (sharing if pack_size(job, runs_per_gpu) else alone).append(job)
    largest: dict[tuple[Any, ...], Request] = {}
    sizes: defaultdict[tuple[Any, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for together in [*([job] for job in alone), *divide(sharing, runs_per_gpu)]:
        request = combine(together, divided=runs_per_gpu > 1)
        names = ("slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra", "gpu", "gpu_model", "gres")
        place = tuple(request.resources.get(name) for name in names)
        size = (request.resources.get("mem_mb") or 0, request.threads)
        if size >= sizes[place]:
            sizes[place], largest[place] = size, request
    return list(largest.values())


def _find_refusal(request: Request, settings: Any) -> str:
    """Return what SLURM says against a request in any way to ask for GPUs; jobs then ask in the first that it takes."""
    first = _ask_for_refusal(request, settings)
    if not first or heals(first, others_live=True) or not gpu_options({**request.resources, "gres": None}):
        return first
    for way in WAYS[1:]:
        use_way(way)
        if not _ask_for_refusal(request, settings):
            return ""
    use_way(WAYS[0])
    return first


def _ask_for_refusal(request: Request, settings: Any) -> str:
    """Return what SLURM says against a request; empty if nothing, or if it does not answer: then the jobs will tell."""
    resources = request.resources
    limit = limits.exceeded_limit(resources.get("slurm_partition"), resources.get("runtime"))
    if limit is not None:
        resources["runtime"] = limit
    options = {"account": "-A", "partition": "-p"}
    place = {
        name: f" {option} {shlex.quote(str(value))}" if (value := resources.get(f"slurm_{name}")) else ""
        for name, option in options.items()
    }
    params = {"run_uuid": "finecal", "slurm_logfile": "/dev/null", "comment_str": "test", "workdir": None, **place}
    call = f"{sbatch_command(request, params, settings)} --wrap true"
    refusal, _ = _call_slurm(f"{call} --test-only")
    if refusal and not heals(refusal, others_live=True) and wrong_keys(refusal) in ("", OF_NODES):
        # It refuses what would have to wait, too, as for nodes that are down, drained or busy: a real job is taken
        # then. (Of a held one it is not asked whether there are such nodes.)
        refusal, submitted = _call_slurm(call)
        if submitted:
            _call_slurm(f"scancel {read_job_number(submitted)}")
    return refusal


def _call_slurm(call: str) -> tuple[str, str]:
    """Return what SLURM says against a call, or else its answer; both empty if there is none."""
    try:
        done = subprocess.run(
            call, shell=True, capture_output=True, text=True, timeout=60, check=False, env=plain_environment()
        )
    except NO_ANSWER:
        return "", ""
    if not done.returncode:
        return "", done.stdout.strip()
    return reason_of(done.stderr), ""


def _format_request(request: Request) -> str:
    names = ("slurm_partition", "slurm_account", "qos", "constraint", "gpu", "gpu_model", "gres", "mem_mb", "runtime")
    asked = {name: request.resources[name] for name in names if request.resources.get(name)}
    return ", ".join(f"{name}={value}" for name, value in {**asked, "CPUs": request.threads}.items())
