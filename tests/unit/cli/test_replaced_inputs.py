"""An input that is replaced while a job reads it: the result does not say that it was made from the new one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import finecal.stages.update_similarity
from finecal.cli import main
from finecal.io import provenance
from finecal.paths import RunKey
from finecal.stages import _handover

RUN = "results/toy/source-similar/finecal_mlp/full/ab/seed0"


def test_it_is_hashed_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever accepts the result then sees that another file is there, and the next call makes the result again."""
    monkeypatch.chdir(tmp_path)
    head = Path(RUN, "head.parquet")
    head.parent.mkdir(parents=True)
    head.write_bytes(b"old")
    noted = []

    def slow(*_: object, run: RunKey, **__: object) -> None:
        assert (run.folder / "head.parquet").read_bytes() == b"old"
        head.write_bytes(b"new")  # by somebody else
        noted.append(provenance.provenance({}, inputs=[head])["inputs"][str(head)])

    monkeypatch.setattr(finecal.stages.update_similarity, "update_similarity", slow)
    main(["update-similarity", RUN])
    assert noted == [hashlib.sha256(b"old").hexdigest()]


def test_what_a_training_left_is_removed_by_another_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same extraction twice, as of a job that has outlived its Snakemake."""
    monkeypatch.chdir(tmp_path)
    place = _handover._place(Path(RUN))
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: path == place or is_file(path))
    _handover.discard(Path(RUN))
