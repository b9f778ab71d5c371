"""Full fine-tuning that fails as long as there is a file `broken` in the working directory.

A recipe for these tests, put beside the others in the copy of the source tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finecal.errors import UserError
from finecal.recipes import full

if TYPE_CHECKING:
    from torch import Tensor, nn

Options = full.Options


class Recipe(full.Recipe):
    """As `full`, to the last bit, if it does not fail."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        if Path("broken").exists():
            raise UserError("something is broken", where="broken")
        return super().loss(model, images, labels, label_smoothing=label_smoothing)
