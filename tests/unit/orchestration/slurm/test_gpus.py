"""How GPUs are asked for: names as sites write them, and the ways that sites take."""

from __future__ import annotations

from typing import Any

import pytest

from finecal.errors import UserError
from finecal.orchestration.slurm.gpus import WAYS, gpu_options


@pytest.mark.parametrize(
    ("resources", "way", "options"),
    [
        ({}, 0, ""),
        ({"gpu": 0}, 0, ""),
        ({"gpu": 2}, 0, " --gpus=2"),
        ({"gpu": 1, "gpu_model": "nvidia_a100-sxm4-80gb"}, 0, " --gpus=nvidia_a100-sxm4-80gb:1"),
        ({"gpu": 1, "gpu_model": "a100_1g.5gb"}, 1, " --gpus-per-node=a100_1g.5gb:1"),
        ({"gpu": 1}, 2, " --gres=gpu:1"),
        ({"gres": "shard:2"}, 2, " --gres=shard:2"),
        ({"gres": "gpu:a100-sxm4_3g.20gb:1"}, 0, " --gres=gpu:a100-sxm4_3g.20gb:1"),
        ({"gres": "lscratch:10G", "gpu": 1}, 2, " --gres=lscratch:10G,gpu:1"),
        ({"gres": "lscratch:10G,mps:5", "gpu": 1}, 0, " --gres=lscratch:10G,mps:5 --gpus=1"),
    ],
)
def test_options(resources: dict[str, Any], way: int, options: str) -> None:
    assert gpu_options(resources, WAYS[way]) == options


@pytest.mark.parametrize("wrong", [{"gres": "gpu:a;ls"}, {"gpu_model": "'a100'", "gpu": 1}, {"gpu_model": "a b"}])
def test_what_is_no_name_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="no name of a GPU"):
        gpu_options(wrong)
