"""Before the first job: whether SLURM would take what the jobs ask for, found out by `sbatch --test-only`.

Otherwise a wrong account, QoS or GPU model shows only after every job has been refused as often as it is tried.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from finecal.errors import UserError
from finecal.orchestration.slurm import cluster
from finecal.orchestration.slurm.cluster import Asked
from finecal.orchestration.slurm.packing import check_in_turn, combined, packs, partition, room, route_to_partition

# What SLURM says of a request that it will never take → the keys of the profile that may be wrong. Other refusals,
# as of one job too many, may be over when the jobs are submitted.
NOT_AVAILABLE = "node configuration is not available"
REFUSALS = {
    r"invalid qos": "qos",
    r"invalid account": "account",
    r"invalid (generic resource|trackable resource)": "gpu_model, gpu_share",
    r"invalid feature": "default-resources: constraint",
    NOT_AVAILABLE: "gpu_model, partition",
    r"(memory specification|cpu count per node) can not be satisfied|more processors requested": "partition",
    r"group not permitted to use this partition|invalid partition": "partition, cpu_partition",
    r"requested time limit is invalid": "default-resources: runtime",
}


def prepare(jobs: Iterable[Any], runs_per_gpu: int, settings: Any) -> None:
    """What would make jobs fail or wait for ever is an error; what a dead Snakemake has left is ended.

    Parameters
    ----------
    jobs
        Snakemake's jobs that are about to run; those on the cluster count.
    settings
        Those of the SLURM executor.
    """
    submitted = [job for job in jobs if not job.is_local]
    # With a file of partitions the plugin chooses one that grants the time.
    chosen_later = bool(settings.partition_config or os.environ.get("SNAKEMAKE_SLURM_PARTITIONS"))
    asked = set()
    for job in submitted:
        check_in_turn(job.rule.name, job.resources.get("in_turn"))
        asked.add(Asked(job.rule.name, partition(job), None if chosen_later else job.resources.get("runtime")))
    cluster.check_slurm({one.partition for one in asked if one.partition})
    cluster.check_time(asked)
    if not chosen_later:
        check_requests(submitted, runs_per_gpu, settings)
    cluster.tidy_up()


def check_requests(jobs: Iterable[Any], runs_per_gpu: int, settings: Any) -> None:
    """Ask SLURM once for each place that jobs go to, with the most that is asked for there.

    Parameters
    ----------
    jobs
        Snakemake's jobs; what `route_to_partition` does to them is done.
    settings
        Those of the SLURM executor.

    Raises
    ------
    UserError
        If it would never take one of them.
    """
    for request in requests(jobs, runs_per_gpu):
        refusal = _refusal(request, settings)
        for pattern, keys in REFUSALS.items():
            if re.search(pattern, refusal, re.IGNORECASE):
                raise UserError(
                    f"SLURM takes no job like those of {request.name}: {refusal}", where=f"profiles/slurm: {keys}",
                    why=f"Asked for: {_shown(request)}",
                    hint="Edit the first lines of the profile. `sinfo --format='%P %G %c %m'` says what there is "
                    "(GPUs, CPUs, MiB), `sacctmgr show assoc user=$USER format=account,qos` what you may use",
                )  # fmt: skip


def requests(jobs: Iterable[Any], runs_per_gpu: int) -> list[SimpleNamespace]:
    """What is asked for: for each place (partition, account, GPU, …) the most CPUs and memory of any SLURM job."""
    alone: list[Any] = []
    sharing: list[Any] = []
    for job in jobs:
        if not job.is_group():
            route_to_partition(job)
            (sharing if room(job, runs_per_gpu) else alone).append(job)
    most: dict[tuple[Any, ...], SimpleNamespace] = {}
    sizes: defaultdict[tuple[Any, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for together in [*([job] for job in alone), *packs(sharing, runs_per_gpu)]:
        request = combined(together, divided=runs_per_gpu > 1)
        names = ("slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra", "gpu", "gpu_model", "gres")
        place = tuple(request.resources.get(name) for name in names)
        size = (request.resources.get("mem_mb") or 0, request.threads)
        if size >= sizes[place]:
            sizes[place], most[place] = size, request
    return list(most.values())


def _refusal(request: SimpleNamespace, settings: Any) -> str:
    """What SLURM says against a request; empty if nothing, or if it does not answer: then the jobs will tell."""
    resources = request.resources
    longest = cluster.longest(resources.get("slurm_partition"))
    if longest is not None and resources.get("runtime"):
        resources["runtime"] = min(resources["runtime"], longest)
    options = {"account": "-A", "partition": "-p"}
    place = {
        name: f" {option} {shlex.quote(str(value))}" if (value := resources.get(f"slurm_{name}")) else ""
        for name, option in options.items()
    }
    params = {"run_uuid": "finecal", "slurm_logfile": "/dev/null", "comment_str": "test", "workdir": None, **place}
    call = f"{get_submit_command(request, params, settings=settings)}{set_gres_string(request)} --wrap true"
    refusal, _ = _answer(f"{call} --test-only")
    if re.search(NOT_AVAILABLE, refusal, re.IGNORECASE):
        # It says so of nodes that are down or drained, too, for which a job would wait: a real one is taken then.
        # (Of a held one it is not asked whether there are such nodes.)
        refusal, submitted = _answer(call)
        if job := re.match(r"\d+", submitted):  # followed by the cluster's name, where there are several
            _answer(f"scancel {job[0]}")
    return refusal


def _answer(call: str) -> tuple[str, str]:
    """What SLURM says against a call, and otherwise its answer; both empty if there is none."""
    try:
        done = subprocess.run(call, shell=True, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return "", ""
    if not done.returncode:
        return "", done.stdout.strip()
    last = done.stderr.strip().rpartition("\n")[2]
    return re.sub(r"^(allocation failure|sbatch: error)(: Batch job submission failed)?: ", "", last), ""


def _shown(request: SimpleNamespace) -> str:
    names = ("slurm_partition", "slurm_account", "qos", "constraint", "gpu", "gpu_model", "gres", "mem_mb", "runtime")
    asked = {name: request.resources[name] for name in names if request.resources.get(name)}
    return ", ".join(f"{name}={value}" for name, value in {**asked, "CPUs": request.threads}.items())
