"""Every calibrator: hostile logits, the order of the samples, and that it sees what it declares and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from calibrator_cases import (
    MASK,
    MASKS,
    apply,
    everything,
    fit,
    make,
    random_logits,
    reads,
    rows_of,
    samples,
)

from finecal import registry, schemas
from finecal.calibration.contract import READABLE, TAKEABLE, Data, Fitted, Labelled, UndeclaredRead, Unlabelled
from finecal.calibration.parameters import read_states, state_rows
from finecal.io.parquet import read_table, write_table
from finecal.stages import evaluate

NAMES = registry.names("calibrator")

# ------------------------------------------------------------------ hostile logits

HOSTILE = {
    "negative": -5 - np.abs(random_logits(1)),
    "constant": np.full((20, 5), 2.5),
    "zero": np.zeros((20, 5)),
    "ties": np.round(random_logits(1)),
    "huge": random_logits(1e30),
    "tiny": random_logits(1e-30),
    "one huge": np.where(np.arange(100).reshape(20, 5) == 37, 1e30, random_logits(1)),
    "float32": random_logits(3).astype(np.float32),
    "largest float32": np.where(random_logits(1) > 0, 3e38, -3e38).astype(np.float32),
}


def skip_without(name: str, data: dict[str, Any]) -> None:
    """Pseudo-splits need two classes in S: a study without them is refused."""
    if missing := (reads(name) - {"pretrained", "set_by_hand"}) - set(data):
        assert missing == {"pseudo_splits"}
        pytest.skip("a study with such a split is refused")


def same(one: Fitted, other: Fitted, **tolerance: float) -> None:
    assert list(one) == list(other)
    for key, value in one.items():
        np.testing.assert_allclose(value, other[key], **tolerance or {"rtol": 0})


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", NAMES)
def test_hostile_logits_give_finite_answers(name: str, hostile: str, mask: str) -> None:
    members, logits = np.array(MASKS[mask], dtype=bool), HOSTILE[hostile]
    data = everything(logits, members)
    skip_without(name, data)
    before = logits.copy()
    state = fit(name, data, members)
    calibrated = apply(name, data["test"], state, members)
    assert all(isinstance(v, np.ndarray) or type(v) is float for v in state.values())
    assert all(np.isfinite(value).all() for value in state.values())
    assert calibrated.shape == logits.shape
    assert np.isfinite(calibrated).all()
    assert np.array_equal(logits, before)  # neither fitting nor applying may write into its input
    same(fit(name, data, members), state)  # deterministic
    assert np.array_equal(apply(name, data["test"], state, members), calibrated)


@pytest.mark.parametrize("name", NAMES)
def test_classes_without_a_sample_get_an_answer(name: str) -> None:
    """A class of S without training samples, classes of U without validation samples."""
    data = everything(random_logits(2), MASK)
    for key in ("train_fine_tuning", "validation"):
        data[key] = rows_of(data[key], data[key].labels < 2)
    state = fit(name, data)
    assert all(np.isfinite(value).all() for value in state.values())
    assert np.isfinite(apply(name, data["test"], state)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_samples_does_not_matter(name: str) -> None:
    data = everything(random_logits(2), MASK)
    shuffled = dict(data)
    for key in ("train_fine_tuning", "validation", "test"):
        shuffled[key] = rows_of(data[key], np.random.default_rng(2).permutation(len(data[key])))
    unlabelled = data["target_unlabelled"]
    shuffled["target_unlabelled"] = Unlabelled(unlabelled.logits[::-1])
    same(fit(name, data), fit(name, shuffled), rtol=1e-6, atol=1e-8)
    order = np.random.default_rng(3).permutation(20)
    state = fit(name, data)
    moved = apply(name, rows_of(data["test"], order), state)
    np.testing.assert_allclose(moved, apply(name, data["test"], state)[order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_survives_its_file(name: str, tmp_path: Path) -> None:
    data = everything(random_logits(2), MASK)
    state = fit(name, data)
    path = tmp_path / "calibration.parquet"
    table = pa.Table.from_pylist(state_rows(name, reads(name), state), schema=schemas.own_columns(schemas.CALIBRATION))
    write_table(path, table, provenance={})
    found = read_states(read_table(path, schemas.own_columns(schemas.CALIBRATION))).get(name, {})
    same({k: np.ravel(v) for k, v in state.items()}, {k: np.ravel(v) for k, v in found.items()})
    assert np.array_equal(apply(name, data["test"], found), apply(name, data["test"], state))


# ------------------------------------------------------------------ what a calibrator may read

ALL = everything(random_logits(3), MASK)


@pytest.mark.parametrize("name", NAMES)
def test_a_calibrator_declares_itself(name: str) -> None:
    module = registry.load("calibrator", name)
    assert isinstance(module.READS, frozenset)
    assert module.READS.issubset(READABLE)
    assert registry.calibrator_record(name).takes.issubset(TAKEABLE)
    assert all(TAKEABLE[taken] in (None, *module.READS) for taken in registry.calibrator_record(name).takes)
    description = registry.description("calibrator", name)
    assert description.endswith(".")
    assert len(description) <= 120
    assert module.Options() == make(name).options  # all options have defaults
    assert all(field.description for field in module.Options.model_fields.values())


class Watched(Data):
    """Data that notes what is read."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_calibrator_needs_only_what_it_declares(name: str) -> None:
    data = Watched(
        MASK, {key: ALL[key] for key in ALL if key in reads(name)}, reads(name), registry.calibrator_record(name).takes
    )
    make(name).fit(data)
    assert data.read <= reads(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_declared_changes_nothing(name: str) -> None:
    """Neither other data nor, unless it is the upper bound, other labels of the test samples."""
    poisoned = {key: value if key in reads(name) else "poison" for key, value in ALL.items()}
    same(fit(name, poisoned), fit(name, ALL))
    if "test" not in reads(name):
        test = ALL["test"]
        relabelled = {**ALL, "test": Labelled(-test.logits, test.labels[::-1], more=test.more)}
        same(fit(name, relabelled), fit(name, ALL))


def test_reading_undeclared_data_is_an_error() -> None:
    data = Data(MASK, ALL, frozenset({"train_fine_tuning"}))
    assert data["train_fine_tuning"].logits is ALL["train_fine_tuning"].logits
    with pytest.raises(UndeclaredRead) as caught:
        data["test"]
    assert str(caught.value) == "'test' is read but not declared; declared and available: ['train_fine_tuning']"


@pytest.mark.parametrize("name", TAKEABLE)
def test_taking_undeclared_data_is_an_error(name: str) -> None:
    undeclared = Data(MASK, ALL, frozenset({"train_fine_tuning"}))["train_fine_tuning"]
    with pytest.raises(UndeclaredRead):
        undeclared[name]
    declared = Data(MASK, ALL, frozenset({"train_fine_tuning"}), frozenset({name}))["train_fine_tuning"]
    assert declared[name] is ALL["train_fine_tuning"][name]
    assert list(declared.more) == [name]


def test_samples_to_be_calibrated_have_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spy:
        def apply(self, inputs: Unlabelled, state: Any, fine_tuning: Any) -> Any:
            assert type(inputs) is Unlabelled
            assert not hasattr(inputs, "labels")
            assert list(inputs.more) == ["features"]
            return inputs.logits

    monkeypatch.setattr(evaluate, "calibrator", lambda _use: (Spy(), frozenset(), frozenset({"features"})))
    found = evaluate.score_calibrated({"spy": {}}, {}, ALL["test"], MASK)
    assert {row["calibrator"] for row in found} == {"spy"}
    assert not hasattr(ALL["target_unlabelled"], "labels")


def test_declared_data_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UndeclaredRead):
        Data(MASK, {}, frozenset({"test"}))["test"]


def test_the_data_cannot_be_reached_by_another_name() -> None:
    data = Data(MASK, ALL, frozenset())
    assert not any(value is ALL["test"] for value in vars(data).values())
    assert "test" not in repr(vars(data))


def test_only_the_upper_bound_reads_the_test_set() -> None:
    assert [name for name in NAMES if "test" in reads(name)] == ["oracle"]


def test_the_features_decide_where_they_are_taken() -> None:
    """The others give the same whatever the features are."""
    other = replace(ALL["test"], more={**ALL["test"].more, "features": -samples(random_logits(3))["features"]})
    states = {name: fit(name, ALL) for name in NAMES}
    changed = [n for n, s in states.items() if not np.array_equal(apply(n, other, s), apply(n, ALL["test"], s))]
    assert (
        changed == [name for name in NAMES if "features" in registry.calibrator_record(name).takes] == ["cosine", "ncm"]
    )
