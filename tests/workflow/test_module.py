"""finecal inside another workflow: `module finecal: …`, its rules under other names, own keys and own rules beside."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import RUNS, SETTINGS, STUDY, Project, one_paragraph

SNAKEFILE = """
configfile: "mine.yaml"

module finecal:
    snakefile: "{source}/Snakefile"
    config: config["finecal"]
    {more}

use rule * from finecal as finecal_*

rule count:
    default_target: True
    input: "{result}"
    output: "count.txt"
    params: words=config["words"]
    shell: "(echo {{params.words}}; wc -c < {{input}}) > {{output}}"

onstart:
    print("this workflow's own start")
"""
SPLIT = "results/digits/splits/half0.parquet"
OVERVIEW = "results/tables/runs.parquet"  # its job is told no path, and reads those of others


def make(project: Project, result: str, more: str = "") -> Project:
    """The workflow around, in a project's folder, with its own configuration."""
    project.path("Snakefile").write_text(SNAKEFILE.format(source=project.source, more=more, result=result))
    project.path("config.yaml").unlink()
    content = {"words": "of the file", "finecal": SETTINGS}
    project.path("mine.yaml").write_text(yaml.safe_dump(content))
    return project


def run(project: Project, *arguments: str, status: int | None = 0) -> str:
    return project.run("snakemake", "--cores", "2", *arguments, status=status)


@pytest.mark.slow
def test_an_own_rule_takes_a_result(empty: Project) -> None:
    said = run(make(empty, SPLIT))
    assert "rule finecal_split:" in said
    assert "this workflow's own start" in said
    counted = empty.path("count.txt").read_text().split("\n")
    assert counted[:2] == ["of the file", str(empty.path(SPLIT).stat().st_size)]


@pytest.mark.slow
def test_everything_lies_below_a_prefix(empty: Project) -> None:
    """Results, logs and measurements; its own Snakemake and `finecal` find them there."""
    below = f"mine/below/{OVERVIEW}"
    make(empty, below, 'prefix: "mine/below"')
    before = {path.name for path in empty.folder.iterdir()}
    run(empty)
    counted = empty.path("count.txt").read_text().split("\n")
    assert counted[:2] == ["of the file", str(empty.path(below).stat().st_size)]
    new = {path.name for path in empty.folder.iterdir()} - before
    assert new <= {"mine", "count.txt", ".snakemake", ".cache"}
    assert {path.name for path in empty.path("mine/below").iterdir()} == {"results", "logs", "benchmarks"}
    empty.path("mine.yaml").rename(empty.path("config.yaml"))
    asked = ("env", "FINECAL_BELOW=mine/below", "finecal")
    split = f"mine/below/{SPLIT}"
    assert f"{split} is what would be made now." in empty.run(*asked, "why", split)
    text = empty.path("Snakefile").read_text().replace("mine.yaml", "config.yaml")
    empty.path("Snakefile").write_text(text)
    shutil.rmtree(empty.path(".snakemake"))  # what results were made with also stands in them
    assert "rule finecal_" not in run(empty, "--dry-run", below)
    study = empty.path(STUDY)
    study.write_text(study.read_text().replace("fraction: 0.5", "fraction: 0.6"))
    assert "rule finecal_split:" in run(empty, "--dry-run", below)


def test_two_studies_below_two_prefixes(empty: Project) -> None:
    make(empty, f"one/{SPLIT}", 'prefix: "one"')
    text = empty.path("Snakefile").read_text()
    start = text.index("module finecal")
    other = text[start : text.index("rule count")]
    for old, new in (("finecal:", "other:"), ("from finecal", "from other"), ("finecal_*", "other_*"), ("one", "two")):
        other = other.replace(old, new)
    text = text.replace("rule count", f"{other}rule count")
    empty.path("Snakefile").write_text(text)
    said = run(empty, "--dry-run", "--printshellcmds", f"one/{SPLIT}", f"two/{SPLIT}")
    for name, prefix in (("finecal", "one/"), ("other", "two/")):
        assert f"rule {name}_split:" in said
        assert f"exec env FINECAL_BELOW={prefix} finecal split {prefix}{SPLIT} " in said


@pytest.mark.slow
def test_what_hangs_on_the_start_is_done(empty: Project) -> None:
    """Jobs are forks of the warm process: without it the program that is found first on the PATH would be another.

    And a terminal shows a line per job.
    """
    empty = make(replace(empty, forks=False), SPLIT)
    text = empty.path("Snakefile").read_text()
    text = text.replace("(echo {params.words};", "(command -v finecal;")
    empty.path("Snakefile").write_text(text)
    on_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    said = empty.run(sys.executable, "-c", on_terminal, "snakemake", "--cores", "2", "--nocolor")
    assert f"2 of 3  finecal_split  {SPLIT}  " in said
    assert "rule finecal_split:" not in said
    (log,) = empty.path(".snakemake/log").iterdir()
    assert "rule finecal_split:" in log.read_text()
    found = Path(empty.path("count.txt").read_text().split("\n")[0])
    assert found.parent.name.startswith("finecal-warm-")


def test_results_of_finecal_alone_are_taken(project: Project) -> None:
    result = f"{RUNS}/half0/seed0/metrics.parquet"
    said = run(make(project, result), "--dry-run")
    assert "rule count:" in said
    assert "rule finecal_" not in said


@pytest.mark.parametrize("more", ['prefix: "two words"', 'replace_prefix: {"results/": "mine/"}'])
def test_moved_paths_are_refused(more: str, empty: Project) -> None:
    said = run(make(empty, SPLIT, more), "--dry-run", status=2)
    one_paragraph(said, "module finecal: `", "is not possible")


def test_settings_below_a_key_of_their_own(empty: Project) -> None:
    """The whole configuration is given to finecal; and its verbs find their settings in the same file."""
    content = {"words": "mine", "finecal": SETTINGS}
    empty.path("config.yaml").write_text(yaml.safe_dump(content))
    assert "rule split:" in empty.dry_run(SPLIT)
    assert "The studies are valid." in empty.finecal("check")
    empty.path("config.yaml").write_text(yaml.safe_dump({**content, "studies": [STUDY]}))
    one_paragraph(empty.finecal("check", status=2), "config.yaml: studies: this key stands beside `finecal`")
    content["finecal"] = {**SETTINGS, "divice": "cpu"}
    empty.path("config.yaml").write_text(yaml.safe_dump(content))
    one_paragraph(empty.finecal("check", status=2), "config.yaml: finecal: ", "divice")


@pytest.mark.slow
def test_an_own_start_may_stand_above(empty: Project) -> None:
    make(empty, SPLIT)
    text = empty.path("Snakefile").read_text()
    own = text[text.index("onstart:") :]
    empty.path("Snakefile").write_text(f"{own}\n{text.replace(own, '')}")
    assert "this workflow's own start" in run(empty)
