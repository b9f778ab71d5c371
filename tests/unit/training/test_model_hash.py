"""A model is compared with the hash that was recorded of it when it was written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.io.provenance import sha256
from finecal.training.model_hash import accept_model, check_models, forget_models, left_hash, note_models
from finecal.training.state_folder import KEPT

MODEL = Path("results/digits/a-b/resnet/full/half0/seed0/model.safetensors")
BESIDE = MODEL.with_name("model.safetensors.sha256")
WHOLE = bytes(range(256)) * 16
CHANGES = {
    "copied in part": lambda whole: whole[:2048] + bytes(len(whole) - 2048),
    "cut off": lambda whole: whole[:-1],
    "a bit": lambda whole: bytes([whole[0] ^ 1]) + whole[1:],
}


@pytest.fixture(autouse=True)
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job by hand has written a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEPT, raising=False)
    MODEL.parent.mkdir(parents=True)
    MODEL.write_bytes(WHOLE)
    sha256.cache_clear()
    note_models([MODEL, MODEL.with_name("head.parquet")])


def test_as_it_was_written() -> None:
    check_models([MODEL, Path("results/other.parquet"), Path("results/missing/model.safetensors")])
    subprocess.run(["sha256sum", "--check", "--status", BESIDE.name], cwd=BESIDE.parent, check=True)


@pytest.mark.parametrize("change", CHANGES)
def test_another_is_refused(change: str) -> None:
    MODEL.write_bytes(CHANGES[change](WHOLE))
    sha256.cache_clear()
    with pytest.raises(UserError) as error:
        check_models([MODEL])
    assert str(error.value).startswith(f"{MODEL}: its bytes are not those that were written: its SHA-256 is ")
    assert "copied in part" in str(error.value)


@pytest.mark.parametrize("content", ["", "ab  model.safetensors\n", "\0" * 80])
def test_a_record_that_says_nothing(content: str) -> None:
    BESIDE.write_text(content)
    check_models([MODEL])


def test_below_snakemake_it_appears_when_the_model_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_models([MODEL])
    assert not BESIDE.exists()
    monkeypatch.setenv(KEPT, "1")
    note_models([MODEL])
    assert not BESIDE.exists(), "Snakemake may delete the model, and nothing is to be left then"
    later = left_hash(MODEL).stat().st_mtime + 1
    os.utime(MODEL, (later, later))  # Snakemake dates what it accepts
    accept_model(MODEL, left_hash(MODEL))
    check_models([MODEL])
    assert BESIDE.is_file()
    assert not Path("state").exists()


def test_what_was_left_of_a_model_that_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_models([MODEL])
    monkeypatch.setenv(KEPT, "1")
    note_models([MODEL])
    MODEL.unlink()
    accept_model(MODEL, left_hash(MODEL))
    assert not BESIDE.exists()
    assert not Path("state").exists()
