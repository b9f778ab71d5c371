"""The same study twice from nothing gives the same numbers, however many jobs run side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import RUNS, Project
from safetensors.numpy import load_file

RUN = f"{RUNS}/half0/seed0"


@pytest.mark.slow
def test_one_core_and_two(complete: Project, empty: Project) -> None:
    """`complete` was made with --cores 2 by forks of a warm process; this one job after the other, each by itself."""
    alone = replace(empty, forks=False)
    alone.snakemake("--cores", "1", f"{RUN}/metrics.parquet", "--config", "warm=false")
    made = {file for file in empty.files() if file.endswith(".safetensors")}
    assert len(made) == 3  # pretrained, fine-tuned on S, fine-tuned on all classes
    for file in made:
        one, other = load_file(empty.path(file)), load_file(complete.path(file))
        assert one.keys() == other.keys()
        assert all(one[name].tobytes() == other[name].tobytes() for name in one), file
    # The commands are the same and no file says when it was made: so are the bytes, except for the measured seconds.
    for file in sorted(empty.files()):
        if not file.endswith("history.parquet"):
            assert empty.path(file).read_bytes() == complete.path(file).read_bytes(), file
