"""What jobs took: which are measured, where it stands, and what the table makes of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
import yaml

from finecal import schemas
from finecal.config.extends import STUDIES
from finecal.errors import UserError
from finecal.io import parquet
from finecal.io.provenance import provenance
from finecal.plan.jobs import measured_jobs
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES
from finecal.runtime import device
from finecal.stages.cost_table import cost_table, read_measurement, row

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
LINE = "11.96\t0:00:11\t835.89\t4834.64\t782.80\t805.45\t0.50\t0.65\t89.06\t11.13\n"
MEASURED = {"wall_seconds": 11.96, "cpu_seconds": 11.13, "peak_memory_mib": 835.89, "own_memory_mib": 782.8}

MEASURED_STAGES = [stage.name for stage in STAGES.values() if stage.measured]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(["digits"])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_measured_job_is_read(tmp_path: Path) -> None:
    assert read_measurement(write(tmp_path / "a.tsv", HEAD + LINE)) == MEASURED


def test_what_was_not_measured_is_nan(tmp_path: Path) -> None:
    missing = read_measurement(tmp_path / "nowhere.tsv")
    assert list(missing) == list(MEASURED)
    assert all(map(math.isnan, missing.values()))
    short = "0.05\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n"  # over before Snakemake looked
    found = read_measurement(write(tmp_path / "short.tsv", HEAD + short))
    assert found.pop("wall_seconds") == 0.05
    assert all(map(math.isnan, found.values()))


@pytest.mark.parametrize("text", ["", "s\tother\n1\t2\n", HEAD, HEAD + LINE.replace("11.13", "much"), HEAD + "1\n"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not have the format of Snakemake's benchmark files"):
        read_measurement(write(tmp_path / "bad.tsv", text))


def test_each_job_is_measured_once(plan: Plan) -> None:
    jobs = measured_jobs(plan)
    counts = {stage: sum(job.stage == stage for job in jobs) for stage in MEASURED_STAGES}
    # 2 domains, 1 source; 4 splits, and a run on all classes, which needs no pseudo-splits
    expected = {"prepare": 2, "pretrain": 1, "extract_pretrained": 1, "finetune": 5, "pseudo_splits": 4, "extract": 5}
    assert counts == {**expected, "frame": 0, "interpolate": 0}  # nothing in this study asks for them
    assert len({job.measurement for job in jobs}) == len({job.result for job in jobs}) == len(jobs)
    assert [job.stage for job in jobs] == sorted((j.stage for j in jobs), key=MEASURED_STAGES.index)


def test_measurements_of_an_earlier_finecal_are_found(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the names that two stages had in 0.1.0, until the job runs again."""
    monkeypatch.chdir(tmp_path)
    for stage, folder in (("pseudo_splits", "pcv"), ("extract_pretrained", "extract")):
        job = next(job for job in measured_jobs(plan) if job.stage == stage)
        now = job.measurement
        assert now is not None
        assert now.is_relative_to(f"benchmarks/data/{stage}")
        pattern = str(now).replace(stage, folder)
        earlier = Path(pattern if stage == "pseudo_splits" else pattern.replace(".tsv", "/pretrained.tsv"))
        write(earlier, HEAD + LINE)
        assert job.measurement == earlier
        write(now, HEAD + LINE)
        assert job.measurement == now


def test_no_pseudo_splits_without_a_calibrator_that_reads_them(tmp_path: Path) -> None:
    study = yaml.safe_load((STUDIES / "digits.yaml").read_text("utf-8")) | {"calibrators": ["none", "alg"]}
    file = write(tmp_path / "study.yaml", yaml.safe_dump(study))
    assert "pseudo_splits" not in {job.stage for job in measured_jobs(Plan([str(file)]))}


def test_table(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = measured_jobs(plan)
    for job in jobs:
        noted: dict[str, Any] = {"device": "cpu"}
        if job.stage == "finetune":
            noted = {"device": "GPU 1", "peak_gpu_memory_mib": 512.5}
        record = provenance({"options": {}}, **noted)
        parquet.write_table(job.result, pa.table({"a": [1]}), provenance=record)
    written = [job for job in jobs if job.stage != "pseudo_splits"]  # these were copied without their measurements
    for job in written:
        write(job.measurement, HEAD + LINE)
    cost_table(plan)
    file = "results/tables/cost.parquet"
    table = parquet.read_table(file)
    assert table.schema == schemas.COST
    assert set(parquet.read_metadata(file)["inputs"]) == {str(job.measurement) for job in written}
    rows = table.to_pylist()
    assert len(rows) == len(jobs)
    finetune = next(row for row in rows if row["stage"] == "finetune")
    assert finetune == {
        "stage": "finetune", "dataset": "digits", "domain": None, "task": "printed-handwritten",
        "backbone": "test_resnet", "recipe": "full", "split": "half0", "seed": 0, "device": "GPU 1", **MEASURED,
        "peak_gpu_memory_mib": 512.5,
    }  # fmt: skip
    pretrain = next(row for row in rows if row["stage"] == "pretrain")
    assert (pretrain["domain"], pretrain["backbone"], pretrain["recipe"]) == ("printed", "test_resnet", None)
    assert math.isnan(pretrain["peak_gpu_memory_mib"])
    assert all(math.isnan(row["wall_seconds"]) == (row["stage"] == "pseudo_splits") for row in rows)


def test_the_tries_of_a_training_are_added_up(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job notes is of the last one only."""
    monkeypatch.chdir(tmp_path)
    job = next(job for job in measured_jobs(plan) if job.stage == "finetune")
    assert job.measurement is not None
    earlier = {"wall_seconds": 100.0, "cpu_seconds": 50.0, "peak_memory_mib": 900.0, "peak_gpu_memory_mib": 5.0}
    record = provenance({"options": {}}) | {"earlier_tries": earlier}
    parquet.write_table(job.result, pa.table({"a": [1]}), provenance=record)
    write(job.measurement, HEAD + LINE)
    expected = {"wall_seconds": 111.96, "cpu_seconds": 61.13, "peak_memory_mib": 900.0, "peak_gpu_memory_mib": 5.0}
    assert {name: value for name, value in row(job).items() if name in expected} == pytest.approx(expected)
    job.measurement.unlink()
    assert math.isnan(row(job)["wall_seconds"])


def test_memory_is_noted_on_a_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.device_record(torch.device("cpu")) == {"device": "cpu", "precision": "float32"}
    assert "peak_gpu_memory_mib" not in provenance({"options": {}}, **device.device_record(torch.device("cpu")))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GPU 1")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 * 2**19)
    noted = device.device_record(torch.device("cuda"), "bfloat16")
    assert noted == {"device": "GPU 1", "precision": "bfloat16", "peak_gpu_memory_mib": 1.5}
    assert provenance({"options": {}}, **noted).items() >= noted.items()
