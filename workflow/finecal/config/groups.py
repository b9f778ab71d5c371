"""Groups: several studies under one name."""

from __future__ import annotations

from collections.abc import Iterable

PAPER = "reproduce_paper"

# Name → the studies that it stands for.
SELECTIONS = {
    # All that the paper measures; the toy problem of its appendix needs no images.
    PAPER: (
        "office_home",
        "imagenet_r",
        "imagenet_s",
        "vtab",
        "paper/vtab_clip",
        "iwildcam",
        "paper/class_size",
        "paper/class_size_imagenet_s",
        "paper/optimisers",
        "paper/heads",
        "paper/heads_imagenet_r",
        "paper/heads_imagenet_s",
        "paper/frozen",
        "paper/frozen_imagenet_r",
        "paper/frozen_imagenet_s",
        "paper/backbones",
        "paper/backbones_clip",
        "toy",
    ),
}


def expand_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return the studies that names stand for, each once."""
    return tuple(dict.fromkeys(study for name in names for study in SELECTIONS.get(name, (name,))))
