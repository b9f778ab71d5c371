"""Inputs that are replaced, and code that is edited, while a job works: its result is not said to be of the new."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from functools import cache
from pathlib import Path

import pytest

import finecal.stages.update_similarity
from finecal.cli import main
from finecal.cli.stage_commands import _read_code, target_arguments
from finecal.io import contents, provenance
from finecal.paths import RunKey
from finecal.plan import code_digests
from finecal.plan.identities import Identities
from finecal.plan.jobs import jobs
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES
from finecal.stages import _handover

STAGE_DIGEST = code_digests.stage_digest.__wrapped__
RUN = "results/toy/source-similar/finecal_mlp/full/ab/seed0"


def test_an_input_is_hashed_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        monkeypatch.setattr(code_digests, "digest_of", lambda *_: pytest.fail("the code is read too late"))
        code_digests.Identity.of("update_similarity", {})

    monkeypatch.setattr(code_digests, "_definitions", cache(code_digests._definitions.__wrapped__))
    monkeypatch.setattr(code_digests, "stage_digest", cache(STAGE_DIGEST))
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


def test_code_that_is_edited_while_a_job_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job notes of its code at its end is read before the code is imported, so that it is that of its result."""
    monkeypatch.chdir(tmp_path)
    plan = Plan(["small/toy", "small/digits"])
    first = {job.stage: job for job in reversed(jobs(plan)) if STAGES[job.stage].code}
    assert {"extract", "evaluate", "figure", "finetune", "report"} <= {*first}
    read: list[Path] = []
    for name, job in first.items():
        stage = STAGES[name]

        @cache
        def definitions(file: Path) -> frozenset[str]:
            read.append(file)
            return frozenset({file.name})

        monkeypatch.setattr(code_digests, "_definitions", definitions)
        monkeypatch.setattr(code_digests, "stage_digest", cache(STAGE_DIGEST))
        place = job.result.parent if stage.target == "FOLDER" else job.result
        target = next(iter(job.wildcards.values())) if stage.target == "NAME" else str(place)
        arguments = target_arguments(stage, Namespace(target=target), plan)
        _read_code(stage, arguments, *([plan] if stage.study else []))
        assert read
        read.clear()
        if stage.study:
            Identities(plan).of(name, job.wildcards)
        else:
            code_digests.Identity.of(name, {})
        if name == "finetune":
            code_digests.code_digest("extract")
        assert not read, name


def test_the_users_own_files_are_those_of_the_first_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Path("weights.pth")
    own.write_bytes(b"old")
    old, new = (hashlib.sha256(content).hexdigest() for content in (b"old", b"new"))
    with contents.kept_hashes():
        assert contents.content_hashes([own], "own") == [old]
        own.write_bytes(b"new")
        assert contents.content_hashes([own], "own") == [old]
        assert contents.content_hashes([own, "gone"], "own") == [new, None], "another question"
    assert contents.content_hashes([own], "own") == [new]
