"""Checkpoints as the libraries that people train with write them, small ones, and what finecal makes of each.

The table in docs/origins.md is made from this list: `python tests/origins.py` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs" / "origins.md"
BEGIN, END = "<!-- begin: made by tests/origins.py -->\n", "<!-- end -->\n"

CLASSES = 4
# Options that make timm's models small.
VIT = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}
CONVNEXT = {"dims": (8, 16, 24, 32), "depths": (1, 1, 2, 1)}
SWIN = {"embed_dim": 16, "depths": (2, 1, 2), "num_heads": (1, 2, 4), "window_size": 4}

# What is written → the path to give as `weights`, and the model whose logits are expected.
Written = tuple[str, Any]


@dataclass(frozen=True)
class Origin:
    """A kind of checkpoint.

    Attributes
    ----------
    library
        What writes it.
    what
        Which of its files.
    model
        timm's name of the model it is loaded as.
    write
        Writes it in the working directory.
    options
        Arguments of timm's model, which make it small, as a study could too.
    size
        Height and width of the images.
    refused
        The sentence with which it is refused; empty if its logits are those of the model that was saved.
    """

    library: str
    what: str
    model: str
    write: Callable[[], Written]
    options: Mapping[str, Any] = field(default_factory=dict)
    size: int = 32
    refused: str = ""


def shaken(model: Any, seed: int = 0) -> Any:
    """The model in evaluation mode with random values everywhere, so that no tensor can be left out unseen."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator)
                scale = tensor.std() if tensor.numel() > 1 and tensor.std() > 0 else 0.1
                tensor.add_(noise * scale * 0.5)
                if name.endswith("running_var"):
                    tensor.abs_().add_(0.5)
    return model.eval()


def table(origins: list[Origin]) -> str:
    """The rows of the docs, by library."""
    rows = [f"| {one.library} | {one.what} | {one.refused or 'logits equal'} |" for one in origins]
    return "\n".join(["| written by | what | finecal |", "|---|---|---|", *rows]) + "\n"


def all_origins() -> list[Origin]:
    """All of them, in the order of the table."""
    from origins_of_torchvision import OF_TORCHVISION
    from origins_of_trainers import OF_TRAINERS
    from origins_of_transformers import OF_TRANSFORMERS

    return [*OF_TRAINERS, *OF_TRANSFORMERS, *OF_TORCHVISION]


def main() -> None:
    """Write the table between its two marks."""
    before, rest = DOCS.read_text("utf-8").split(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}{table(all_origins())}{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
