"""ImageNet's 1,000 classes: what they are called, and which rows of a head are theirs."""

from __future__ import annotations

from collections.abc import Sequence

CLASSES = 1000


def class_names() -> tuple[str, ...]:
    """The first of each class's names, in the order of the heads; of two with one name, also their WordNet number."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names = [str(info.index_to_description(number)).partition(",")[0] for number in range(info.num_classes())]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({info.index_to_label_name(number)})"
        for number, name in enumerate(names)
    )


def numbers_by_folder() -> dict[str, int]:
    """WordNet number (the name of a folder) → class number."""
    from timm.data import ImageNetInfo

    return {name: number for number, name in enumerate(ImageNetInfo().label_names())}


def rows_of(classes: Sequence[str]) -> list[int] | None:
    """The rows of a head of ImageNet's classes that stand for some of them, by their names; None if one is none."""
    numbers = {name: number for number, name in enumerate(class_names())}
    return [numbers[name] for name in classes] if numbers.keys() >= set(classes) else None
