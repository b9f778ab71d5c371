"""What a `module` statement says about paths, in Snakemake's own modifier of paths."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.path_modifier import PathModifier

from finecal.errors import UserError
from finecal.orchestration.modules import below_prefix, prefix_of, stage_of


def workflow(replace: dict[str, str] | None = None, prefix: str | None = None, inner: Any = None) -> Any:
    storage = SimpleNamespace(storage_settings=SimpleNamespace(default_storage_provider=None))
    return SimpleNamespace(modifier=SimpleNamespace(path_modifier=PathModifier(replace, prefix, storage, inner)))


def test_a_prefix_is_that_of_all_modules_around() -> None:
    assert prefix_of(workflow()) == ""
    assert prefix_of(workflow(prefix="mine")) == "mine/"
    around = workflow(prefix="theirs").modifier.path_modifier
    assert prefix_of(workflow(prefix="mine", inner=around)) == "theirs/mine/"


@pytest.mark.parametrize("prefix", ["two words", "{sample}", "a;b", "$HOME"])
def test_a_prefix_that_a_shell_reads_otherwise_is_refused(prefix: str) -> None:
    with pytest.raises(UserError, match="is not possible"):
        prefix_of(workflow(prefix=prefix))


def test_single_folders_are_not_moved() -> None:
    with pytest.raises(UserError, match="replace_prefix"):
        prefix_of(workflow({"results/": "mine/"}))


@pytest.mark.parametrize("prefix", ["", "mine/"])
def test_the_stage_of_a_rule_is_that_of_its_verb(prefix: str) -> None:
    command = below_prefix("exec finecal pseudo-splits {output.logits} > {log} 2>&1", prefix)
    assert stage_of(SimpleNamespace(shellcmd=command)) == "pseudo_splits"
    assert stage_of(SimpleNamespace(shellcmd="exec env A=b finecal split")) is None
