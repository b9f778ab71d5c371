"""How SLURM is asked for GPUs.

Sites differ in what they take. `--gpus` needs the scheduler cons_tres; where slurm.conf names none, or cons_res, only
options for each node are known. The check before the first job finds out (preflight.py).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from finecal.errors import UserError

# Ways to ask for GPUs of a job on one node, the preferred one first; `{}` is MODEL:NUMBER or NUMBER.
WAYS = ("--gpus={}", "--gpus-per-node={}", "--gres=gpu:{}")
# As SLURM itself finds them, names have hyphens (nvidia_a100-sxm4-80gb), those of slices dots (a100_1g.5gb).
MODEL = re.compile(r"[\w.+-]+")
# One or several of NAME, NAME:NUMBER, NAME:MODEL, NAME:MODEL:NUMBER.
GRES = re.compile(r"\w+(:[\w.+-]+)?(:\d+[KMGT]?)?(,\w+(:[\w.+-]+)?(:\d+[KMGT]?)?)*")

_way = WAYS[0]


def use_way(way: str) -> None:
    """Ask for GPUs in one of the `WAYS` from now on."""
    global _way
    _way = way


def step_script(options: str, command: str) -> str:
    """Return the script of a SLURM job that runs a command as its only step; exec, since a shell outlives no SIGTERM.

    With SelectType=linear SLURM may give a job the GPU of its whole node, and then refuse the step that inherits the
    wish for it. Where jobs ask as such sites do, that is tried out; the step then sees what the node has.

    Parameters
    ----------
    options
        Those of `srun`.
    """
    if _way == WAYS[0]:
        return f"#!/bin/sh\nexec srun {options} {command}\n"
    return (
        f"#!/bin/sh\nif srun {options} true; then exec srun {options} {command}; fi\n"
        "unset SLURM_GPUS SLURM_GPUS_PER_NODE\n"
        f"exec srun --gres=none {options} {command}\n"
    )


def gpu_options(resources: Mapping[str, Any], way: str | None = None) -> str:
    """Return the options of `sbatch` for the GPUs and other generic resources that a job asks for.

    Parameters
    ----------
    resources
        Of these `gres`, `gpu` and `gpu_model` count.
    way
        One of the `WAYS`; None for the one that SLURM was found to take.

    Raises
    ------
    UserError
        If a name is none.
    """
    gres, number, model = (resources.get(name) for name in ("gres", "gpu", "gpu_model"))
    for name, value, pattern in (("gres", gres, GRES), ("gpu_model", model, MODEL)):
        if value and not pattern.fullmatch(str(value)):
            raise UserError(
                f"{name} is {value!r}", where="profiles/slurm",
                why="It is no name of a GPU or generic resource, such as a100, nvidia_a100-sxm4-80gb or shard:1",
                hint="`sinfo --format='%P %G'` says what there is",
            )  # fmt: skip
    way = way or _way
    asked = [f"--gres={shlex.quote(str(gres))}"] if gres else []
    if model or number:
        gpus = way.format(f"{model}:{1 if number is None else number}" if model else number)
        if gres and gpus.startswith("--gres="):  # the last one alone would count
            asked = [f"{asked[0]},{gpus.removeprefix('--gres=')}"]
        else:
            asked.append(gpus)
    return "".join(f" {option}" for option in asked)
