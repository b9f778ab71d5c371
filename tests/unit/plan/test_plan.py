"""The studies as a table of runs: what they share, what a stage gets, and how a path names a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from digits_studies import RUN, write_study
from hypothesis import given
from hypothesis import strategies as st

from finecal import paths
from finecal.errors import UserError
from finecal.paths import RunKey, parse, state_folder
from finecal.plan.plan import Plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(["digits"])


# ------------------------------------------------------------------ the built-in study


def test_runs_are_every_combination(plan: Plan) -> None:
    expected = [replace(RUN, split=split) for split in ("half0", "half1", "half2", "half3")]
    assert list(plan.runs) == expected
    oracles = {replace(RUN, split="all")}
    assert set(plan.trainings) == set(expected) | oracles
    assert plan.has_oracle(RUN)
    assert RUN.oracle() in oracles


def test_resolved_options_are_plain_and_complete(plan: Plan) -> None:
    prepare = plan.options("prepare", "digits")
    assert prepare["source"] == "digits"
    assert prepare["options"]["per_class"] == 300  # a default, resolved
    assert plan.options("split", "digits", "half1") == {"kind": "random", "seed": 1, "fraction": 0.5, "count": None}
    assert plan.options("split", "digits", "all") == {"kind": "all"}
    finetune = plan.options("finetune", "digits", "test_resnet", "full")
    assert finetune["recipe"] == "full"
    assert finetune["training"]["lr"] == 0.03
    assert finetune["training"]["augmentation"]["crop_scale"] == [0.8, 1.0]
    pretrain = plan.options("pretrain", "digits", "test_resnet")
    assert pretrain["backbone"] == {
        "model": "test_resnet",
        "options": {},
        "head": "linear",
        "head_scale": 16.0,
        "learn_head_scale": True,
        "image_size": 32,
    }
    assert pretrain["pretraining"]["weights"] == "random"
    assert plan.options("pseudo_splits", "digits", "test_resnet", "full")["pseudo_splits"]["folds"] == 3
    plain(finetune)


def plain(value: Any) -> None:
    """Snakemake compares params by their text, and drops types that it does not know."""
    if isinstance(value, dict):
        assert all(isinstance(key, str) for key in value)
        for entry in value.values():
            plain(entry)
    elif isinstance(value, list):
        for entry in value:
            plain(entry)
    else:
        assert value is None or type(value) in (bool, int, float, str)


def test_options_of_something_that_is_not_there(plan: Plan) -> None:
    with pytest.raises(UserError) as caught:
        plan.options("split", "digits", "half9")
    assert str(caught.value) == (
        "split of the selected studies: unknown split 'half9'. Known, closest first: half0, half1, half2, half3, all."
    )


def test_first_domain(plan: Plan) -> None:
    assert plan.first_domain("digits") == "printed"


def test_calibrators_carry_their_options_and_what_they_read(plan: Plan) -> None:
    uses = plan.calibrators(RUN)
    assert list(uses) == list(plan.studies["digits"].calibrators)  # the order of the study's author
    assert uses["pcv"] == {"calibrator": "pcv", "options": {}}
    assert plan.reads(RUN) >= {"train_fine_tuning", "pretrained", "pseudo_splits", "test"}


# ------------------------------------------------------------------ several studies


def test_the_same_study_twice_is_one() -> None:
    assert Plan(["digits", "digits"]).runs == Plan(["digits"]).runs


def test_studies_share_runs(tmp_path: Path) -> None:
    """A study that repeats some of the runs adds only what is new."""
    more = write_study(tmp_path, "more", seeds=[1, 2])
    joined = Plan(["digits", more])
    assert {run.seed for run in joined.runs} == {0, 1, 2}
    assert len(joined.runs) == 12
    assert len(set(joined.trainings)) == len(joined.trainings) == 15


def test_calibrators_are_joined_where_studies_share_a_run(tmp_path: Path) -> None:
    one = write_study(tmp_path, "one", seeds=[0, 1], calibrators=["none", "alg"])
    two = write_study(tmp_path, "two", seeds=[1, 2], calibrators=["source_gap", "alg"], oracle_fine_tuning=False)
    joined = Plan([one, two])
    assert {seed: list(joined.calibrators(replace(RUN, seed=seed))) for seed in (0, 1, 2)} == {
        0: ["none", "alg"],
        1: ["none", "alg", "source_gap"],
        2: ["source_gap", "alg"],
    }
    assert joined.reads(replace(RUN, seed=0)) == {"train_fine_tuning"}
    assert joined.reads(replace(RUN, seed=1)) == {"train_fine_tuning", "pretrained"}
    assert [joined.has_oracle(replace(RUN, seed=seed)) for seed in (0, 1, 2)] == [True, True, False]
    assert [run.seed for run in joined.trainings if run.split == "all"] == [0, 1]


def test_an_alias_is_a_run_of_its_own(tmp_path: Path) -> None:
    other = write_study(tmp_path, "other", recipes={"hot": {"recipe": "full", "training": {"lr": 0.5}}})
    joined = Plan(["digits", other])
    assert {run.recipe for run in joined.runs} == {"full", "hot"}
    assert joined.options("finetune", "digits", "test_resnet", "hot")["training"]["lr"] == 0.5
    assert joined.options("finetune", "digits", "test_resnet", "full")["training"]["lr"] == 0.03


# ------------------------------------------------------------------ runs that no study has

UNKNOWN = {
    "dataset": ("digitz", "unknown dataset 'digitz'. Known, closest first: digits."),
    "task": ("handwritten-printed", "unknown task 'handwritten-printed'. Known, closest first: printed-handwritten."),
    "backbone": ("resnet18", "unknown backbone 'resnet18'. Known, closest first: test_resnet."),
    "recipe": ("ful", "unknown recipe 'ful'. Known, closest first: full."),
    "split": ("half9", "unknown split 'half9'. Known, closest first: half0, half1, half2, half3, all."),
    "seed": (7, "unknown seed 7. Known, closest first: 0."),
}


@pytest.mark.parametrize("coordinate", UNKNOWN)
def test_the_coordinate_that_does_not_fit_is_named(plan: Plan, coordinate: str) -> None:
    value, message = UNKNOWN[coordinate]
    run = replace(RUN, **{coordinate: value})
    with pytest.raises(UserError) as caught:
        plan.check_contains(run)
    assert str(caught.value) == f"{run.folder}: {message} Selected studies: digits."


def test_a_combination_that_no_study_has(tmp_path: Path) -> None:
    one = write_study(tmp_path, "one", seeds=[0], splits={"a": {"kind": "random", "count": 4}})
    two = write_study(tmp_path, "two", seeds=[1], splits={"b": {"kind": "random", "count": 5}})
    run = replace(RUN, split="a", seed=1)
    with pytest.raises(UserError) as caught:
        Plan([one, two]).check_contains(run)
    assert str(caught.value) == f"{run.folder}: no selected study contains this run. Selected: {one}, {two}."


# ------------------------------------------------------------------ paths

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+]{0,8}", fullmatch=True)
KEYS = st.builds(
    RunKey,
    dataset=NAMES,
    task=st.tuples(NAMES, NAMES).map("-".join),
    backbone=NAMES,
    recipe=NAMES.filter(lambda name: name != "pretrained"),
    split=NAMES,
    seed=st.integers(0, 2**31 - 1),
)


@given(KEYS)
def test_a_run_is_read_back_from_its_folder(key: RunKey) -> None:
    assert RunKey.of(key.folder) == key
    assert RunKey.of(f"./{key.folder}/") == key
    assert RunKey.of(key.folder / "pcv" / "logits.parquet") == key
    assert f"{key.source}-{key.target}" == key.task
    assert key.oracle() == replace(key, split="all")


@given(KEYS)
def test_patterns_of_a_run_lead_back_to_it(key: RunKey) -> None:
    for pattern in (paths.PSEUDO_LOGITS, paths.PRETRAINED_LOGITS, paths.SPLIT, paths.PRETRAINED):
        found = parse(pattern, str(key.path(pattern)))
        assert found is not None
        known = {**key.columns(), "seed": str(key.seed), "source": key.source, "target": key.target}
        assert found == {name: known[name] for name in found}
    assert parse(paths.IMAGES, str(key.path(paths.IMAGES))) == {"dataset": key.dataset, "domain": key.target}


@given(KEYS)
def test_the_pretrained_logits_are_no_run(key: RunKey) -> None:
    """Both lie below the backbone; a rule that matched both would be ambiguous."""
    with pytest.raises(UserError):
        RunKey.of(key.path(paths.PRETRAINED_LOGITS))
    assert parse(paths.PRETRAINED_LOGITS, str(key.folder / paths.LOGITS)) is None


@pytest.mark.parametrize(
    "path",
    [
        "results/digits",
        "results/digits/printed/test_resnet/full/half0/seed0",  # a task is two domains
        "results/digits/a-b-c/test_resnet/full/half0/seed0",
        "results/digits/printed-handwritten/test_resnet/full/half0/seed",
        "results/digits/printed-handwritten/test_resnet/full/half0/seed01",  # would be a second name of seed1
        "results/digits/printed-handwritten/test_resnet/full/half0/seed-1",
        "results/digits/printed-handwritten/test_resnet/pretrained/half0/seed0",  # a name kept for the pretrained model
        "other/digits/printed-handwritten/test_resnet/full/half0/seed0",
        "/results/digits/printed-handwritten/test_resnet/full/half0/seed0",
        "results//printed-handwritten/test_resnet/full/half0/seed0",
    ],
)
def test_paths_that_are_no_run(path: str) -> None:
    with pytest.raises(UserError) as caught:
        RunKey.of(path)
    assert str(caught.value) == (
        f"{path!r} is not the folder of a run. "
        "A run's folder is results/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}. "
        "Hint: `finecal check` prints the runs of a study."
    )


def test_coordinates_are_columns_in_order() -> None:
    assert list(RUN.columns().items()) == [
        ("dataset", "digits"),
        ("task", "printed-handwritten"),
        ("backbone", "test_resnet"),
        ("recipe", "full"),
        ("split", "half0"),
        ("seed", 0),
    ]


def test_state_lies_outside_the_results() -> None:
    """Snakemake deletes the outputs of a failed job, and would delete the state with them."""
    assert state_folder(RUN.folder) == Path("state/digits/printed-handwritten/test_resnet/full/half0/seed0")
    assert state_folder("./results/a") == Path("state/a")
