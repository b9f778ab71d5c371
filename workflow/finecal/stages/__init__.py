"""One file per stage: read the inputs of one job, call the library, write its outputs.

Each has a function named as its verb, called with the plan, what to make, and the `Settings` of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Where and how a job runs; nothing here changes a result on the CPU.

    Attributes
    ----------
    device
        "auto", "cpu" or "cuda".
    threads
        CPU threads of torch.
    state_interval
        Seconds between two saves of an unfinished training's state.
    """

    device: str = "auto"
    threads: int = 1
    state_interval: float = 60.0
