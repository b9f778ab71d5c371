"""Every calibrator: small cases by hand, hostile logits, and that it reads what it declares and nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from finecal import plugins
from finecal.calibration import READABLE, Data, Labelled, PseudoFold, UndeclaredRead
from finecal.metrics import accuracies, negative_log_likelihood

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"
NAMES = plugins.names("calibrator")

# S = {0, 1, 2}, U = {3, 4}
MASK = np.array([True, True, True, False, False])
TRAIN = Labelled(
    np.array([[9.0, 3.0, 1.0, 0.0, -2.0], [2.0, 8.0, 4.0, 1.0, 3.0]]),
    np.array([0, 1]),
)


def make(name: str, **options: Any) -> Any:
    module = plugins.load("calibrator", name)
    return module.Calibrator(module.Options(**options))


def fit(name: str, available: dict[str, Any], mask: np.ndarray = MASK, **options: Any) -> dict[str, float]:
    """Fit a calibrator on the part of the data that it declares."""
    state: dict[str, float] = make(name, **options).fit(Data(mask, available, plugins.load("calibrator", name).READS))
    return state


# ------------------------------------------------------------------ by hand


def test_none_changes_nothing() -> None:
    assert fit("none", {}) == {}
    assert make("none").apply(TRAIN.logits, {}, MASK) is TRAIN.logits


def test_alg_by_hand() -> None:
    # Row 0: the others of S (3 + 1) / 2 = 2, U (0 − 2) / 2 = −1: gap 3. Row 1: (2 + 4) / 2 − (1 + 3) / 2 = 1.
    assert fit("alg", {"train_fine_tuning": TRAIN}) == {"gamma": (3 + 1) / 2}


def test_alg_leaves_out_the_label_whichever_it_is() -> None:
    shifted = Labelled(TRAIN.logits + 1000 * np.eye(5)[TRAIN.labels], TRAIN.labels)
    assert fit("alg", {"train_fine_tuning": shifted}) == {"gamma": pytest.approx(2)}


def test_alg_with_one_class_in_s_takes_its_own_logit() -> None:
    mask = np.array([True, False, False])
    train = Labelled(np.array([[5.0, 1.0, 3.0], [1.0, -1.0, 2.0]]), np.array([0, 0]))
    assert fit("alg", {"train_fine_tuning": train}, mask) == {"gamma": (5 - 2 + 1 - 0.5) / 2}


def test_alg_with_one_class_in_u() -> None:
    mask = np.array([True, True, False])
    train = Labelled(np.array([[5.0, 1.0, 3.0]]), np.array([0]))
    assert fit("alg", {"train_fine_tuning": train}, mask) == {"gamma": 1.0 - 3.0}


@pytest.mark.parametrize("name", ["imagenet_r_like", "office_home_like", "small_ties"])
def test_alg_equals_the_published_code(name: str) -> None:
    """The published code reads test samples of all classes: the same formula on data no method may have."""
    if not GOLDEN.is_dir():
        pytest.skip(f"the published numbers are not beside this checkout: {GOLDEN} is absent")
    table = pq.read_table(GOLDEN / f"{name}.parquet")
    logits, labels = np.stack(table["logits"].to_numpy()), table["label"].to_numpy()
    published = json.loads((GOLDEN / f"{name}.json").read_text())
    mask = np.isin(np.arange(published["num_classes"]), published["fine_tuning_classes"])
    state = fit("alg", {"train_fine_tuning": Labelled(logits, labels)}, mask)
    ours = accuracies(make("alg").apply(logits.astype(np.float64), state, mask), labels, mask)
    assert {k: 100 * v.value for k, v in ours.items()} == pytest.approx(
        {
            "acc_y_y": published["alg_on_these_samples"]["All/All Accuracy"],
            "acc_s_y": published["alg_on_these_samples"]["Visible/All Accuracy"],
            "acc_u_y": published["alg_on_these_samples"]["Invisible/All Accuracy"],
            "acc_s_s": published["alg_on_these_samples"]["Visible/Visible Accuracy"],
            "acc_u_u": published["alg_on_these_samples"]["Invisible/Invisible Accuracy"],
        },
        abs=1e-4,
    )


def test_source_gap_by_hand() -> None:
    before = Labelled(np.array([[3.0, 3.0, 3.0, 1.0, 1.0], [0.0, 0.0, 3.0, 2.0, 4.0]]), TRAIN.labels)
    # After: (13/3 + 1 + 14/3 − 2) / 2 = 4; before: (2 + 1 − 3) / 2 = 0.
    assert fit("source_gap", {"train_fine_tuning": TRAIN, "pretrained": before}) == {"gamma": pytest.approx(4)}
    assert fit("source_gap", {"train_fine_tuning": TRAIN, "pretrained": TRAIN}) == {"gamma": 0}


def test_pcv_by_hand() -> None:
    """One sample of S′ and one of U′ per fold: any γ between their thresholds is right for both."""
    s_prime = np.array([True, False])
    first = PseudoFold(np.array([[5.0, 1.0], [3.0, 1.0]]), np.array([0, 1]), s_prime)  # d = 4, 2
    second = PseudoFold(np.array([[1.0, 4.0], [9.0, 0.0]]), np.array([1, 0]), s_prime)  # d = −3, 9
    assert fit("pcv", {"pseudo_splits": [first, second]}) == {"gamma": ((2 + 4) / 2 + (-3 + 9) / 2) / 2}


def test_pcv_balances_groups_of_unequal_size() -> None:
    """Four samples of S′ with d = 1, 2, 9, 9 against one of U′ with d = 5."""
    z = np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [9.0, 0.0], [5.0, 0.0]])
    fold = PseudoFold(z, np.array([0, 0, 0, 0, 1]), np.array([True, False]))
    # Between 5 and 9 two of four and the one of U′ are right; most samples would be right below 1.
    assert fit("pcv", {"pseudo_splits": [fold]}) == {"gamma": 7.0}


def test_oracle_by_hand() -> None:
    test = Labelled(np.array([[6.0, 0.0], [3.0, 1.0], [4.0, 3.0]]), np.array([0, 1, 1]))  # d = 6, 2, 1
    assert fit("oracle", {"test": test}, np.array([True, False])) == {"gamma": 4.0}


@pytest.mark.parametrize("seed", range(5))
def test_no_gamma_is_better_than_the_oracle(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(80, 5)).astype(np.float32) + np.where(MASK, 1.5, 0)
    labels = random.integers(0, 5, 80)
    state = fit("oracle", {"test": Labelled(logits, labels)})
    best = accuracies(make("oracle").apply(logits.astype(np.float64), state, MASK), labels, MASK)["acc_y_y"].value
    grid = [accuracies(logits, labels, MASK, gamma)["acc_y_y"].value for gamma in np.linspace(-8, 8, 400)]
    assert best >= max(grid)


def test_temperature_is_the_best_on_a_grid() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    logits = 8 * (random.normal(size=(200, 5)) + 0.8 * np.eye(5)[labels])
    found = fit("temperature", {"train_fine_tuning": Labelled(logits, labels)})["temperature"]
    assert 1 < found < 100  # too sure of itself, and not at the end of the range
    grid = np.exp(np.linspace(math.log(0.01), math.log(100), 500))
    best = min(negative_log_likelihood(logits / t, labels) for t in grid)
    assert negative_log_likelihood(logits / found, labels) <= best + 1e-6


@pytest.mark.parametrize(("smallest", "largest"), [(0.01, 0.5), (20, 50)])
def test_temperature_stays_in_its_range(smallest: float, largest: float) -> None:
    data = {"train_fine_tuning": Labelled(TRAIN.logits, np.array([0, 0]))}
    found = fit("temperature", data, smallest=smallest, largest=largest)["temperature"]
    assert smallest <= found <= largest


def test_temperature_divides() -> None:
    assert make("temperature").apply(np.array([[4.0, -2.0]]), {"temperature": 2.0}, MASK).tolist() == [[2.0, -1.0]]


def test_gamma_is_added_to_u_alone_in_float64() -> None:
    logits = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]], dtype=np.float32)
    calibrated = make("alg").apply(logits, {"gamma": 0.1}, MASK)
    assert calibrated.dtype == np.float64
    assert calibrated.tolist() == [[1.0, 2.0, 3.0, 4.1, 5.1]]


# ------------------------------------------------------------------ hostile logits


def everything(logits: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """All data there is to read, made from one matrix of logits with at least one sample of each class."""
    n, c = logits.shape
    labels = np.arange(n) % c
    of_s = mask[labels]
    columns = np.flatnonzero(mask)
    train = Labelled(logits[of_s], labels[of_s])
    data: dict[str, Any] = {"train_fine_tuning": train, "test": Labelled(logits, labels), "pretrained": train}
    if len(columns) > 1:
        s_prime = np.arange(len(columns)) < len(columns) / 2
        data["pseudo_splits"] = [
            PseudoFold(train.logits[:, columns], np.searchsorted(columns, train.labels), s_prime)
        ] * 2
    return data


def random_logits(scale: float) -> np.ndarray:
    return scale * np.random.default_rng(0).normal(size=(20, 5))


MASKS = {"one class in S": [1, 0, 0, 0, 0], "one class in U": [1, 1, 0, 1, 1], "two and three": [0, 1, 0, 1, 0]}
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


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", NAMES)
def test_hostile_logits_give_finite_answers(name: str, hostile: str, mask: str) -> None:
    members = np.array(MASKS[mask], dtype=bool)
    logits = HOSTILE[hostile]
    data = everything(logits, members)
    if not set(data) >= plugins.load("calibrator", name).READS:
        pytest.skip("a study with such a split is refused")
    before = logits.copy()
    state = fit(name, data, members)
    calibrated = make(name).apply(logits.astype(np.float64), state, members)
    assert all(type(value) is float and math.isfinite(value) for value in state.values())
    assert calibrated.shape == logits.shape
    assert np.isfinite(calibrated).all()
    assert np.array_equal(logits, before)  # neither fitting nor applying may write into its input


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e30])
@pytest.mark.parametrize("mask", ["one class in S", "one class in U"])
def test_the_oracle_reaches_the_ends_of_the_curve(scale: float, mask: str) -> None:
    """All samples are of the one class: γ must move every prediction there, at any scale of the logits."""
    members, logits = np.array(MASKS[mask], dtype=bool), random_logits(scale)
    only = int(np.flatnonzero(members == (mask == "one class in S"))[0])
    state = fit("oracle", {"test": Labelled(logits, np.full(20, only))}, members)
    assert (make("oracle").apply(logits, state, members).argmax(axis=1) == only).all()


@given(hnp.arrays(np.float32, (6, 5), elements=st.floats(-50, 50, width=32)), st.floats(0.02, 50))
@settings(deadline=None)
def test_temperature_leaves_the_arg_max(logits: np.ndarray, temperature: float) -> None:
    calibrated = make("temperature").apply(logits.astype(np.float64), {"temperature": temperature}, MASK)
    assert (logits[np.arange(6), calibrated.argmax(axis=1)] == logits.max(axis=1)).all()


# ------------------------------------------------------------------ what a calibrator may read

ALL = everything(random_logits(3), MASK)
# What `finecal.stages.calibrate.available` does not offer yet needs an entry in `everything` once it does.
assert set(ALL) <= set(READABLE)


@pytest.mark.parametrize("name", NAMES)
def test_a_calibrator_declares_itself(name: str) -> None:
    module = plugins.load("calibrator", name)
    assert isinstance(module.READS, frozenset)
    assert module.READS.issubset(READABLE)
    description = plugins.description("calibrator", name)
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
    reads = plugins.load("calibrator", name).READS
    data = Watched(MASK, {key: ALL[key] for key in reads}, reads)
    state = make(name).fit(data)
    assert data.read <= reads
    assert make(name).apply(ALL["test"].logits, state, MASK).shape == ALL["test"].logits.shape


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_declared_changes_nothing(name: str) -> None:
    reads = plugins.load("calibrator", name).READS
    poisoned = {key: value if key in reads else "poison" for key, value in ALL.items()}
    assert fit(name, poisoned) == fit(name, ALL)


def test_reading_undeclared_data_is_an_error() -> None:
    data = Data(MASK, ALL, frozenset({"train_fine_tuning"}))
    assert data["train_fine_tuning"] is ALL["train_fine_tuning"]
    with pytest.raises(UndeclaredRead) as caught:
        data["test"]
    assert str(caught.value) == "'test' is read but not declared; declared and there: ['train_fine_tuning']"


def test_declared_data_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UndeclaredRead):
        Data(MASK, {}, frozenset({"test"}))["test"]


def test_the_data_cannot_be_reached_by_another_name() -> None:
    data = Data(MASK, ALL, frozenset())
    assert not any(value is ALL["test"] for value in vars(data).values())
    assert "test" not in repr(vars(data))


def test_only_the_upper_bound_reads_the_test_set() -> None:
    assert [name for name in NAMES if "test" in plugins.load("calibrator", name).READS] == ["oracle"]
