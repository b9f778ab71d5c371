"""The settings of the executor, `--finecal-slurm-…`: those of Snakemake's SLURM plugin and `runs_per_gpu`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from finecal.config.settings import parse_settings
from finecal.orchestration.slurm import upstream

EXECUTOR = "finecal-slurm"
# Where Snakemake was started, which imports its plugins before it goes to its --directory.
STARTED_IN = Path.cwd()


@dataclass
class ExecutorSettings(upstream.ExecutorSettings):  # type: ignore[misc]
    """As the plugin's, and how many runs share a GPU."""

    runs_per_gpu: int | None = field(
        default=None,
        metadata={
            "help": "Number of trainings or extractions that share a GPU. Default: that of the workflow's config.yaml.",
            "type": int,
            "env_var": False,
            "required": False,
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runs_per_gpu is not None and self.runs_per_gpu < 1:
            raise WorkflowError(f"--{EXECUTOR}-runs-per-gpu must be at least 1, not {self.runs_per_gpu}.")


def runs_per_gpu(workflow: Any) -> int:
    """Return how many runs share a GPU: as the executor's setting says, else the configuration.

    Parameters
    ----------
    workflow
        Snakemake's, with an executor of this package.
    """
    number: int | None = workflow.executor_settings.runs_per_gpu
    return parse_settings(dict(workflow.config)).runs_per_gpu if number is None else number
