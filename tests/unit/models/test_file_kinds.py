"""Files and folders that are no checkpoints are called what they are."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from finecal.errors import UserError
from finecal.models.checkpoints import read_checkpoint
from finecal.models.state_dicts import read_state

STATE = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}


def of_torch(content: Any = STATE, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def in_tar(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("weights.pth")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def of_numpy() -> bytes:
    file = io.BytesIO()
    np.savez(file, weight=np.ones(2))
    return file.getvalue()


CONTENTS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.pth", lambda: b"", "it is empty"),
    "annex": ("a.pth", lambda: b"/annex/objects/SHA256E-s1--0.pth\n", "it is a pointer of git-annex"),
    "page": ("a.bin", lambda: b"<!DOCTYPE html>\n<html>", "it is a web page"),
    "json": ("a.safetensors", lambda: b'{"error": "not found"}', "it is a text in JSON"),
    "keras": ("a.bin", lambda: b"\x89HDF\r\n\x1a\n" + bytes(40), "it is a file of Keras or HDF5"),
    "gguf": ("a.bin", lambda: b"GGUF\3" + bytes(40), "it is a quantised file of llama.cpp"),
    "gzip": ("a.pth", lambda: gzip.compress(of_torch()), "it is an archive. Hint: Unpack it"),
    "zip": ("a.pth", lambda: zipped("weights.pth", of_torch()), "it is an archive. Hint: Unpack it"),
    "tar": ("a.pth.tar", lambda: in_tar(of_torch()), "it is an archive. Hint: Unpack it"),
    "numpy": ("a.pth", of_numpy, "it is an archive of NumPy's arrays"),
    "half of torch's": ("a.pth", lambda: of_torch()[:900], "it is truncated. Hint: Copy or download it again"),
    "half of safetensors": ("a.safetensors", lambda: safetensors.torch.save(STATE)[:40], "it is truncated"),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_by_its_first_bytes(kind: str, tmp_path: Path) -> None:
    name, content, said = CONTENTS[kind]
    (tmp_path / name).write_bytes(content())
    with pytest.raises(UserError) as caught:
        read_state(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {said}")


@pytest.mark.parametrize("content", [
    of_torch(), of_torch(_use_new_zipfile_serialization=False), of_torch({"only": STATE, "epoch": 1}),
    of_torch({"model": STATE, "when": datetime(2026, 1, 1)}),
])  # fmt: skip
def test_torch_s_own_files_are_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    assert read_state(tmp_path / "a.pth").keys() == STATE.keys()


@pytest.mark.parametrize("protocol", [0, 1, 4, 5])
@pytest.mark.parametrize("new", [True, False])
def test_other_protocols_of_pickle(protocol: int, new: bool, tmp_path: Path) -> None:
    content = of_torch({"model": STATE}, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(
        UserError, match=f"it is pickled with protocol {protocol if protocol > 1 else '0 or 1'}\\. torch"
    ):
        read_state(tmp_path / "a.pth")


def test_which_of_several_state_dicts_is_not_guessed(tmp_path: Path) -> None:
    torch.save({"first": STATE, "second": STATE}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"it holds 2 state dicts \('first', 'second'\)"):
        read_state(tmp_path / "a.pth")


@pytest.mark.parametrize(("name", "said"), [
    ("model.onnx", ", but an ONNX graph"), ("model.KERAS", ", but a file of Keras"), ("weights.dat", ". Its name must"),
    ("weights.tar.gz", ", but an archive"), ("model.pkl", ", but a pickle, which could run code"),
])  # fmt: skip
def test_by_its_name(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=f"{name}' is no checkpoint{said}"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize(("files", "said"), [
    ([".metadata", "__0_0.distcp"], "is a distributed checkpoint of torch. Hint: `python -m torch.distributed"),
    (["global_step5/x"], "is a checkpoint of DeepSpeed"),
    (["adapter_config.json", "adapter_model.safetensors"], "is an adapter of PEFT"),
    (["last.pth.tar", "model_best.pth.tar"], "give the file in it: last.pth.tar, model_best.pth.tar"),
    (["checkpoint-10/config.json", "checkpoint-20/config.json"], "have weights: checkpoint-10, checkpoint-20"),
    ([], "has no config.json"),
])  # fmt: skip
def test_a_folder_by_what_is_in_it(files: list[str], said: str, tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("{}")
    with pytest.raises(UserError) as caught:
        read_checkpoint(tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize(("part", "said"), [
    ("fc.lora_A.default.weight", "LoRA"), ("fc.parametrizations.weight.original0", "parametrisation"),
    ("fc.weight_g", "weight normalisation"),
])  # fmt: skip
def test_weights_that_are_only_computed_of_several(part: str, said: str, tmp_path: Path) -> None:
    torch.save({**STATE, part: torch.ones(1, 3)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=f"its weights are not whole: '{part}' belongs to .*{said}"):
        read_checkpoint(tmp_path / "a.pth")
