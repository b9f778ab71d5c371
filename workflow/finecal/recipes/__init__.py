"""One file per fine-tuning recipe: which parameters train, the loss, and changes of the weights on the way.

A module has `Options`, a typed model, and `Recipe`, a subclass of `BaseRecipe`. The training loop calls, in this order:

    prepare(model, context)              once; also when an interrupted training is taken up again
    load_state_dict(state)               only when it is taken up again, after the model's weights have been loaded
    for every step:
        before_step(model, step)         the model is in training mode
        restarts(step)                   is the optimiser made anew?
        batch(step, positions)           which samples
        on_features(step)                does the loss get the head and features, not the model and images?
        loss(model, images, labels, …)   backward and the optimiser's step follow
        after_step(model, step)          then the model may be observed and the state saved
    finish(model)                        once

Rules that make every recipe resumable bit by bit:

- `prepare` gets the pretrained model θ⁰, also when the training is taken up again. What follows from θ⁰ and the
  context is made anew there and need not be saved; what an earlier training has left is dropped there.
- `restarts`, `batch` and `on_features` are pure functions of the step.
- What else changes from step to step is in `state_dict`: tensors and plain values.
- The global generators are seeded from the run's coordinates before `prepare`, and from them and the step before
  `before_step`: use those, or seeds made of `context.coordinates` and the step.

Parameters are chosen by `requires_grad`; frozen ones are not in the optimiser. After `finish` the model has the keys of
an ordinary timm state dict. Modules are loaded to check a study, so torch is imported inside the methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from pydantic import BaseModel
    from torch import Tensor, nn

O = TypeVar("O", bound="BaseModel")  # noqa: E741 - the recipe's Options


@dataclass(frozen=True)
class Context:
    """What a recipe may know of its training: nothing of absent classes' data, nothing of test samples.

    Attributes
    ----------
    fine_tuning
        (C,) bool, on the device: the classes of S; all of them in the upper bound. In a pseudo-split it is S′.
    labels
        (N,) int64, on the device: the labels of the training samples, all in S.
    images
        Gives the training samples at (M,) positions as (M, channels, H, W), normalised and not augmented.
    steps
        Number of steps of the whole training, all cycles together.
    coordinates
        What makes this run's randomness its own.
    """

    fine_tuning: Tensor
    labels: Tensor
    images: Callable[[np.ndarray], Tensor]
    steps: int
    coordinates: tuple[str | int, ...]


class BaseRecipe(Generic[O]):
    """Cross-entropy over Y, every parameter is trained; other recipes change what they need.

    Attributes
    ----------
    cycles
        How many trainings follow one another: each has all epochs, the whole schedule of the learning rate and an
        optimiser of its own.
    keeps_features
        Whether the features of an image are those of θ⁰ after every step, so that they need to be computed only once.
    """

    cycles: int = 1
    keeps_features: bool = False

    def __init__(self, options: O) -> None:
        self.options = options

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Choose the parameters to train by `requires_grad`. The model is θ⁰.

        Raises
        ------
        UserError
            If the recipe is not possible for this model.
        """
        model.requires_grad_(True)

    def restarts(self, step: int) -> bool:
        """Whether the optimiser forgets its past (momentum and the like) before a step that begins no cycle."""
        return False

    def batch(self, step: int, positions: np.ndarray) -> np.ndarray:
        """Positions of the step's training samples, (n,) int64; `positions` are those that the loop would take.

        May be asked for a step before the one before has ended, as `on_features`: both depend on the step alone.
        """
        return positions

    def on_features(self, step: int) -> bool:
        """Whether a step trains the head alone, on features of θ⁰ in evaluation mode, of images without augmentation.

        They are computed once. The loss is then called with the head and the features (N, D) of the batch.
        """
        return False

    def before_step(self, model: nn.Module, step: int) -> None:
        """Change modes or weights before a step; the model is in training mode."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Mean loss of a batch: images (N, channels, H, W), normalised; labels (N,) int64. A scalar."""
        from torch.nn.functional import cross_entropy

        # Under autocast the logits have 16 bits; the softmax needs 32.
        return cross_entropy(model(images).float(), labels, label_smoothing=label_smoothing)

    def after_step(self, model: nn.Module, step: int) -> None:
        """Change weights after the optimiser's step."""

    def finish(self, model: nn.Module) -> None:
        """Change the weights after the last step; the model then has its ordinary modules again."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training cannot know: tensors, numbers, texts, and lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; its tensors are on the CPU."""
