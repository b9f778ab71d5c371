"""Where a job notes what it took: where the table of costs looks for it, for every stage that is measured."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from digits_studies import write_study

from finecal.cli import main
from finecal.cli.stage_commands import measurement, target_arguments
from finecal.plan.jobs import jobs
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES
from finecal.stages.cost_table import read_measurement

PREPARED = Path("results/digits/images/printed.parquet")
NOTE = Path("benchmarks/data/prepare/digits/printed.tsv")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_measured_job_notes_where_it_is_read(tmp_path: Path) -> None:
    """Its rule names the first output, or the folder of all."""
    seen = set()
    framed = write_study(tmp_path, "framed", backbones={"test_resnet": {"preprocessing": "timm"}})
    for job in (*jobs(Plan(["calibrators"])), *jobs(Plan([framed]))):
        stage = STAGES[job.stage]
        if stage.benchmark is None:
            continue
        seen.add(stage.name)
        place = job.result.parent if stage.target == "FOLDER" else job.result
        assert measurement(stage, target_arguments(stage, Namespace(target=str(place)))) == job.measurement
    assert seen == {stage.name for stage in STAGES.values() if stage.measured}


def test_a_stage_that_is_not_measured_notes_nothing() -> None:
    assert measurement(STAGES["report"], {}) is None


def test_a_verb_notes_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    main(["prepare", str(PREPARED), "--study", "digits"])
    assert PREPARED.is_file()
    assert capsys.readouterr().err == ""
    assert all(value > 0 for value in read_measurement(NOTE).values())


def test_a_verb_that_fails_notes_nothing() -> None:
    NOTE.parent.mkdir(parents=True)
    NOTE.write_text("of an earlier attempt")
    Path("results").write_text("no folder")
    with pytest.raises(SystemExit):
        main(["prepare", str(PREPARED), "--study", "digits"])
    assert not NOTE.exists()
