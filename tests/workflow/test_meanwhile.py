"""What happens while a real run is going: its warm process and a training are killed, its study and code are edited."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import Project, copy_sources
from test_kill import RUN, STATE, Saves, assert_same_run, leftovers, resumed, wait_until

from finecal.io.parquet import read_metadata

pytestmark = pytest.mark.slow

TARGET = f"{RUN}/logits.parquet"
WARM = "finecal.warm.server"
OTHER = RUN.replace("half0", "half1")


def kill_below(number: int, name: str) -> None:
    """Kill the processes below another one that have this name, and belong to its warm processes."""
    found = [one for one in psutil.Process(number).children(recursive=True) if WARM in one.cmdline()]
    chosen = [one for one in found if one.name().startswith(name)]
    assert chosen, found
    for one in chosen:
        one.kill()


def test_a_training_and_the_warm_process_are_killed(complete: Project, project: Project) -> None:
    """A fork is killed: its training goes on where it was. Then the warm process: nobody notices."""
    shutil.rmtree(project.path(RUN))
    with project.settings() as settings:
        settings["state_interval"] = 0
    log, command = project.path("snakemake.log"), project.snakemake_command("--cores", "1", TARGET)
    saves = Saves(project.path(STATE))
    process = project.start(*command, log=log)
    wait_until(lambda: saves.at_least(2), process, log)
    kill_below(process.pid, "finecal fin")
    assert process.wait(200) == 1
    assert "finecal: ended by SIGKILL: most likely out of memory" in log.read_text()
    assert not project.path(RUN).exists()

    process = project.start(*command, log=log)
    wait_until(lambda: saves.at_least(5), process, log)
    kill_below(process.pid, "python")
    assert process.wait(200) == 0, log.read_text()
    assert resumed(project.path(f"logs/finetune/{RUN.removeprefix('results/')}.log"))[0] >= 2
    assert_same_run(complete.path(RUN), project.path(RUN))
    assert not project.path("state").exists()
    assert not leftovers(project)
    assert project.planned(TARGET) == {}


def test_study_and_code_are_edited_while_jobs_wait(project: Project, tmp_path: Path) -> None:
    """The second training is of the new study and code, and is known as such; the first one is made again."""
    edited = replace(project, source=copy_sources(tmp_path / "source", project.source))
    for run in (RUN, OTHER):
        shutil.rmtree(edited.path(run))
    log, targets = edited.path("snakemake.log"), (TARGET, f"{OTHER}/logits.parquet")
    process = edited.start(*edited.snakemake_command("--cores", "1", *targets), log=log)
    states = {run: edited.path(run.replace("results/", "state/")) for run in (RUN, OTHER)}
    wait_until(lambda: any(folder.is_dir() for folder in states.values()), process, log)
    first, second = sorted(states, key=lambda run: not states[run].is_dir())
    psutil.Process(process.pid).suspend()  # or it may begin with the second before all is edited
    with edited.study() as study:
        study["training"]["lr"] = 0.04
    with (edited.source / "workflow/finecal/stages/finetune.py").open("a") as module:
        module.write("\nEDITED = True\n")
    psutil.Process(process.pid).resume()
    assert process.wait(200) == 0, log.read_text()
    said = [line for line in log.read_text().splitlines() if "with other options or code than planned" in line]
    assert len(said) == 1
    assert said[0].startswith(f"finecal: {second}/")

    made = {run: read_metadata(edited.path(run, "history.parquet")) for run in (first, second)}
    assert [made[run]["options"]["training"]["lr"] for run in (first, second)] == [0.03, 0.04]
    assert made[first]["code"] != made[second]["code"]
    planned = edited.planned(*targets)
    assert planned["finetune"] == {
        f"{first}/{name}" for name in ("history.parquet", "head.parquet", "model.safetensors")
    }
