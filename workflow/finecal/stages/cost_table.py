"""Write the table of costs: what the jobs noted of what they took, beside the devices that their results name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from finecal import paths, schemas
from finecal.errors import UserError
from finecal.io.declared import from_rows
from finecal.io.outside import read_text
from finecal.io.parquet import read_metadata, write_table
from finecal.io.provenance import provenance
from finecal.plan.identities import Identities
from finecal.plan.jobs import JOB_KEYS, Job, measured_jobs
from finecal.plan.plan import Plan

# Column of the table → column of a job's note (finecal.runtime.usage), which has those of Snakemake's benchmark files.
# Memory is planned for a job that is alone in its process, and for several that are forks of one process.
MEASURES = {
    "wall_seconds": "s",
    "cpu_seconds": "cpu_time",
    "peak_memory_mib": "max_rss",
    "own_memory_mib": "max_uss",
}
SECONDS = ("wall_seconds", "cpu_seconds")  # of several tries they are added up, of memory the most counts
NAN = float("nan")


def cost_table(plan: Plan) -> None:
    """Write results/tables/cost.parquet: one row for each job of the selected studies that is measured."""
    jobs = measured_jobs(plan)
    table = from_rows([row(job) for job in jobs], schemas.COST)
    there = [job.measurement for job in jobs if job.measurement and job.measurement.is_file()]
    record = provenance(Identities(plan).of("cost_table", {}).record(), inputs=there)
    write_table(f"{paths.TABLE.format(table='cost')}.parquet", table, schemas.COST, provenance=record)


def row(job: Job) -> dict[str, Any]:
    """Make a job's row; coordinates that it does not have are missing, what was not measured is NaN."""
    record = read_metadata(job.result)
    measured = dict.fromkeys(MEASURES, NAN) if job.measurement is None else read_measurement(job.measurement)
    measured["peak_gpu_memory_mib"] = record.get("peak_gpu_memory_mib", NAN)
    # The note is of the try that ended the job; a training tells of those before.
    for name, value in record.get("earlier_tries", {}).items():
        measured[name] = measured[name] + value if name in SECONDS else max(value, measured[name])
    coordinates = {**dict.fromkeys(JOB_KEYS), **job.coordinates}
    return {"stage": job.stage, **coordinates, "device": record.get("device"), **measured}


def read_measurement(path: Path) -> dict[str, float]:
    """Read seconds and MiB from what a job has noted; NaN for missing values, or a missing file.

    The file may be one of Snakemake's benchmark files, which finecal 0.1.0 had it write. It sampled, and wrote NA for a
    job that ended before the first sample.

    Raises
    ------
    UserError
        If the file has another format.
    """
    if not path.is_file():
        return dict.fromkeys(MEASURES, NAN)
    try:
        found: dict[str, Any] = next(csv.DictReader(read_text(path).splitlines(), delimiter="\t"), {})
        return {name: _number(found[column]) for name, column in MEASURES.items()}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(
            "this does not have the format of Snakemake's benchmark files", where=str(path),
            why=f"wrong or missing: {error}",
            hint="Delete it: what it should tell is then counted as not measured",
        ) from error  # fmt: skip


def _number(text: str) -> float:
    return NAN if text in ("NA", "-") else float(text)
