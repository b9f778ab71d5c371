"""What follows when Snakemake has accepted a job's outputs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from finecal.errors import UserError
from finecal.io.parquet import write_table
from finecal.orchestration.acceptance import check_dates, discard_accepted_states, follow_results, keep_states
from finecal.plan.code_digests import Identity
from finecal.plan.jobs import Job
from finecal.training.state_folder import KEPT, lock_state

PLANNED, MADE = (Identity("finetune", "c0de", {}, {"lr": lr}) for lr in (0.1, 0.2))
RUN = "results/digits/a-b/resnet/full/half/seed0"
TABLE, MODEL = f"{RUN}/history.parquet", f"{RUN}/model.safetensors"
STATE = Path("state/digits/a-b/resnet/full/half/seed0")
WILDCARDS = {"dataset": "digits", "source": "a", "target": "b", "backbone": "resnet", "recipe": "full", "split": "half"}
READ = {"results/images.parquet": "ab"}
OF_TABLES = {"dataset": "digits", "task": "a-b", "backbone": "resnet", "recipe": "full", "split": "half", "seed": 0}
RECORD = Job("finetune", OF_TABLES)


class Accepted(SimpleNamespace):
    """A job as Snakemake has it."""

    def is_group(self) -> bool:
        return False


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilePersistence:
    """Snakemake's, after it has accepted a training that it planned with other options than those of its result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(KEPT, "1")
    keep_states()
    with lock_state(STATE) as folder:
        (folder / "state.pt").write_text("the last step")
    write_table(TABLE, pa.table({"epoch": [1]}), provenance={**MADE.record(), "inputs": READ})
    Path(MODEL).write_text("weights")
    return FilePersistence()


def accept(notes: FilePersistence, planned: Identity, checksum: str = "sha256:ab") -> list[str]:
    """Let Snakemake accept the training; what it calls besides."""
    for output in (TABLE, MODEL):
        note = MetadataRecord(
            record_format_version=6, params=[repr(str(planned))], starttime=1e9, incomplete=False,
            endtime=Path(output).stat().st_mtime, input_checksums={"results/images.parquet": checksum},
        )  # fmt: skip
        notes._write_record(output, note)
    called: list[str] = []

    async def finish(_job: Any, **_named: Any) -> None:
        called.append("finish")

    workflow = SimpleNamespace(dag=SimpleNamespace(finish=finish), persistence=notes)
    follow_results(workflow)
    rule = SimpleNamespace(shellcmd="exec finecal finetune {output.model}")
    job = Accepted(rule=rule, output=[TABLE, MODEL], wildcards={**WILDCARDS, "seed": "0"})
    asyncio.run(workflow.dag.finish(job, update_checkpoint_dependencies=True))
    return called


def test_the_state_goes_and_the_note_stays(notes: FilePersistence, capsys: pytest.CaptureFixture[str]) -> None:
    assert (STATE / "state.pt").is_file()
    assert accept(notes, MADE) == ["finish"]
    assert not Path("state").exists()
    assert capsys.readouterr().err == ""


def test_a_note_of_what_was_planned_is_corrected(notes: FilePersistence, capsys: pytest.CaptureFixture[str]) -> None:
    """The study was edited after Snakemake had planned: what is edited back later is then made again."""
    accept(notes, PLANNED)
    for output in (TABLE, MODEL):
        note = notes._read_record(output)
        assert note is not None
        assert note.params == [repr(str(MADE))]
    said = capsys.readouterr().err
    assert said.count("finecal: ") == 1
    assert f"{TABLE} was made with other options or code than planned" in said


def test_an_input_that_was_replaced_meanwhile(notes: FilePersistence, capsys: pytest.CaptureFixture[str]) -> None:
    """Snakemake then finds the input newer than the result, and its bytes not to be those that were read."""
    accept(notes, MADE, "sha256:cd")
    note = notes._read_record(MODEL)
    assert note is not None
    assert note.input_checksums == {"results/images.parquet": "sha256:ab"}
    assert Path(MODEL).stat().st_mtime == note.endtime == 1e9
    assert "was made from results/images.parquet as it was before it was replaced" in capsys.readouterr().err


def test_a_result_that_another_snakemake_removes_meanwhile(
    notes: FilePersistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(TABLE).unlink()
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path == Path(TABLE) or exists(path))
    discard_accepted_states([RECORD], notes)
    assert STATE.is_dir()


@pytest.mark.parametrize(("later", "stays"), [(-60, False), (60, True)])
def test_the_state_of_a_killed_snakemake(notes: FilePersistence, later: float, stays: bool) -> None:
    """It had accepted the result, or a training with other options has begun since then."""
    result = Path(TABLE).stat().st_mtime
    os.utime(STATE / "state.pt", (result + later,) * 2)
    discard_accepted_states([RECORD], notes)
    assert STATE.is_dir(), "nobody has noted that the result is accepted"
    notes._write_record(TABLE, MetadataRecord(endtime=result, incomplete=False))
    discard_accepted_states([RECORD], notes)
    assert STATE.is_dir() == stays


def test_inputs_are_looked_at_before_the_first_job(notes: FilePersistence) -> None:
    """But not those that one of the jobs makes anew."""
    os.utime(MODEL, (4e9, 4e9))
    rule = SimpleNamespace(shellcmd="exec finecal extract {output}")
    reads = SimpleNamespace(rule=rule, input=[MODEL], output=["logits"])
    makes = SimpleNamespace(rule=rule, input=[], output=[MODEL])
    other = SimpleNamespace(rule=SimpleNamespace(shellcmd="cp {input} {output}"), input=[MODEL], output=["copy"])
    check_dates(cast(Any, [reads, makes]))
    check_dates(cast(Any, [other]))
    with pytest.raises(UserError, match=r"model\.safetensors: this file is dated .* h \d+ min in the future"):
        check_dates(cast(Any, [reads]))
