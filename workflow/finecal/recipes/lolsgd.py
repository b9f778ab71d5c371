"""LOLSGD, leave-out local SGD: copies trained on random subsets of S and averaged, round by round.

From holistic transfer (Tu et al. 2023). Each round starts M copies from the same weights; each takes SGD steps on a
random subset of the classes of S; then their weights are averaged. Class-specific changes cancel, those of the domain
remain. The copies train one after another: a step of `training` is a step of one copy, so the cost is that of `full`.
Every copy has a new optimiser; the learning rate follows the schedule over all steps. Batch statistics are averaged
like weights. An epoch that ends within a round is observed on a copy; the last one ends with a round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from finecal.config import Count, Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

PAPER = "Tu et al. 2023, Holistic transfer (arXiv 2311.01420)"


class Options(Model):
    """How the rounds are made."""

    copies: Count = Field(4, description="M, the number of copies in a round.")
    local_steps: Count = Field(
        5, description="Steps of a copy in a round; more by the few that are left over, fewer in a short training."
    )
    class_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="Part of the classes of S that a copy sees, rounded; at least one class."
    )


class Recipe(BaseRecipe[Options]):
    """Averaged copies, each without some classes."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; divide the steps into rounds and copies."""
        import numpy as np

        from finecal.recipes._weights import Mean, copy_weights

        super().prepare(model, context)
        self._model, self._start, self._mean = model, copy_weights(model), Mean()
        self._coordinates = context.coordinates
        self._labels = context.labels.cpu().numpy()
        copies = min(self.options.copies, context.steps)
        rounds = max(1, context.steps // (copies * self.options.local_steps))
        # Copy k of all rounds together takes the steps from _begins[k] to _begins[k + 1].
        self._copies, parts = copies, copies * rounds
        self._begins = np.arange(parts + 1) * context.steps // parts

    def restarts(self, step: int) -> bool:
        """Return True where a copy begins: each has an optimiser of its own."""
        return step in self._begins

    def batch(self, step: int, positions: np.ndarray) -> np.ndarray:
        """Draw as many samples as `positions` has, from the classes that the copy sees."""
        import numpy as np

        from finecal.seeds import generator

        members = np.flatnonzero(np.isin(self._labels, self._draw_classes(self._copy_number(step))))
        random = generator(*self._coordinates, "lolsgd samples", step)
        return random.choice(members, len(positions), replace=len(members) < len(positions))

    def before_step(self, model: nn.Module, step: int) -> None:
        """Set a copy that begins to the weights from which its round started."""
        from finecal.recipes._weights import Mean, copy_weights, load_weights

        if step in self._begins:
            if self._copy_number(step) % self._copies == 0:
                self._start, self._mean = copy_weights(model), Mean()
            else:
                load_weights(model, self._start)

    def after_step(self, model: nn.Module, step: int) -> None:
        """Add a finished copy to the mean; after the last one of a round, set the model to the mean."""
        if step + 1 in self._begins:
            self._mean.add(model)
            if self._mean.count == self._copies:
                self._mean.load_into(model)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights at the round's start, and the mean of its finished copies."""
        return {"start": self._start, "mean": self._mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume within the round."""
        self._start = state["start"]
        self._mean.load_state_dict(state["mean"], self._model)

    def _copy_number(self, step: int) -> int:
        """Return the number of a step's copy, counted over all rounds."""
        import numpy as np

        return int(np.searchsorted(self._begins, step, side="right")) - 1

    def _draw_classes(self, copy: int) -> np.ndarray:
        """Return the classes that a copy sees, drawn from those with training samples."""
        import numpy as np

        from finecal.seeds import generator

        present = np.unique(self._labels)
        size = max(1, round(self.options.class_fraction * len(present)))
        return generator(*self._coordinates, "lolsgd classes", copy).choice(present, size, replace=False)
