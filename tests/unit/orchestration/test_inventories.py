"""A dry run whose inventory cannot be kept is a dry run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.persistence import PersistenceBase
from snakemake.persistence.file import FilePersistence

from finecal.orchestration.inventories import NAMES, forgive_inventories


@pytest.mark.parametrize("name", NAMES)
def test_it_cannot_be_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for one in NAMES:
        monkeypatch.setattr(PersistenceBase, one, getattr(PersistenceBase, one))  # put back afterwards
    notes: Any = FilePersistence()
    notes.dag = SimpleNamespace(workflow=SimpleNamespace(iocache=SimpleNamespace(save=lambda file: file.write(b"x"))))
    place = Path(notes._iocache_filename)
    place.mkdir()  # so that it can be neither opened nor removed
    with pytest.raises(OSError, match=str(place)):
        getattr(notes, name)()
    forgive_inventories()
    getattr(notes, name)()
    place.rmdir()
    notes.save_iocache()
    assert place.read_bytes() == b"x"
    notes.drop_iocache()
    assert not place.exists()
