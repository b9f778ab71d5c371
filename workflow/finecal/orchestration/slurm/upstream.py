"""What we use of Snakemake's SLURM plugin, under names of our own.

Only this module imports the plugin. Much of what it uses is not public, so `pyproject.toml` bounds the plugin below its
next minor release, and tests/unit/orchestration/slurm/test_upstream.py fails when a name is gone.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor

from finecal.errors import UserError
from finecal.orchestration.slurm.commands import without_scontrol
from finecal.orchestration.slurm.gpus import gpu_options
from finecal.orchestration.slurm.requests import Request, Resources, in_units_of_slurm

with without_scontrol():  # which the plugin asks as it is imported, in the Snakemake of every job, too
    import snakemake_executor_plugin_slurm as plugin
    from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
    from snakemake_executor_plugin_slurm.job_status_query import query_job_status, query_job_status_sacct
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.validation import validate_or_get_slurm_job_id, validate_slurm_extra

__all__ = [
    "ExecutorSettings",
    "SlurmExecutor",
    "common_settings",
    "query_job_status",
    "query_job_status_sacct",
    "read_job_number",
    "sbatch_command",
    "validate_slurm_extra",
]


OF_JOB = re.compile(r"(?:Submitted batch job )?(\d+)(?:;\S+| on cluster \S+)?")
LONGEST_NAME = 200  # characters of a folder's name; file systems take 255 bytes

# The plugin's own takes neither hyphens in names of GPUs nor another way to ask than `--gpus`.
plugin.set_gres_string = lambda job: gpu_options(job.resources)
# It warns of a status command that we have chosen by the same facts, and asks for them again.
plugin.validate_status_command_settings = lambda *_: None


def sbatch_command(request: Any, params: Mapping[str, Any], settings: Any, failed_nodes: Iterable[str] = ()) -> str:
    """Return the call of `sbatch` without what it is to run.

    Parameters
    ----------
    request
        Anything with `name`, `threads` and `resources`.
    params
        What depends on more than the request: run_uuid, slurm_logfile, comment_str, account, partition, workdir.
    settings
        Those of the executor.
    """
    asked = Request(request.name, in_units_of_slurm(request.resources), request.threads)
    call = get_submit_command(asked, dict(params), settings=settings, failed_nodes=set(failed_nodes))
    return f"{call}{gpu_options(request.resources)}"


def read_job_number(answer: str) -> str:
    """Return the number of a job from the answer of `sbatch --parsable`, a line NUMBER or NUMBER;CLUSTER.

    A site may have its own `sbatch`, which welcomes, counts or warns in other lines, or does not know the option.

    Raises
    ------
    UserError
        If there is no such line, and not exactly one number elsewhere.
    """
    numbers = [found[1] for line in answer.splitlines() if (found := OF_JOB.fullmatch(line.strip()))]
    try:
        number: str = numbers[-1] if numbers else validate_or_get_slurm_job_id("", answer)
    except WorkflowError as error:
        raise UserError(
            f"the answer names no job: {answer.strip()!r}", where="sbatch",
            why="Expected is a line with the number of the job, as `sbatch --parsable` prints it",
            hint="`type sbatch` says whether the site has one of its own",
        ) from error  # fmt: skip
    return number


plugin.validate_or_get_slurm_job_id = lambda _, answer: read_job_number(answer)


class _WithResources:
    """Snakemake's job as the plugin sees it: with other resources. The job itself stays as it is."""

    def __init__(self, job: Any, resources: Mapping[str, Any]) -> None:
        self.job = job
        self.resources = resources

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    @property
    def wildcards(self) -> Sequence[str]:
        """What the plugin names the folder of SLURM's log by: joined by `_`; cut where no file system would take it."""
        values = list(self.job.wildcards or ())
        whole = "_".join(values)
        if len(whole.encode()) <= LONGEST_NAME:
            return values
        digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
        return [f"{whole.encode()[: LONGEST_NAME - len(digest) - 1].decode(errors='ignore')}_{digest}"]


