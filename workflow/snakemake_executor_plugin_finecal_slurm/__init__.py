"""The executor plugin `finecal-slurm`, found by Snakemake by the name of this package."""

from finecal.orchestration.slurm.executor import Executor
from finecal.orchestration.slurm.settings import ExecutorSettings
from finecal.orchestration.slurm.upstream import common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
