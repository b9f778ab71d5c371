"""Calibrators that take a few samples at a time: they say the same to the bit as of all at once."""

from __future__ import annotations

import numpy as np
import pytest
from calibrator_cases import MASK, everything, fit, make

from finecal import registry
from finecal.calibration import in_parts
from finecal.calibration.contract import Labelled, Unlabelled, restrict

NAMES = registry.names("calibrator")
LOGITS = np.random.default_rng(0).normal(size=(23, 5)).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [2, 4, 11, 1000])
def test_parts_do_not_show(monkeypatch: pytest.MonkeyPatch, name: str, rows: int) -> None:
    monkeypatch.setattr(in_parts, "PART_BYTES", 8 * 5 * rows)
    data, method = everything(LOGITS, MASK), make(name)
    test: Labelled = data["test"]
    inputs = restrict(Unlabelled(LOGITS, more=test.more), registry.calibrator_record(name).takes)
    state = fit(name, data)
    parts = list(in_parts.apply_in_parts(method, inputs, state, MASK))
    assert np.concatenate(parts).tobytes() == np.ascontiguousarray(method.apply(inputs, state, MASK)).tobytes()
    assert min(map(len, parts)) > 1
    assert (len(parts) > 1) == (getattr(method, "by_row", False) and rows < 22)


def test_a_method_that_does_not_say_so_gets_all_samples_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Centred:
        def apply(self, inputs: Unlabelled, state: object, fine_tuning: np.ndarray) -> np.ndarray:
            return inputs.logits - inputs.logits.mean(axis=0)

    monkeypatch.setattr(in_parts, "PART_BYTES", 8)
    (whole,) = in_parts.apply_in_parts(Centred(), Unlabelled(LOGITS), {}, MASK)  # type: ignore[arg-type]
    assert np.allclose(whole.mean(axis=0), 0)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_samples_are_one_part(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(in_parts, "PART_BYTES", 8)
    (part,) = in_parts.apply_in_parts(make("temperature"), Unlabelled(LOGITS[:n]), {"temperature": 2.0}, MASK)
    assert part.tolist() == (LOGITS[:n] / 2).tolist()


@pytest.mark.parametrize("name", ["cosine", "ncm"])
def test_parts_of_products_show_in_rounding_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(in_parts, "ROUNDED_PART_BYTES", 8 * 5 * 4)
    data, method = everything(LOGITS, MASK), make(name)
    inputs = restrict(Unlabelled(LOGITS, more=data["test"].more), registry.calibrator_record(name).takes)
    state = fit(name, data)
    parts = list(in_parts.apply_in_parts(method, inputs, state, MASK))
    assert [len(part) for part in parts] == [4, 4, 4, 4, 4, 3]
    np.testing.assert_allclose(np.concatenate(parts), method.apply(inputs, state, MASK), rtol=1e-13, atol=1e-13)
