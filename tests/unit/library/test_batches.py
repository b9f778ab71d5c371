"""Loaders and models of other libraries: what they hand over is understood, or one sentence says what is needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from logits_cases import S, arrays, softmax
from torch import Tensor, nn

from finecal import LogitCalibrator, UserError, calibrate

A = arrays()
X, Y = torch.from_numpy(A["logits"]), torch.from_numpy(A["label"])


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 6)
        with torch.no_grad():
            self.last.weight.copy_(torch.eye(6))
            self.last.bias.zero_()

    def forward(self, images: Tensor) -> Any:
        return self.last(images)


class WithObject(Plain):
    """As the models of transformers."""

    def forward(self, images: Tensor) -> Any:
        return SimpleNamespace(logits=self.last(images))


GAMMA = calibrate(Plain(), [(X, Y)], S).finecal["gamma"]


@pytest.mark.parametrize("loader", [
    [{"pixel_values": X, "labels": Y}], [(X.numpy(), A["label"])], [(X.double(), Y.tolist())],
    ((X[k : k + 50], Y[k : k + 50]) for k in range(0, 240, 50)),
])  # fmt: skip
def test_batches_of_other_libraries(loader: Any) -> None:
    assert calibrate(Plain(), loader, S).finecal["gamma"] == pytest.approx(GAMMA)


def test_a_model_that_returns_an_object_keeps_returning_it() -> None:
    folded = calibrate(WithObject(), [(X, Y)], S)
    wanted = A["logits"] + np.where(np.arange(6) < 3, 0, GAMMA)
    np.testing.assert_allclose(folded(X).logits.detach(), wanted, atol=1e-4)


@pytest.mark.parametrize(("model", "loader", "said"), [
    (Plain(), None, "the loader is a NoneType"), (Plain(), [X], "the loader gives a Tensor"),
    (Plain(), torch.utils.data.TensorDataset(X, Y), "the loader gives single samples"),
    (Plain(), [(X, Y[:5])], "240 images with 5 labels"),
    (Plain(), [{"pixels": X, "labels": Y}], "a batch has pixels, labels"),
    (lambda images: images, [(X, Y)], "the model is a function"),
    (nn.Sequential(Plain(), nn.Softmax(1)), [(X, Y)], "the model gives probabilities"),
])  # fmt: skip
def test_what_is_needed_is_said(model: Any, loader: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        calibrate(model, loader, S)


def test_an_estimator_recognises_probabilities() -> None:
    plain = LogitCalibrator(fine_tuning=S).fit(X.requires_grad_(), Y)
    p = softmax(A["logits"])
    for given, kind in ((p, "probabilities"), (100 * p, "percentages"), (np.log(p), "log-probabilities")):
        found = LogitCalibrator(fine_tuning=S).fit(given, Y)
        assert found.scores_ == kind
        assert found.state_["gamma"] == pytest.approx(plain.state_["gamma"], abs=1e-4)
        np.testing.assert_array_equal(found.predict(given), plain.predict(A["logits"]))
    as_they_are = LogitCalibrator(fine_tuning=S, scores="logits").fit(p, Y)
    assert as_they_are.state_["gamma"] < 1
    with pytest.raises(UserError, match="scores are 'odds'"):
        LogitCalibrator(fine_tuning=S, scores="odds").fit(p, Y)
