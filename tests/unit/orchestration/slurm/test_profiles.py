"""The profiles as Snakemake reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from snakemake.cli import parse_args

PROFILE = Path(__file__).resolve().parents[4] / "profiles/slurm/profile.yaml"


def default_resources(folder: Path, **site: str) -> dict[str, object]:
    """What jobs get of the values of a site, which are written into its part of the profile."""
    text = PROFILE.read_text("utf-8")
    for name, value in site.items():
        text, found = re.subn(rf'^  {name}: ""', f"  {name}: {value}", text, flags=re.MULTILINE)
        assert found == 1, name
    (folder / "profile.yaml").write_text(text, "utf-8")
    _, args = parse_args(["--profile", str(folder), "--workflow-profile", "none"])
    known = {"input": [], "attempt": 1, "threads": 1, "rulename": "a", "async_run": None}
    return {
        name: value.evaluate({}, **known).value if value.is_evaluable() else value.value
        for name, value in args.default_resources.items()
        if name not in ("disk_mb", "mem_mb", "runtime", "slurm_extra")
    }


@pytest.mark.parametrize("value", ["all", "10-20", "max", "007", "12", "1e3", "None", "shard:1", "gpu,short", "a b"])
def test_values_of_a_site_are_names_and_not_evaluated(tmp_path: Path, value: str) -> None:
    """Unquoted, YAML makes a number of some; quoted or not, the name is that of the file."""
    names = ("account", "partition", "qos", "gpu_model", "gpu_share", "scratch")
    found = default_resources(tmp_path, **dict.fromkeys(names, f'"{value}"'))
    resources = ("slurm_account", "slurm_partition", "qos", "gpu_type", "gpu_share", "tmpdir")
    assert found == dict.fromkeys(resources, value)


def test_numbers_without_quotes_are_names_too(tmp_path: Path) -> None:
    found = default_resources(tmp_path, partition="12", cpu_partition="all", qos="10-20")
    assert (found["slurm_partition"], found["gpu_partition"], found["qos"]) == ("all", "12", "10-20")


def test_an_empty_value_is_left_to_slurm(tmp_path: Path) -> None:
    assert set(default_resources(tmp_path)) == {"tmpdir"}


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_inputs_of_any_usual_size_are_compared_by_their_bytes(profile: str) -> None:
    _, args = parse_args(["--profile", str(PROFILE.parents[1] / profile), "--workflow-profile", "none"])
    assert args.max_checksum_file_size == 20 * 10**9
