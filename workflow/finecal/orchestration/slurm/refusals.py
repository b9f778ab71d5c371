"""What SLURM says when it refuses a job, and which refusals time heals."""

from __future__ import annotations

import re

# Limits on how many jobs may wait and run, of an account, a QoS or the controller; and a controller that is away.
HEALS = re.compile(
    r"\b(assoc|qos)\w*submit\w*|temporarily un(able|available)|too many jobs|maxjobcount"
    r"|unable to contact slurm|slurm backup controller in standby|connection refused|communication connection failure",
    re.IGNORECASE,
)
# Several kinds of limits in one message. What kind it is stands in a line before; some releases leave it out.
POLICY = re.compile(r"violates accounting/qos policy", re.IGNORECASE)
NAMED = re.compile(r"\b(assoc|qos)[a-z]+\w*", re.IGNORECASE)
# After these nobody knows whether the job was taken.
UNCLEAR = re.compile(r"socket timed out|zero bytes were transmitted|timed out after", re.IGNORECASE)

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
