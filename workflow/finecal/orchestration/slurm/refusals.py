"""What SLURM says when it refuses a job, and which refusals time heals."""

from __future__ import annotations

import re

# After these nobody knows whether the job was taken.
UNCLEAR = re.compile(
    r"socket timed out|bytes were transmitted|timed out after|message (send|receive) failure"
    r"|received (zero length message|message length)|failed to send entire message|header lengths",
    re.IGNORECASE,
)
# Limits on how many jobs may wait and run, of an account, a QoS or the controller; a controller that is away, is asked
# too often, cannot store jobs or reach its accounts; partitions and a whole cluster that are closed for maintenance;
# passports of requests that the service for them (munge) does not give or read for now.
HEALS = re.compile(
    r"\b(assoc|qos)\w*submit\w*|temporarily un(able|available)|too many jobs|maxjobcount|rate limit"
    r"|unable to contact slurm|controller( is)? in standby|connection refused"
    r"|communication (connection|shutdown) failure|unable to create job record, try again|i/o error writing script"
    r"|submissions (are )?disabled|partition not available|partition in down state|unable to connect to database"
    r"|protocol authentication error|authentication (agent|credential)|error generating job credential"
    rf"|{UNCLEAR.pattern}",
    re.IGNORECASE,
)
# Several kinds of limits in one message. What kind it is stands in a line before; some releases leave it out.
POLICY = re.compile(r"violates accounting/qos policy", re.IGNORECASE)
NAMED = re.compile(r"\b(assoc|qos)[a-z]+\w*", re.IGNORECASE)

# What SLURM says of a request that it will never take → the keys of the profile that may be wrong.
OF_NODES = "gpu_model, partition"
REFUSALS = {
    r"invalid qos": "qos",
    r"usage threshold": "account, qos",
    r"invalid account": "account",
    r"(invalid|duplicate) (generic resource|gres|trackable resource)|(insufficient gres|gres option un)": (
        "gpu_model, gpu_share"
    ),
    r"invalid (preferred )?feature|active features not subset": "default-resources: constraint",
    r"node configuration is not available": OF_NODES,
    r"(memory specification|cpu count per node) can not be satisfied|(processors|tasks) (requested )?than"
    r"|more (processors|tasks) requested|cpu count specification|memory required by task": "partition",
    r"not permitted to use this partition|invalid partition|no partition specified|multiple partition job": (
        "partition, cpu_partition"
    ),
    r"time limit (is invalid|specification)|invalid time": "default-resources: runtime",
    r"access denied to requested reservation|reservation is invalid": "finecal-slurm-reservation",
    r"invalid (wckey|license|node name|node count|mcs_label|job dependency|--nice)|not in this partition": (
        "default-resources: slurm_extra"
    ),
    # Limits of an account or QoS for one job, such as QOSMaxWallDurationPerJobLimit. Those for all jobs heal.
    r"\b(assoc|qos)(max|min)\w*perjob": "qos, default-resources",
}

# What stands before a reason: of this package, of the plugin, and of sbatch itself.
BEGINS = re.compile(
    r"^(SLURM job not submitted: |SLURM sbatch failed\. The error message was ')?"
    r"(allocation failure|sbatch: (error|fatal))(: (Batch job|Job) submission failed)?: "
)
# Said of jobs for which all nodes are excluded, too.
NONE_LEFT = re.compile(r"node configuration is not available|invalid node name", re.IGNORECASE)


def reason_of(said: str) -> str:
    """Return what `sbatch` said in one line, without its own words around it.

    >>> reason_of("sbatch: error: AssocMaxSubmitJobLimit\\nsbatch: error: Batch job submission failed: Policy")
    'AssocMaxSubmitJobLimit: Policy'
    """
    lines = [BEGINS.sub("", line.strip()) for line in said.strip().splitlines()]
    return ": ".join(dict.fromkeys(line for line in lines if line))


def heals(said: str, *, others_live: bool = False) -> bool:
    """Return whether a refused job will be taken later as it is.

    Parameters
    ----------
    said
        By `sbatch`.
    others_live
        Whether jobs of this Snakemake wait or run: then a limit that SLURM does not name may be one on their number.
    """
    if HEALS.search(said):
        return True
    policy = POLICY.search(said)
    named = NAMED.search(said[: policy.start()]) if policy else None
    return bool(policy and not named and others_live)


def wrong_keys(refusal: str) -> str:
    """Return the keys of the profile that may be wrong; empty for other words, such as those of a site's own check."""
    return next((keys for pattern, keys in REFUSALS.items() if re.search(pattern, refusal, re.IGNORECASE)), "")
