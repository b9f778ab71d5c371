"""Weights that are divided into parts: all of them are found, and are what a result depends on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.models.locations import checkpoint_files
from finecal.models.weight_files import find_weights, parts

INDEX = "model.safetensors.index.json"


def divided(folder: Path, *, there: int = 2, names: tuple[str, ...] = ("a.safetensors", "b.safetensors")) -> Path:
    for name in names[:there]:
        (folder / name).write_bytes(b"")
    (folder / INDEX).write_text(json.dumps({"weight_map": dict(zip("xy", names, strict=True))}))
    return folder / INDEX


def test_a_result_depends_on_every_part(tmp_path: Path) -> None:
    index = divided(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    found = checkpoint_files(str(tmp_path), "weights", named=True)
    assert {file.name for file in found} == {INDEX, "a.safetensors", "b.safetensors", "config.json"}
    assert checkpoint_files(str(index), "weights", named=False)[-1].name == "config.json"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it lacks 1 of 2 parts: b\.safetensors"):
        find_weights(divided(tmp_path, there=1).parent, "weights")
    with pytest.raises(UserError, match=r"'\.\./b\.safetensors' is no file of weights in the same folder"):
        parts(divided(tmp_path, there=0, names=("../b.safetensors", "a.safetensors")))
    (tmp_path / INDEX).write_text("[]")
    with pytest.raises(UserError, match="does not say which part has which tensor"):
        parts(tmp_path / INDEX)


def test_parts_without_their_list_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"is one of 2 parts.*model\.safetensors\.index\.json"):
        find_weights(tmp_path, "weights")
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"needs one file of weights.*Parts need the list"):
        find_weights(tmp_path, "weights")
