"""The examples: the commands of each README are run as they stand there, but for `uv run`, in a copy of the sources."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY, Project, copy_sources

EXAMPLES = REPOSITORY / "docs" / "examples"
# Example → a file that it ends with.
RESULTS = {
    "checkpoints": "my_models/results/my_digits/source-target/mine/elsewhere/have/seed0/export/source_gap/model.onnx",
    "images": "my_images/results/report.html",
    "logits": "my_logits/diagnosis/seen_unseen_curve.svg",
}


def commands(readme: Path) -> str:
    """All blocks of shell commands, one below the other."""
    blocks = re.findall(r"```bash\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    assert blocks
    return "".join(blocks).replace("uv run ", "")


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """A copy of the sources and the examples, as a clone has them."""
    folder = copy_sources(tmp_path / "finecal")
    shutil.copytree(EXAMPLES, folder / "docs" / "examples")
    return Project(folder, folder)


def test_every_example_is_run() -> None:
    assert {readme.parent.name for readme in EXAMPLES.glob("*/README.md")} == set(RESULTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", RESULTS)
def test_an_example(clone: Project, name: str) -> None:
    script = commands(EXAMPLES / name / "README.md")
    said = clone.run("bash", "-euxc", script)
    if name == "checkpoints":  # the accuracies of timm's own transform and loop, to the last image
        rows = pq.read_table(clone.path(RESULTS[name]).parents[2] / "metrics.parquet").to_pylist()
        found = [row for row in rows if (row["calibrator"], row["metric"]) == ("none", "acc_y_y")]
        right = [(round(row["value"] * row["n"]), row["n"]) for row in found]
        own = re.findall(r"\.pth: (\d+) of (\d+) test images are right", said)
        assert right == [(int(one), int(n)) for one, n in own]
        assert len(own) == 2
    assert clone.path(RESULTS[name]).stat().st_size > 0
