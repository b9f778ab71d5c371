"""Mixup or CutMix of the batch with itself in reverse order, by `timm.data.Mixup`.

The last sample of an odd batch is not mixed. `training.label_smoothing` is applied to the mixed targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from finecal.config import Model, NonNegative, Probability
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Zhang et al. 2018, mixup (arXiv 1710.09412); Yun et al. 2019, CutMix (arXiv 1905.04899)"


class Options(Model):
    """Arguments of timm's Mixup."""

    mixup_alpha: NonNegative = Field(0.2, description="α of mixup's Beta distribution; 0 switches mixup off.")
    cutmix_alpha: NonNegative = Field(0.0, description="α of CutMix's Beta distribution; 0 switches CutMix off.")
    probability: Probability = Field(1.0, description="Probability that a batch (or a sample) is mixed.")
    switch_probability: Probability = Field(0.5, description="Probability of CutMix where both are on.")
    mode: Literal["batch", "pair", "elem"] = Field("batch", description="One draw per batch, pair or sample.")

    @model_validator(mode="after")
    def _something_is_on(self) -> Options:
        if not self.mixup_alpha and not self.cutmix_alpha:
            raise ValueError("`mixup_alpha` or `cutmix_alpha` must be greater than 0")
        return self


class Recipe(BaseRecipe[Options]):
    """Full fine-tuning on mixed images."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep the number of classes."""
        super().prepare(model, context)
        self._classes = len(context.fine_tuning)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the cross-entropy with the mixed targets."""
        import torch
        from timm.data import Mixup
        from timm.data.mixup import mixup_target
        from torch.nn.functional import cross_entropy

        o = self.options
        mix = Mixup(
            mixup_alpha=o.mixup_alpha, cutmix_alpha=o.cutmix_alpha, prob=o.probability,
            switch_prob=o.switch_probability, mode=o.mode, label_smoothing=label_smoothing, num_classes=self._classes,
        )  # fmt: skip
        even = len(images) // 2 * 2
        # Mixup changes the images in place and draws from NumPy's global generator, which the loop seeds each step.
        mixed, targets = mix(images[:even].clone(), labels[:even])
        rest = mixup_target(labels[even:], self._classes, smoothing=label_smoothing)
        logits = model(torch.cat([mixed, images[even:]])).float()
        return cross_entropy(logits, torch.cat([targets, rest]))
