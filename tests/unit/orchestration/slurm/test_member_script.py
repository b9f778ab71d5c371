"""What is done on a node for a job without a Snakemake there: the script is run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm_jobs import Dag, Job, files, job
from snakemake.common.tbdstring import TBDString
from snakemake.io import flag
from snakemake.resources import Resource
from snakemake.settings.types import DeploymentMethod, SharedFSUsage
from snakemake.shell import shell

from finecal.orchestration.slurm.member_script import is_plain, member_script, plain_script


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(one: Job, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a job's script elsewhere."""
    script = plain_script(one)
    assert script is not None
    return subprocess.run(
        ["sh", "-c", script], cwd="/", env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def made(command: str, **resources: Any) -> Job:
    one = Dag().add("evaluate", command=command, **resources)
    one.output, one.log = files("results/a b/out", "other"), files("logs/it's/log")
    return one


def test_what_is_there_before_and_in_which_environment(here: Path) -> None:
    """As snakemake.shell and Job.prepare do."""
    for old in ("results/a b/out", "logs/it's/log"):
        (here / old).parent.mkdir(parents=True)
        (here / old).touch()
    one = made("ls -R > 'results/a b/out'; env > other; echo said > \"logs/it's/log\"; false | true", mem_mb=300)
    done = run(one, OMP_NUM_THREADS="7", TMPDIR="/tmp")
    assert done.returncode == 1  # pipefail
    assert not (here / "other").exists()
    one.shellcmd = one.shellcmd.removesuffix("false | true")
    done = run(one, OMP_NUM_THREADS="7", TMPDIR="/tmp")
    assert (done.returncode, done.stderr) == (0, "")
    listed = (here / "results/a b/out").read_text().split()
    assert "other" not in listed
    assert "out" in listed  # the folders of outputs and log were made
    environment = {"OMP_NUM_THREADS=2", "MKL_NUM_THREADS=2", "FINECAL_MEMORY=300", "TMPDIR=/tmp", f"PWD={here}"}
    assert environment < {*(here / "other").read_text().splitlines()}


def test_outputs_of_a_failure_are_removed_but_not_its_log(here: Path) -> None:
    one = made("touch 'results/a b/out'; echo why > \"logs/it's/log\"; exit 5")
    assert run(one).returncode == 5
    assert not (here / "results/a b/out").exists()
    assert (here / "logs/it's/log").read_text() == "why\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGURG])
def test_a_signal_is_for_what_it_runs(here: Path, number: signal.Signals) -> None:
    """SLURM sends it to all processes of a job."""
    name = number.name.removeprefix("SIG")
    one = made(f"trap 'echo heard > other; exit 0' {name}; touch ready; for _ in $(seq 200); do sleep 0.1; done")
    process = subprocess.Popen(["sh", "-c", str(plain_script(one))], start_new_session=True)
    while not (here / "ready").exists():
        time.sleep(0.05)
    os.killpg(process.pid, number)
    assert process.wait(20) == 0
    assert (here / "other").read_text() == "heard\n"


def test_inputs_are_waited_for(here: Path) -> None:
    one = made("cat late > 'results/a b/out'")
    one.input = files("late")
    done = run(one)
    assert done.returncode == 1
    assert done.stderr == "finecal: the input late was not there after 1 s\n"
    assert (here / "logs/it's/log").read_text() == done.stderr
    one.dag.workflow.execution_settings.latency_wait = 20
    process = subprocess.Popen(["sh", "-c", str(plain_script(one))])
    (here / "late").write_text("here")
    assert process.wait(20) == 0
    assert (here / "results/a b/out").read_text() == "here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_write_protected_output_is_an_error(here: Path) -> None:
    (here / "other").touch(0o400)
    assert "other is write-protected" in run(made("true")).stderr
    assert (here / "other").exists()


@pytest.mark.parametrize(
    ("raw", "value"), [("'/some/where'", "/some/where"), ("/some/where", "/some/where"), ("system_tmpdir", "/tmp")]
)
def test_the_folder_for_temporary_files(here: Path, raw: str, value: str) -> None:
    one = made("env > other")
    one.rule.resources["tmpdir"] = Resource("tmpdir", lambda: "", raw=raw.replace("/some", str(here)))
    assert run(one, TMPDIR="/tmp").returncode == 0
    assert f"TMPDIR={value.replace('/some', str(here))}" in (here / "other").read_text().splitlines()
    assert raw == "system_tmpdir" or (here / "where").is_dir()


def deployment(one: Job) -> None:
    one.dag.workflow.deployment_settings.deployment_method = {DeploymentMethod.CONDA}


def special_output(one: Job) -> None:
    one.output = files(flag("file", "protected"))


def storage(one: Job) -> None:
    one.dag.workflow.storage_settings.shared_fs_usage = SharedFSUsage.all() - {SharedFSUsage.INPUT_OUTPUT}


def tmpdir_of_the_node(one: Job) -> None:
    one.rule.resources["tmpdir"] = Resource("tmpdir", lambda: "", raw="'/scratch/$SLURM_JOB_ID'")


def tmpdir_by_function(one: Job) -> None:
    one.rule.resources["tmpdir"] = Resource("tmpdir", lambda _wildcards: "/scratch")


def precommand(one: Job) -> None:
    one.dag.workflow.remote_execution_settings.precommand = "module load python"


def keeps_incomplete_outputs(one: Job) -> None:
    one.dag.workflow.execution_settings.keep_incomplete = True


def script(one: Job) -> None:
    one.is_shell = False


def measured(one: Job) -> None:
    one.benchmark = "file"


def shadow(one: Job) -> None:
    one.is_shadow = True


@pytest.mark.parametrize(
    "change",
    [
        deployment, special_output, storage, tmpdir_of_the_node, tmpdir_by_function, precommand, script, measured,
        shadow, keeps_incomplete_outputs,
    ],
)  # fmt: skip
def test_who_needs_a_snakemake_on_the_node(change: Callable[[Job], None]) -> None:
    one = made("true")
    assert is_plain(one)
    change(one)
    assert not is_plain(one)
    assert member_script(one, lambda _: "snakemake …").endswith("export FINECAL_MEMORY=100\nsnakemake …\n")


def test_commands_that_are_not_known_yet_or_too_long() -> None:
    for command in (f"head -c {TBDString()}", "x" * 2**17):
        assert plain_script(made(command)) is None


def test_the_shell_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    one = made("true")
    monkeypatch.setitem(shell._process_args, "executable", "/bin/dash")
    monkeypatch.setattr(shell, "_process_prefix", "set -e; ")
    monkeypatch.setattr(shell, "_process_suffix", "; echo done")
    assert "\n/bin/dash -c 'set -e;  true ; echo done'\n" in str(plain_script(one))
    one.resources["shell_exec"] = "zsh"
    assert "\nzsh -c " in str(plain_script(one))


def test_jobs_made_up_elsewhere_have_a_snakemake() -> None:
    assert not is_plain(job())
