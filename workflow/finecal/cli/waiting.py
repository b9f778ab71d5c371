"""A training that another process is at work on: waited for, and taken as it is if it is what this one would make.

So it is where a command was started twice, by two people or by hand beside Snakemake. Without this the second one would
wait for the lock and then train in full.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finecal import paths
from finecal.errors import UserError
from finecal.plan.stage import Stage

if TYPE_CHECKING:
    from finecal.plan.plan import Plan

LOOK = 1.0  # seconds between two looks


def is_made_by_another(stage: Stage, wildcards: Mapping[str, str], plan: Plan) -> bool:
    """Wait while another process is at work on a training; return whether it has made all that this one would.

    Parameters
    ----------
    stage
        One whose jobs can be resumed.
    wildcards
        Of the job.
    """
    from finecal.io.lease import held_by
    from finecal.training.state_folder import lease_of

    outputs = [Path(pattern.format(**wildcards)) for pattern in stage.outputs.values()]
    folder = paths.state_folder(outputs[0].parent)
    lease = lease_of(folder.with_name(f"{folder.name}.lock"))
    if not (holder := held_by(lease)):
        return False
    print(f"waiting: {holder} is working on the training whose state is {folder}", file=sys.stderr, flush=True)
    while held_by(lease):
        time.sleep(LOOK)
    if not all(file.is_file() for file in outputs) or not _is_the_same(stage, wildcards, plan, outputs[0]):
        return False
    print(f"{holder} has made {outputs[0].parent}; it is taken as it is", file=sys.stderr)
    return True


def _is_the_same(stage: Stage, wildcards: Mapping[str, str], plan: Plan, result: Path) -> bool:
    """Return whether a result was made with the code, the options and the inputs that are there now."""
    from finecal.io.provenance import sha256
    from finecal.plan.code_digests import Identity
    from finecal.plan.identities import Identities
    from finecal.plan.records import read_record

    try:
        made = read_record(result)
        inputs: dict[str, str] = made["inputs"]
        same_inputs = all(sha256(file) == found for file, found in inputs.items())
    except (UserError, LookupError):
        return False
    identity = Identity.recorded(made)
    return same_inputs and identity is not None and str(identity) == str(Identities(plan).of(stage.name, wildcards))