def _unwrap(job: Any) -> Any:
    return job.job if isinstance(job, _WithResources) else job


class SlurmExecutor(plugin.Executor):  # type: ignore[misc]
    """The plugin's executor, with public names for what our executor builds on."""

    def __post_init__(self, test_mode: bool = False) -> None:
        """Start as the plugin does, but without its question about job arrays where none are asked for.

        It would end where the site has none (`MaxArraySize=0`).
        """
        asked = plugin.get_max_array_size
        if not self.workflow.executor_settings.array_jobs:
            plugin.get_max_array_size = lambda: int(self.workflow.executor_settings.array_limit)
        try:
            super().__post_init__(test_mode)
        finally:
            plugin.get_max_array_size = asked

    def get_account_arg(self, job: Any) -> Iterator[str]:
        """Yield the option for the account that a job names; without one SLURM takes the user's default account.

        The plugin's own guesses one with a command that fails. What is wrong SLURM has said before the first job.
        """
        accounts = [name for name in re.split(r"[,\s]+", str(job.resources.get("slurm_account") or "")) if name]
        yield from [f" -A {shlex.quote(name)}" for name in accounts] or [""]

    @property
    def chooses_partitions(self) -> bool:
        """Whether the plugin chooses the partition of each job, from the file of `--finecal-slurm-partition-config`."""
        return self._partitions is not None

    @property
    def failed_nodes(self) -> set[str]:
        """The nodes that get no further job."""
        nodes: set[str] = self._failed_nodes
        return nodes

    @property
    def uses_other_clusters(self) -> bool:
        """Whether jobs went to clusters other than this one."""
        return bool(self._submitted_job_clusters)

    def call_in_thread(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in one of the threads that submit jobs."""
        self._job_submission_executor.submit(function, *arguments)

    def end_threads(self) -> None:
        """Wait for the calls in threads that have begun, and drop those that have not."""
        self._job_submission_executor.shutdown(wait=True, cancel_futures=True)

    def submit_job(self, job: Any, resources: Mapping[str, Any]) -> None:
        """Submit a job as the plugin does, but ask for these resources instead of the job's own."""
        super().run_job(_WithResources(job, in_units_of_slurm(Resources(resources))))

    def submit_array(self, jobs: Sequence[Any], resources: Iterable[Mapping[str, Any]]) -> None:
        """Submit jobs as a SLURM array as the plugin does, but ask for these resources instead of the jobs' own."""
        asked = [in_units_of_slurm(Resources(own)) for own in resources]
        super().run_array_jobs([_WithResources(job, own) for job, own in zip(jobs, asked, strict=True)])

    def format_job_exec(self, job: Any) -> str:
        """Return the command that runs a job on its node; what it may use there the job's own resources say."""
        command: str = super().format_job_exec(_unwrap(job))
        return command

    def format_job_without_step(self, job: Any) -> str:
        """Return the command that runs a job where a SLURM step runs already."""
        return self.format_job_exec(job).replace(self.additional_general_args(), "--executor local")

    def report_submitted(self, info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job was submitted; from any thread."""
        super()._report_job_submission_threadsafe(info)

    def report_ended(self, info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job was submitted that has ended: it does not watch it."""
        RealExecutor.report_job_submission(self, info)

    def report_refused(self, job: Any, message: str) -> None:
        """Tell Snakemake that a job could not be submitted; from any thread."""
        super()._report_job_error_threadsafe(SubmittedJobInfo(job), message)

    def _report_job_submission_threadsafe(self, job_info: SubmittedJobInfo) -> None:
        job_info.job = _unwrap(job_info.job)
        self.report_submitted(job_info)

    def _report_job_error_threadsafe(self, job_info: SubmittedJobInfo, msg: str) -> None:
        self.report_refused(_unwrap(job_info.job), msg)
