"""EWC: full fine-tuning with the penalty λ/2 Σᵢ Fᵢ (θᵢ − θ⁰ᵢ)² (Kirkpatrick et al. 2017).

F is the diagonal Fisher information of θ⁰ on training samples of S, not augmented, the model in evaluation mode:
Fᵢ = mean of (∂ log p(y|x; θ⁰) / ∂θᵢ)², one gradient per sample. The authors compute F on the source data, which is not
available here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from finecal.config import Count, Model, NonNegative
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks (arXiv 1612.00796)"


class Options(Model):
    """How strong the pull is, and how the Fisher information is estimated."""

    strength: NonNegative = Field(10.0, description="λ, the weight of the penalty.")
    samples: Count = Field(256, description="Training samples for F, drawn without replacement; at most all.")
    labels: Literal["sampled", "true"] = Field(
        "sampled",
        description="y: drawn from p(y|x; θ⁰) (the Fisher information), or the sample's label (the empirical one).",
    )


class Recipe(BaseRecipe[Options]):
    """A penalty on leaving θ⁰, strong where the pretrained model is sensitive."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep θ⁰ and estimate F."""
        from finecal.recipes._reference import copy_trained_parameters

        super().prepare(model, context)
        self._start = copy_trained_parameters(model)
        self._fisher = self._estimate_fisher(model, context)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return cross-entropy + λ/2 Σᵢ Fᵢ (θᵢ − θ⁰ᵢ)²."""
        from finecal.recipes._reference import squared_distance

        fit = super().loss(model, images, labels, label_smoothing=label_smoothing)
        return fit + self.options.strength / 2 * squared_distance(model, self._start, self._fisher)

    def _estimate_fisher(self, model: nn.Module, context: Context) -> dict[str, Tensor]:
        """Return F by the parameters' names, each of the parameter's shape."""
        import torch
        from torch.nn.functional import cross_entropy

        from finecal.seeds import generator

        total = len(context.labels)
        chosen = generator(*context.coordinates, "fisher").permutation(total)[: self.options.samples]
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        sums = {name: torch.zeros_like(p) for name, p in parameters.items()}
        for position in chosen[:, None]:  # one sample at a time: (1,) arrays
            # In evaluation mode some of timm's attention layers keep what they compute from their biases, with its
            # graph, which can be used once; `train` makes them forget it.
            model.train()
            model.eval()
            logits = model(context.images(position)).float()
            label = context.labels[int(position[0])].reshape(1)
            if self.options.labels == "sampled":
                label = torch.multinomial(logits.detach().softmax(dim=1), 1).reshape(1)
            gradients = torch.autograd.grad(cross_entropy(logits, label), list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    sums[name] += gradient.square()
        return {name: value / len(chosen) for name, value in sums.items()}
