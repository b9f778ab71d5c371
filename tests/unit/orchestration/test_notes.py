"""Snakemake's notes written anew from outputs, and the names of its persistence that this uses."""

from __future__ import annotations

import ast
import inspect
import os
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from snakemake.persistence import MetadataRecord, PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import PersistenceBackend

from finecal.errors import UserError
from finecal.io.parquet import write_table
from finecal.orchestration import lock
from finecal.orchestration import notes as notes_module
from finecal.orchestration.lock import others_at_work, release_stale_lock
from finecal.orchestration.notes import notes_of, restore_notes
from finecal.plan.code_digests import Identity
from finecal.plan.identities import Identities
from finecal.plan.jobs import Job

IDENTITY = Identity("finetune", "c0de", {}, {"lr": 0.1})
TABLE, MODEL = Path("results/history.parquet"), Path("results/model.safetensors")
INPUTS = {"results/images.parquet": "ab"}
WORKFLOW = SimpleNamespace(
    workflow_settings=SimpleNamespace(persistence_backend=PersistenceBackend.FILE, persistence_backend_db_url=None)
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()


def finished(inputs: dict[str, str] = INPUTS) -> Job:
    """A job whose outputs are there, a table and a file that says nothing of what made it."""
    write_table(TABLE, pa.table({"epoch": [1]}), provenance={**IDENTITY.record(), "inputs": inputs})
    MODEL.write_text("weights")
    return cast(Job, SimpleNamespace(result=TABLE, outputs=[TABLE, MODEL], stage="finetune", wildcards={}))


def restore(*jobs: Job, notes: PersistenceBase | None = None) -> list[Path]:
    return restore_notes(jobs, notes or notes_of(WORKFLOW), cast(Identities, None))


def read_note(output: Path) -> MetadataRecord:
    note = FilePersistence()._read_record(str(output))
    assert note is not None
    return note


def test_a_missing_note_is_written_from_the_output() -> None:
    assert restore(finished()) == [TABLE]
    for output in (TABLE, MODEL):
        note = read_note(output)
        assert (note.rule, note.params) == ("finetune", [repr(str(IDENTITY))])
        assert note.endtime == output.stat().st_mtime
        assert note.input == list(INPUTS)
        assert note.input_checksums == {"results/images.parquet": "sha256:ab"}
        assert not note.incomplete
    assert restore(finished_again()) == []


def test_outputs_that_another_snakemake_removes_meanwhile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It makes them anew; the notes of all other jobs are written all the same, and nothing is said."""
    made = finished()
    one = cast(Job, SimpleNamespace(result=TABLE, outputs=[TABLE, Path("gone")], stage="finetune", wildcards={}))
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path == Path("gone") or exists(path))
    assert restore(one, made) == [TABLE]
    assert capsys.readouterr().err == ""


def finished_again() -> Job:
    """The job of `finished`, whose outputs stay as they are."""
    return cast(Job, SimpleNamespace(result=TABLE, outputs=[TABLE, MODEL], stage="finetune", wildcards={}))


def test_a_note_of_earlier_outputs_is_replaced() -> None:
    restore(finished())
    notes = FilePersistence()
    note = read_note(TABLE)
    note.params = ["'other options'"]
    notes._write_record(str(TABLE), note)
    assert restore(finished_again()) == []
    os.utime(TABLE, (1, 1))
    assert restore(finished_again()) == [TABLE]
    assert read_note(TABLE).params == [repr(str(IDENTITY))]


def test_files_read_beside_the_inputs_are_no_inputs() -> None:
    restore(finished({**INPUTS, "benchmarks/data/pretrain.tsv": "cd"}))
    assert read_note(TABLE).input is None


@pytest.mark.parametrize("missing", [TABLE, MODEL])
def test_a_job_without_all_its_outputs_gets_no_note(missing: Path) -> None:
    job = finished()
    missing.unlink()
    assert restore(job) == []


@pytest.mark.parametrize("missing", [None, TABLE, MODEL])
def test_a_job_that_outlived_its_snakemake(missing: Path | None) -> None:
    """Its outputs are marked as incomplete. They are complete if all are there, since each is written whole or not."""
    job = finished()
    for output in job.outputs:
        FilePersistence()._mark_incomplete(str(output), None)
    if missing is not None:
        missing.unlink()
    assert restore(job) == ([] if missing else [TABLE])
    marked = FilePersistence()._filter_incomplete_keys(map(str, job.outputs))
    assert marked == ({str(TABLE), str(MODEL)} if missing else set())


def test_outputs_of_before_stay_incomplete() -> None:
    """Snakemake was killed between marking the outputs and removing those of before, whose notes are there."""
    job = finished()
    restore(job)
    FilePersistence()._mark_incomplete(str(TABLE), None)
    assert restore(job) == []
    assert FilePersistence()._filter_incomplete_keys([str(TABLE)]) == {str(TABLE)}


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"PAR1\x00PAR1"])
def test_a_damaged_table_gets_no_note(content: bytes) -> None:
    job = finished()
    TABLE.write_bytes(content)
    assert restore(job) == []


def test_a_table_that_does_not_say_what_made_it_gets_no_note() -> None:
    job = finished()
    write_table(TABLE, pa.table({"epoch": [1]}), provenance={"inputs": {}})
    assert restore(job) == []


class ReadOnly(FilePersistence):  # type: ignore[misc]
    """Of a folder that cannot be written; the system's superuser can write any other."""

    def _write_record(self, key: str, record: MetadataRecord) -> None:
        raise PermissionError(13, "Permission denied", key)


def test_a_folder_of_notes_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(finished(), finished(), notes=ReadOnly()) == []
    said = capsys.readouterr().err
    assert said.count("finecal: Snakemake's notes of what results were made with cannot be updated") == 1
    assert "Permission denied" in said


def test_a_folder_of_snakemake_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file lies in its place: neither the lock nor the notes can be written."""
    Path(".snakemake").write_text("")
    monkeypatch.setattr(lock, "_held", None)
    release_stale_lock()
    assert "cannot be locked" in others_at_work()
    with pytest.raises(UserError, match=r"Snakemake's folder cannot be written: .*--directory DIR"):
        notes_of(WORKFLOW)


def test_the_names_of_snakemakes_persistence_are_there() -> None:
    tree = ast.parse(Path(notes_module.__file__).read_text("utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    private = {node.attr for node in attributes if node.attr.startswith("_")}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    fields = {keyword.arg for node in calls if node.func.id == "MetadataRecord" for keyword in node.keywords}
    stores: tuple[Any, ...] = (PersistenceBase, FilePersistence, DbPersistence)
    missing = {f"{store.__name__}.{name}" for store in stores for name in private if not hasattr(store, name)}
    missing |= {f"MetadataRecord.{name}" for name in fields if name not in MetadataRecord.model_fields}
    if "db_url" not in inspect.signature(DbPersistence).parameters:
        missing.add("DbPersistence(db_url)")
    assert private
    assert fields
    assert not missing, (
        f"Snakemake {version('snakemake')} has no {', '.join(sorted(missing))}, which workflow/finecal/orchestration/"
        "notes.py uses: adapt that file to the new release"
    )
