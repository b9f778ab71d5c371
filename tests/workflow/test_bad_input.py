"""What is wrong is said in one paragraph, with the file or key, and nothing is left behind."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import RUNS, STUDY, Project, one_paragraph

RUN = f"{RUNS}/half0/seed0"
LOGITS = f"{RUN}/logits.parquet"
IMAGES = "results/digits/images/handwritten.parquet"
OPTIONS = ("--study", STUDY)


def contents(project: Project) -> dict[str, str]:
    """File below results and state → hash of its bytes."""
    files = project.files("results") | project.files("state")
    return {file: hashlib.sha256(project.path(file).read_bytes()).hexdigest() for file in files}


@contextmanager
def unchanged(project: Project) -> Iterator[None]:
    """Nothing in results or state is made, changed or removed in the block."""
    before = contents(project)
    yield
    assert contents(project) == before


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"studies": ["digit"]}, ["config.yaml", "unknown study 'digit'", "closest first: digits"]),
        ({"studies": ["mine.yaml"]}, ["there is no file 'mine.yaml'"]),
        ({"studies": 3}, ["config.yaml: studies: 3 is not allowed"]),
        ({"studies": [STUDY, STUDY]}, ["config.yaml: studies", f"{STUDY!r} is selected twice"]),
        ({"studies": STUDY, "state_interval": "soon"}, ["config.yaml: state_interval: 'soon' is not allowed"]),
        ({"studies": STUDY, "state_interval": -1}, ["config.yaml: state_interval: -1 is not allowed"]),
        ({"studies": STUDY, "device": "gpu"}, ["config.yaml: device: 'gpu' is not allowed", "'cuda'"]),
        ({"studies": STUDY, "devise": "cpu"}, ["config.yaml: unknown key 'devise'", "closest first: device"]),
    ],
)
def test_configuration(empty: Project, settings: dict[str, Any], parts: list[str]) -> None:
    empty.path("config.yaml").write_text(yaml.safe_dump(settings))
    said = one_paragraph(empty.forked(*empty.snakemake_command(), status=2))
    assert one_paragraph(empty.forked("finecal", "check", status=2)) == said
    for part in parts:
        assert part.removeprefix("config.yaml, ") in said or part == "config.yaml"
    assert not empty.path("results").exists()


def test_study(empty: Project) -> None:
    """A mistake in a study stops everything before the first job, whichever study it is in."""
    with empty.study() as study:
        study["training"]["lr"] = "fast"
    for settings in ([STUDY], ["digits", STUDY]):
        with empty.settings() as config:
            config["studies"] = settings
        output = empty.forked(*empty.snakemake_command(), status=2)
        one_paragraph(output, f"{STUDY}: training.lr: 'fast' is not allowed")
    assert not empty.path("results").exists()


@pytest.mark.parametrize(
    ("words", "likely"),
    [
        ([f"{RUN}/logit.parquet"], LOGITS),
        (["results/tables/leaderbord.md"], "results/tables/leaderboard.md"),
        (["table99"], "table1"),
        (["--until", "finetun"], "finetune"),
    ],
    ids=" ".join,
)
def test_a_target_that_no_rule_makes(empty: Project, words: list[str], likely: str) -> None:
    """What it was most likely meant to be is named, and nothing runs."""
    output = empty.forked(*empty.snakemake_command(*words), status=2)
    one_paragraph(output, f"no rule makes {words[-1]!r}. Most similar: {likely}, ")
    assert not empty.path("results").exists()


def test_one_name_for_two_things(empty: Project) -> None:
    other = yaml.safe_load(empty.path(STUDY).read_text())
    other["training"]["epochs"] = 5
    empty.path("other.yaml").write_text(yaml.safe_dump(other))
    with empty.settings() as settings:
        settings["studies"] = [STUDY, "other.yaml"]
    output = empty.forked(*empty.snakemake_command(), status=2)
    one_paragraph(output, "means two different things", "training.epochs is 2 in tiny.yaml and 5 in other.yaml")


def test_results_is_a_file(empty: Project) -> None:
    empty.path("results").write_text("not a folder")
    one_paragraph(empty.snakemake(status=2), "results")
    one_paragraph(empty.finecal("prepare", IMAGES, *OPTIONS, status=2), "results")
    assert empty.path("results").read_text() == "not a folder"


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Something mounted on a folder; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def grow(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def test_results_cannot_be_written(empty: Project) -> None:
    folder = empty.path("results")
    with mounted(folder, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        one_paragraph(empty.forked(*empty.snakemake_command(), status=2), "cannot be written", "--directory")
        one_paragraph(empty.forked("finecal", "prepare", IMAGES, *OPTIONS, status=2), IMAGES, "cannot be written")


def test_finished_results_that_cannot_be_written(project: Project) -> None:
    """What is there is there; what is missing cannot be made, and that is said before any job."""
    folder = project.path("results")
    with mounted(folder, "-o", "bind,ro", str(folder)):
        assert "Nothing to be done" in project.forked(*project.snakemake_command("--cores", "1", "figure2"))
    for file in folder.glob("figures/curve.*"):
        file.unlink()
    with mounted(folder, "-o", "bind,ro", str(folder)), unchanged(project):
        said = project.forked(*project.snakemake_command("--cores", "1", "figure2"), status=2)
        one_paragraph(said, "cannot be written", "--directory")


def test_disk_full_of_results(empty: Project) -> None:
    folder = empty.path("results")
    with mounted(folder, "-t", "tmpfs", "-o", "size=16k", "tmpfs"):
        said = one_paragraph(empty.finecal("prepare", IMAGES, *OPTIONS, status=2), IMAGES, "no space left")
        assert "then run again" in said
        assert empty.files() == set()
        grow(folder, "16m")
        empty.finecal("prepare", IMAGES, *OPTIONS)
        assert empty.files() == {IMAGES}


@pytest.mark.slow
def test_disk_full_of_states(complete: Project, project: Project) -> None:
    """No space for the state of a training; once there is some, it goes on."""
    project.path(RUN, "model.safetensors").unlink()
    state = project.path("state")
    with mounted(state, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        command = ("finetune", RUN, *OPTIONS, "--device", "cpu", "--state-interval", "0")
        with unchanged(project):
            one_paragraph(project.finecal(*command, status=2), "state.pt", "no space left")
            for file in project.files("state"):  # the lock holds the number of the process that ended
                project.path(file).unlink()
        grow(state, "64m")
        project.finecal(*command)
        assert project.path(RUN, "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (("finetune", "results/digits/full"), ["'results/digits/full' is not the folder of a run", "finecal check"]),
        (("finetune", RUNS), ["is not the folder of a run"]),
        (("finetune", f"{RUNS}/half9/seed0"), ["unknown split 'half9'", "half0"]),
        (("evaluate", f"{RUN}x"), ["is not the folder of a run"]),
        (("prepare", "results/digits/handwritten.parquet"), ["does not match results/{dataset}/images/{domain}"]),
        (("prepare", "results/digits/images/painted.parquet"), ["unknown domain 'painted'", "printed"]),
        (("split", "results/digits/splits/half9.parquet"), ["half9"]),
        (("aggregate", "metric"), ["unknown aggregated table 'metric'", "closest first: metrics"]),
        (("table", "mean"), ["unknown table 'mean'", "closest first: main"]),
        (("figure", "gian"), ["unknown figure 'gian'", "closest first: gain"]),
    ],
)
def test_no_such_target(project: Project, command: tuple[str, str], parts: list[str]) -> None:
    with unchanged(project):
        one_paragraph(project.forked("finecal", *command, *OPTIONS, status=2), *parts)


def rewrite(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(file)), file)


def with_logit(value: float) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        logits = np.stack(table["logits"].to_numpy())
        logits[7, 3] = value
        column = pa.FixedSizeListArray.from_arrays(pa.array(logits.reshape(-1)), logits.shape[1])
        return table.set_column(table.schema.get_field_index("logits"), "logits", column)

    return change


def with_entry(name: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[row] = value
        return table.set_column(table.schema.get_field_index(name), name, pa.array(values, table[name].type))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns("label"), "the column 'label' is missing. It has dataset, task"),
        (lambda table: table.drop_columns("logits"), "the column 'logits' is missing"),
        (with_logit(np.nan), "row 7 has a logit that is NaN or infinite"),
        (with_logit(-np.inf), "row 7 has a logit that is NaN or infinite"),
        (with_entry("label", 5, 10), "row 5 has the label 10. Labels are 0 to 9."),
        (with_entry("sample", 5, 4), "sample 4 is there more than once"),
    ],
)
def test_logits_that_cannot_be_trusted(project: Project, change: Callable[[pa.Table], pa.Table], message: str) -> None:
    rewrite(project.path(LOGITS), change)
    with unchanged(project):
        for verb in ("calibrate", "evaluate"):
            said = one_paragraph(project.forked("finecal", verb, RUN, *OPTIONS, status=2), message)
            assert said.startswith(f"finecal: {LOGITS}: ")


@pytest.mark.slow
def test_truncated_logits(complete: Project, project: Project) -> None:
    """The message says what to do, and that works."""
    whole = project.path(LOGITS).read_bytes()
    project.path(LOGITS).write_bytes(whole[:5000])
    output = project.snakemake("--cores", "1", f"{RUN}/calibration.parquet", status=None)
    said = [line for line in output.splitlines() if line.startswith("finecal: ")]
    assert len(said) == 1, output
    assert said[0].startswith(f"finecal: {LOGITS}: not readable as Parquet")
    assert said[0].endswith("Hint: Delete it, it will be made again.")
    project.path(LOGITS).unlink()
    project.snakemake("--cores", "1", f"{RUN}/calibration.parquet")
    assert project.path(LOGITS).read_bytes() == whole
    calibration = f"{RUN}/calibration.parquet"
    assert project.path(calibration).read_bytes() == complete.path(calibration).read_bytes()


@pytest.mark.slow
def test_corrupt_images(project: Project) -> None:
    """Bytes changed inside the file, which Parquet's own page checks may or may not see, and a cut."""
    file = project.path(IMAGES)
    file.write_bytes(file.read_bytes()[:-100])
    for made in ("model.safetensors", "model.safetensors.sha256"):
        project.path(RUN, made).unlink()
    with unchanged(project):
        output = project.finecal("finetune", RUN, *OPTIONS, "--device", "cpu", status=2)
        one_paragraph(output, f"{IMAGES}: not readable as Parquet", "it will be made again")


