"""Cross-entropy over all classes of Y; every parameter is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal.config import Model

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Model):
    """This recipe has no options: optimiser and augmentation belong to `training`."""


class Recipe:
    """Full fine-tuning."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def prepare(self, model: nn.Module) -> None:
        """Choose the parameters to train by `requires_grad`."""
        model.requires_grad_(True)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Mean loss of a batch: images (N, channels, H, W), normalised; labels (N,) int64. A scalar."""
        from torch.nn.functional import cross_entropy

        # Under autocast the logits have 16 bits; the softmax needs 32.
        return cross_entropy(model(images).float(), labels, label_smoothing=label_smoothing)

    def finish(self, model: nn.Module) -> None:
        """Change the weights after the last step."""
