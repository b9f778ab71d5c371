"""A training where the site is another one. After all others, since the cluster is started again for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
import pytest
import yaml
from mini_cluster import Cluster, slurm
from projects import GPU, STUDY, TINY, Project
from sites import linear, site

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture
def linear_site(cluster: Cluster) -> Iterator[None]:
    with site(cluster, linear):
        yield


@pytest.mark.usefixtures("linear_site")
def test_linear_and_no_arrays(project: Project) -> None:
    """There `--gpus` is refused and the plugin would not start. No account is asked for or guessed.

    From docs/cluster.md's first steps to a table.
    """
    project.path(STUDY).write_text(yaml.safe_dump({**TINY, "recipes": {"short": TINY["recipes"]["short"]}}))
    assert re.search(r"^ *finetune +1$", project.finecal("check"), re.MULTILINE)
    said = project.run("table1", "--set-resources", GPU, "--finecal-slurm-keep-successful-logs", fork="none")
    (job,) = re.findall(r"^SLURM job (\d+) takes 1 of finetune", said, re.MULTILINE)
    assert "TresPerNode=gres:gpu:1" in slurm("scontrol", "show", "job", job)
    assert "account" not in said.lower()
    assert project.path("results/tables/main.md").is_file()
    # What follows the training is a fork of the process that is warm: most of its memory is not its own.
    measured = pd.concat(pd.read_csv(one, sep="\t") for one in project.path("benchmarks/data/extract").glob("**/*.tsv"))
    assert (measured["max_uss"] < measured["max_rss"] / 4).all()
