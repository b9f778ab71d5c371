"""Which of the state dicts of a file is the model: the averaged one, or none where several could be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finecal.errors import UserError
from finecal.models.nested_states import find_state

FILE = Path("weights.pth")
ONE = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}
OTHER = {name: tensor + 1 for name, tensor in ONE.items()}
CYCLE: dict[str, Any] = {"epoch": 3}
CYCLE |= {"again": CYCLE, "more": {"inside": CYCLE}}

AVERAGED = (
    "ema_model", "model_ema_state_dict", "ema_weights", "swa_state_dict", "averaged_model", "avg_model", "EMA",
    "modelEma", "netEMA", "shadow", "shadow_params", "polyak",
)  # fmt: skip
NESTED: dict[str, Any] = {
    "known keys in unknown ones": {"checkpoint": {"model": ONE}, "epoch": 3},
    "three unknown keys": {"a": {"b": {"c": ONE}}},
    "keys of Python 2": {b"state_dict": {name.encode(): tensor for name, tensor in ONE.items()}},
    "a pair": (ONE, {"lr": 0.1}),
    "beside an optimiser": {"mine": ONE, "my_optimizer": {"state": {"exp_avg": torch.ones(2, 3), "step": 3}}},
    "beside Lightning's former weights": {"state_dict": ONE, "current_model_state": OTHER},
    "beside the same again": {"model": ONE, "best": {f"module.{name}": one.clone() for name, one in ONE.items()}},
    "beside another model": {"model": ONE, "teacher": {"conv.weight": torch.ones(3, 3, 1, 1)}},
    "beside a wider one": {"model": ONE, "teacher": {"fc.weight": torch.ones(2, 9), "fc.bias": torch.ones(5)}},
    "beside an empty average": {"state_dict": ONE, "state_dict_ema": {}},
    "in a dict that holds itself": {**CYCLE, "mine": ONE},
    "arrays of another machine": {"model": {name: one.numpy().astype(">f4")[:] for name, one in ONE.items()}},
}


@pytest.mark.parametrize("case", NESTED)
def test_it_is_found_at_any_depth(case: str) -> None:
    found = find_state(NESTED[case], FILE)
    assert {name: torch.as_tensor(np.asarray(one, "f4")) for name, one in found.items()}.keys() == ONE.keys()
    assert np.array_equal(found["fc.weight"], ONE["fc.weight"])


@pytest.mark.parametrize("key", AVERAGED)
@pytest.mark.parametrize("plain", ["model", "state_dict", "mine"])
def test_averaged_weights_go_first_under_any_key(key: str, plain: str) -> None:
    assert find_state({plain: ONE, key: OTHER}, FILE) is OTHER
    assert find_state({key: {"module": OTHER}, plain: ONE}, FILE) is OTHER


@pytest.mark.parametrize("key", ["best_model", "teacher", "last", "schema", "temaki", "model_0"])
def test_which_of_two_is_not_guessed(key: str) -> None:
    named = {f"module.{name}": tensor for name, tensor in OTHER.items()}
    with pytest.raises(UserError) as caught:
        find_state({"model": ONE, "epoch": 3, key: named}, FILE)
    assert str(caught.value) == (
        f"weights.pth: it holds 2 state dicts ('model', {key!r}). Hint: Save the one that you mean alone."
    )


def test_an_average_without_buffers_is_not_mixed() -> None:
    whole = {**ONE, "bn.running_mean": torch.ones(2)}
    with pytest.raises(UserError) as caught:
        find_state({"model": whole, "ema": {"shadow": OTHER}}, FILE)
    assert str(caught.value).startswith(
        "weights.pth: its averaged weights ('ema.shadow') lack bn.running_mean of 'model'."
    )


def test_an_average_without_names_is_no_reason_to_take_the_others() -> None:
    given = {"decay": 0.9, "shadow_params": [*OTHER.values()]}
    assert find_state({"model": ONE, "ema": given}, FILE) is given  # which is then refused, since it has no names
