"""The stages: read the inputs of one job, call the library, write its outputs.

The function of a stage has its name (`finecal.plan.stages`). It is called with the plan, what its target names, and the
`Settings` of the machine, as far as its record says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Where and how a job runs; on the CPU only `precision` and `compile` change a result, in its last digits.

    Attributes
    ----------
    device
        "auto", "cpu" or "cuda".
    threads
        CPU threads of torch.
    state_interval
        Seconds between two saves of an unfinished training's state.
    precision
        "auto", "float32" or "bfloat16": of the models' computations.
    data_memory
        MiB of memory that images may take; what is larger is read from a file. By default half of what is free.
    compile
        Whether torch compiles the models that are trained.
    """

    device: str = "auto"
    threads: int = 1
    state_interval: float = 60.0
    precision: str = "auto"
    data_memory: float | None = None
    compile: bool = False