@pytest.mark.slow
def test_no_gpu(project: Project) -> None:
    """Asked for a GPU, finecal never takes the CPU instead."""
    with unchanged(project):
        for device, named in (("cuda", "device is 'cuda'"), ("auto-gpu", "device is 'auto'")):
            said = project.finecal("extract", LOGITS, "--device", device, status=2)
            one_paragraph(said, named, "no GPU is visible", "CUDA_VISIBLE_DEVICES")


def test_debug_shows_the_traceback(empty: Project) -> None:
    output = empty.forked("finecal", "check", "--debug", "digit", status=None)
    assert "Traceback" in output
    assert "UserError" in output
    assert os.linesep in output


def test_a_mistyped_directory_is_not_made(empty: Project) -> None:
    """Snakemake makes a folder that is not there; what is worked in without a configuration makes the default."""
    wrong = empty.folder.with_name(f"{empty.folder.name}s")
    elsewhere = [word if word != str(empty.folder) else str(wrong) for word in empty.snakemake_command("--dry-run")]
    said = one_paragraph(empty.forked(*elsewhere, status=2), f"no config.yaml in {wrong}", "Nothing was made")
    assert f"Beside it is {empty.folder}." in said
    assert not wrong.exists()
    (wrong / "results").mkdir(parents=True)
    assert f"no config.yaml in {wrong}, so this makes digits, the default, there" in empty.forked(*elsewhere, "report")
