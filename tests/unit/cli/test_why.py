"""`finecal why`: options by key path, code by module, inputs by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from finecal.cli.why import explain
from finecal.errors import UserError
from finecal.io.parquet import write_table
from finecal.io.provenance import sha256
from finecal.plan.identities import Identities
from finecal.plan.jobs import Job, jobs
from finecal.plan.plan import Plan
from finecal.plan.records import read_record
from finecal.report.render import PARTS, render_template


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The embedded study in an empty folder, with the model of one run and its logits."""
    monkeypatch.chdir(tmp_path)
    plan = Plan(["digits"])
    finish(plan, of(plan, "finetune"))
    finish(plan, of(plan, "extract"), inputs=[of(plan, "finetune").result])
    return plan


def of(plan: Plan, stage: str) -> Job:
    return next(job for job in jobs(plan) if job.stage == stage and job.coordinates.get("split") == "half0")


def finish(plan: Plan, job: Job, inputs: list[Path] | None = None, **changed: Any) -> None:
    """Write the outputs of a job, as made by the present identity but for what is given."""
    sha256.cache_clear()
    made = Identities(plan).of(job.stage, job.wildcards)._replace(**changed)
    record = {**made.record(), "inputs": {str(file): sha256(file) for file in inputs or []}}
    for output in job.outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
    write_table(job.result, pa.table({"x": [1]}), provenance=record)


def test_the_page_says_what_made_it(plan: Plan) -> None:
    """As tables do: here with the template alone."""
    job = next(job for job in jobs(plan) if job.stage == "report")
    made = Identities(plan).of("report", {})
    for output in job.outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
    for options, differs in ((made.options, False), ({"studies": ["</script>"]}, True)):
        record = {**made._replace(options=options).record(), "inputs": {}}
        job.result.write_text(render_template("report.html.jinja", **{**PARTS, "provenance": record}), "utf-8")
        assert read_record(job.result) == record
        assert ("\n  option studies: " in explain(plan, job.result)) == differs
    job.result.write_text("<html></html>")  # of 0.1.0
    assert "option" not in explain(plan, job.result)


def test_nothing_differs(plan: Plan) -> None:
    path = of(plan, "finetune").result.with_name("model.safetensors")
    assert explain(plan, path) == f"{path} is what would be made now."
    assert explain(plan, f"./{path}") == f"./{path} is what would be made now."


def test_option(plan: Plan) -> None:
    job = of(plan, "finetune")
    now = Identities(plan).of("finetune", job.wildcards).options
    training = {**now["training"], "lr": 0.5}
    del training["warmup_steps"]
    finish(plan, job, options={**now, "training": training})
    assert explain(plan, job.result).splitlines() == [
        f"{job.result} would be made again:",
        "  option training.lr: 0.5 → 0.03",
        "  option training.warmup_steps: not given → 0",
    ]


def test_code(plan: Plan) -> None:
    job = of(plan, "finetune")
    modules = dict(Identities(plan).of("finetune", job.wildcards).modules)
    name = next(iter(modules))
    finish(plan, job, code="other", modules={**modules, name: "other", "gone": "1"})
    lines = explain(plan, job.result).splitlines()[1:]
    assert sorted(lines) == sorted([f"  code {name}: changed", "  code gone: no longer used"])


def test_code_that_computes_the_same_is_no_difference(plan: Plan) -> None:
    job = of(plan, "finetune")
    finish(plan, job, modules={"other": "1"})
    assert explain(plan, job.result) == f"{job.result} is what would be made now."


def test_inputs(plan: Plan) -> None:
    """One that has other contents, and the job before, which would itself run again."""
    job, before = of(plan, "extract"), of(plan, "finetune")
    finish(plan, before, options={})
    lines = explain(plan, job.result).splitlines()[1:]
    assert f"  input {before.result}: other contents" in lines
    assert any(
        line.startswith(f"  {before.result} would be made again: option training.lr: not given") for line in lines
    )


def test_damaged(plan: Plan) -> None:
    """A table that cannot be read is a difference like any other, of the file itself or of one before it."""
    job, before = of(plan, "extract"), of(plan, "finetune")
    before.result.write_bytes(b"PAR1 and no more")
    sha256.cache_clear()
    found = explain(plan, job.result).splitlines()[1:]
    assert found[0] == f"  input {before.result}: other contents"
    assert found[1].startswith(f"  {before.result} would be made again: damaged: not readable as Parquet")
    assert "damaged" in explain(plan, before.result)


def test_missing_output_beside_it(plan: Plan) -> None:
    job = of(plan, "finetune")
    job.outputs[1].unlink()
    assert explain(plan, job.result).splitlines()[1:] == [f"  missing: {job.outputs[1]}"]


def test_an_earlier_finecal(plan: Plan) -> None:
    """It noted options alone: what it did not note is no difference."""
    job = of(plan, "finetune")
    write_table(job.result, pa.table({"x": [1]}), provenance={"options": {}, "inputs": {}})
    assert explain(plan, job.result) == f"{job.result} is what would be made now."
    write_table(job.result, pa.table({"x": [1]}), provenance={"options": {"image_size": 64}, "inputs": {}})
    assert explain(plan, job.result).splitlines()[1:] == ["  option image_size: 64 → 32"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("results/nothing.parquet", "no job of the selected studies makes this file"),
        ("results/metric.parquet", r"Most similar: results/\S+, results/"),
        ("results/report.html", "missing"),
    ],
)
def test_no_such_file(plan: Plan, path: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        explain(plan, path)
    assert error.value.where == path
