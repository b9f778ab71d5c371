"""Which jobs run in the SLURM job of those that they follow: scores and tables of a run, right after its training.

Snakemake starts a job when it has seen what the job needs, and a SLURM job of its own costs it as much as its work, or
ten times as much. Here what follows is looked up before the SLURM job is submitted, and its launcher goes on by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any

from finecal.orchestration.modules import stage_of
from finecal.orchestration.slurm.member_script import plain_script
from finecal.orchestration.slurm.requests import PLACE, Request, requested_resources
from finecal.plan.stages import STAGES

# Of what follows a SLURM job these may differ: it runs where that job is, and needs less there.
CHOSEN_BY_GPU = ("slurm_partition", "gpu_model", "gpu_share")


def find_followers(
    pack: Collection[Any], is_known: Callable[[Any], bool], may_follow: Callable[[Any], bool]
) -> dict[Any, list[Any]]:
    """Return the jobs that can run right after those of a SLURM job, each after all that it needs.

    A job follows if each of its inputs is there or made by a job of this SLURM job or of another, and if it belongs to
    one that it needs: its wildcards say all that the other's do. So do the scores of a run, and what is computed of a
    pretrained model. Tables of many runs and figures do not; they follow where all that they wait for is in one SLURM
    job, and that has no GPU to hold.

    Parameters
    ----------
    pack
        Snakemake's jobs that are to be submitted together.
    is_known
        Whether a job is a member of another SLURM job that has not failed.
    may_follow
        Whether a job may be put behind others at all.

    Returns
    -------
    Job → those that it waits for; empty where main has seen all of its inputs.
    """
    found: dict[Any, list[Any]] = {}
    has_gpu = any(job.resources.get("gpu") for job in pack)
    waiting = deque(pack)
    while waiting:
        done = waiting.popleft()
        dag = done.dag
        if dag.in_until(done):
            continue
        for follower in list(dag.depending.get(done, ())):
            if follower in found or follower in pack or not dag.needrun(follower):
                continue
            needs = [need for need in dag.dependencies[follower] if dag.needrun(need) and not dag.finished(need)]
            if not all(need in pack or need in found or is_known(need) for need in needs):
                continue
            is_here = not has_gpu and all(need in pack or need in found for need in needs)
            if (is_here or any(_says_all_of(follower, need) for need in needs)) and may_follow(follower):
                found[follower] = needs
                waiting.append(follower)
    return found


def _says_all_of(follower: Any, need: Any) -> bool:
    return bool(need.wildcards_dict) and need.wildcards_dict.items() <= follower.wildcards_dict.items()


def fits(follower: Any, request: Request, members: Iterable[Any]) -> bool:
    """Return whether a job may follow in a SLURM job: it is short, its outputs are whole or not there, and it fits in.

    Only stages of finecal other than trainings are known to be so. What else their rules or the user ask for is asked
    for by the SLURM job anyway: no more memory, processors or GPUs, and the same account, QoS and constraint.

    Parameters
    ----------
    request
        What the SLURM job asks for.
    members
        The jobs that it was made for.
    """
    stage = STAGES.get(stage_of(follower.rule) or "")
    if stage is None or stage.resumable or follower.is_local or follower.attempt != 1:
        return False
    if follower.group is not None or follower.dag.workflow.group_settings.overwrite_groups:
        return False
    own, first = requested_resources(follower), requested_resources(next(iter(members)))
    if own.get("in_turn") == 0:  # by itself, says the user
        return False
    names = [name for name in PLACE if own.get("gpu") or name not in CHOSEN_BY_GPU]
    if any(own.get(name) != first.get(name) for name in names) or (own.get("gpu") or 0) > (first.get("gpu") or 0):
        return False
    if follower.threads > request.threads or (own.get("mem_mb") or 0) > (request.resources.get("mem_mb") or 0):
        return False
    return plain_script(follower) is not None
