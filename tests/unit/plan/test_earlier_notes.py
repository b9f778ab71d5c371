"""Notes of finecal 0.1.0 are translated where their code and options are known, and left alone elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finecal.paths import RunKey
from finecal.plan import code_digests, earlier_notes, same_results
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan

RUN = RunKey("digits", "printed-handwritten", "test_resnet", "full", "half0", 0)
WILDCARDS = {**RUN.columns(), "source": RUN.source, "target": RUN.target}


def noted(plan: Plan, **changed: Any) -> list[str]:
    """The parameters that 0.1.0 noted of a training of the embedded study, but for what is given."""
    files = earlier_notes._earlier()["stages"]["finetune"]["files"]
    recipe = earlier_notes._earlier()["files"]["recipes/full.py"]["bytes"]
    code = {"stage_version": "1", **files, "recipes/full.py": recipe}
    options = Identities(plan).with_places("finetune", WILDCARDS)
    return [repr({"code": code, "options": options, **changed}), "'something else'"]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(["digits"])


def translated(plan: Plan, params: list[str]) -> str:
    return str(earlier_notes.translate(params, "finetune", WILDCARDS, Identities(plan)))


def test_known_code_and_the_same_options(plan: Plan) -> None:
    """The code of 0.1.0 is declared to compute what the present code does: nothing is to be made again."""
    params = noted(plan)
    assert earlier_notes.is_earlier(params)
    assert translated(plan, params) == str(Identities(plan).of_run("finetune", RUN))


def test_other_options(plan: Plan) -> None:
    options = Identities(plan).with_places("finetune", WILDCARDS)
    found = translated(plan, noted(plan, options={**options, "image_size": 64}))
    now = str(Identities(plan).of_run("finetune", RUN))
    assert found != now
    assert found.partition(", options")[0] == now.partition(", options")[0]


@pytest.mark.parametrize(
    "code", [{}, {"stage_version": "1", "training.py": "0123456789ab"}, {"recipes/full.py": "0123456789ab"}]
)
def test_other_code(plan: Plan, code: dict[str, str]) -> None:
    files = earlier_notes._earlier()["stages"]["finetune"]["files"]
    changed = {**files, **code} if "recipes/full.py" in code else code
    assert earlier_notes.translate(noted(plan, code=changed), "finetune", WILDCARDS, Identities(plan)) is None


def test_a_plugin_of_ones_own(plan: Plan, tmp_path: Path) -> None:
    """Its bytes are compared with the hash that was noted."""
    import hashlib

    own = tmp_path / "own.py"
    own.write_text("a = 1\n")
    files = earlier_notes._earlier()["stages"]["finetune"]["files"]
    code = {**files, own.as_posix(): hashlib.sha256(own.read_bytes()).hexdigest()[:12]}
    found = earlier_notes.translate(noted(plan, code=code), "finetune", WILDCARDS, Identities(plan))
    assert found is not None
    digest = earlier_notes._earlier()["stages"]["finetune"]["digest"]
    assert found.code == code_digests.combine_digests([digest, code_digests.file_digest(own)])
    own.write_text("a = 2\n")
    assert earlier_notes.translate(noted(plan, code=code), "finetune", WILDCARDS, Identities(plan)) is None


@pytest.mark.parametrize("params", [["{'code': {'a"], ["'finetune: code 1, options 2'"], []])
def test_no_such_note(plan: Plan, params: list[str]) -> None:
    """A damaged one is left alone; one of today is none."""
    if earlier_notes.is_earlier(params):
        assert earlier_notes.translate(params, "finetune", WILDCARDS, Identities(plan)) is None
    else:
        assert params == [] or not params[0].startswith("{")


def test_chains_of_declarations() -> None:
    """What an earlier digest stood for is what the present one stands for, too; equal ones need no entry."""
    known = {"second": "first"}
    earlier, now = {"stage a": "second", "stage b": "same", "gone": "x"}, {"stage a": "third", "stage b": "same"}
    assert same_results.declare(earlier, now, known) == {"second": "first", "third": "first"}


def test_what_is_declared_has_a_name_in_both() -> None:
    """Every stage and every plugin of 0.1.0 is still there under the name by which its code is known."""
    named = {name for name in earlier_notes.digests() if not name.partition(" ")[2].startswith("_")}
    assert named <= set(same_results.present())


@pytest.mark.parametrize("rest", ["a.py': 1}}", "a.py': 1}, 'options': 3}", "a.py': 1", "a': " + "[" * 500])
def test_a_damaged_note_is_none(plan: Plan, rest: str) -> None:
    assert translated(plan, [earlier_notes.MARK + rest]) == "None"
