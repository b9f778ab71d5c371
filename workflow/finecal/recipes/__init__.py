"""One file per fine-tuning recipe: which parameters train, the loss, and changes of the weights on the way.

A module has `Options`, a typed model, and `Recipe`, a subclass of `BaseRecipe`. `finecal check` calls `check(model)`.
The training loop calls, in this order:

    prepare(model, context)              once; also when an interrupted training is resumed
    load_state_dict(state)               only when it is resumed, after the model's weights have been loaded
    for every step:
        before_step(model, step)         the model is in training mode
        restarts(step)                   is a new optimiser created?
        batch(step, positions)           which samples
        on_features(step)                does the loss get the head and features instead of the model and images?
        loss(model, images, labels, …)   then backward and the optimiser's step
        after_step(model, step)          then the model may be observed and the state saved
    finish(model)                        once

Rules that make every recipe resumable bit by bit:

- `prepare` gets the pretrained model θ⁰, also when the training is resumed. It computes anew what follows from θ⁰ and
  the context, which need not be saved, and drops what an earlier training has left in the recipe.
- `restarts`, `batch` and `on_features` are pure functions of the step.
- `state_dict` returns everything else that changes from step to step: tensors and plain values.
- The global generators are seeded from the run's coordinates before `prepare`, and from them and the step before
  `before_step`. Use those, or seeds derived from `context.coordinates` and the step.

Parameters are chosen by `requires_grad`; frozen ones are not in the optimiser. After `finish` the model has the keys of
an ordinary timm state dict. Checking a study loads the modules, so import torch inside the methods.
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
    """What a recipe may know of its training; it has no data of absent classes and no test samples.

    Attributes
    ----------
    fine_tuning
        (C,) bool, on the device: the classes of S (in the upper bound all classes, in a pseudo-split S′).
    labels
        (N,) int64, on the device: the labels of the training samples, all in S.
    images
        Returns the training samples at (M,) positions as (M, channels, H, W) float32, normalised and not augmented.
    steps
        Number of steps of the whole training, of all cycles.
    coordinates
        What makes this run's randomness its own.
    """

    fine_tuning: Tensor
    labels: Tensor
    images: Callable[[np.ndarray], Tensor]
    steps: int
    coordinates: tuple[str | int, ...]


class BaseRecipe(Generic[O]):
    """Train every parameter with cross-entropy over Y; recipes override what they change.

    Attributes
    ----------
    cycles
        Number of trainings that follow one another. Each has all epochs, the whole schedule of the learning rate and an
        optimiser of its own.
    keeps_features
        Whether the features of an image stay those of θ⁰, so that they need to be computed only once.
    """

    cycles: int = 1
    keeps_features: bool = False

    def __init__(self, options: O) -> None:
        self.options = options

    def check(self, model: nn.Module) -> None:
        """Look at the model's layers, which may have no weights (device `meta`), and change nothing.

        Raises
        ------
        UserError
            If the recipe is not possible for this architecture.
        """

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Choose the parameters to train by `requires_grad`. The model is θ⁰.

        Raises
        ------
        UserError
            If the recipe is not possible for this model.
        """
        model.requires_grad_(True)

    def restarts(self, step: int) -> bool:
        """Return whether a new optimiser, without momentum and the like, takes over at a step that begins no cycle."""
        return False

    def batch(self, step: int, positions: np.ndarray) -> np.ndarray:
        """Return the positions of the step's training samples, (n,) int64; `positions` are the loop's choice.

        Like `on_features` it may be called before the step before has ended; both depend on the step alone.
        """
        return positions

    def on_features(self, step: int) -> bool:
        """Return whether a step trains the head alone, on the features that θ⁰ gives images without augmentation.

        The features are computed once, in evaluation mode. The loss gets the head and the batch's features (N, D).
        """
        return False

    def before_step(self, model: nn.Module, step: int) -> None:
        """Change modes or weights before a step; the model is in training mode."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the mean loss, a scalar, of images (N, channels, H, W) float32, normalised, and labels (N,) int64."""
        from torch.nn.functional import cross_entropy

        # Under autocast the logits are bfloat16; the softmax needs float32.
        return cross_entropy(model(images).float(), labels, label_smoothing=label_smoothing)

    def after_step(self, model: nn.Module, step: int) -> None:
        """Change weights after the optimiser's step."""

    def finish(self, model: nn.Module) -> None:
        """Change the weights after the last step, and restore the model's ordinary modules."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training cannot compute: tensors, numbers, strings, and lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; its tensors are on the CPU."""
