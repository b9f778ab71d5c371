"""The jobs that run where Snakemake runs, as forks of a warm process (finecal.warm)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from finecal.config.settings import Settings
from finecal.orchestration.modules import stage_of
from finecal.paths import BELOW_VARIABLE
from finecal.warm.start import environment_of_jobs, started


def start_warm_process(workflow: Any, settings: Settings, until: ExitStack, below: str = "") -> None:
    """Let the jobs that are due be forks of a warm process, until Snakemake has run them.

    Nothing happens if the configuration says so, if jobs run elsewhere, or in environments of their own (`--sdm`).

    Parameters
    ----------
    workflow
        Snakemake's, when it is about to run jobs.
    until
        Is closed after the last job.
    below
        What jobs put before all paths: it is read when finecal is imported.
    """
    elsewhere = workflow.executor_plugin.name != "local" or workflow.deployment_settings.deployment_method
    if elsewhere or not settings.warm:
        return
    stages = {stage for job in workflow.dag.needrun_jobs() if (stage := stage_of(job.rule)) is not None}
    environment = environment_of_jobs() | ({BELOW_VARIABLE: below} if below else {})
    before = os.environ["PATH"]
    until.callback(os.environ.__setitem__, "PATH", before)
    os.environ["PATH"] = until.enter_context(started(sorted(stages), environment))["PATH"]
