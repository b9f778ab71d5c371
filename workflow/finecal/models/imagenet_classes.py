"""ImageNet's 1,000 classes: their names, and their rows in a head."""

from __future__ import annotations

from collections.abc import Sequence

CLASSES = 1000


def class_names() -> tuple[str, ...]:
    """Return each class's first name in the order of the heads, with the WordNet number where two are equal."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names = [str(info.index_to_description(number)).partition(",")[0] for number in range(info.num_classes())]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({info.index_to_label_name(number)})"
        for number, name in enumerate(names)
    )


def numbers_by_folder() -> dict[str, int]:
    """Return class numbers by WordNet number, the name of a folder of images."""
    from timm.data import ImageNetInfo

    return {name: number for number, name in enumerate(ImageNetInfo().label_names())}


def are_imagenet(labels: Sequence[str]) -> bool:
    """Return whether the labels are ImageNet's in its order, as WordNet numbers, names or descriptions."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    if len(labels) != CLASSES:
        return False
    first = [label.partition(",")[0].partition(" (n")[0].casefold() for label in labels]
    names = [name.partition(",")[0].casefold() for name in info.label_descriptions()]
    return list(labels) == info.label_names() or first == names


def as_called(names: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a head's rows; ImageNet's as the classes call them, by name or by WordNet number.

    Two pairs of ImageNet's classes have the same words, so they are told apart by their places.
    """
    if not are_imagenet(names):
        return tuple(names)
    called = {number: name for name, number in numbers_of(classes).items()}
    return tuple(called.get(number, name) for number, name in enumerate(class_names()))


def numbers_of(classes: Sequence[str]) -> dict[str, int]:
    """Return the row in a head of ImageNet's classes for those of the classes that have ImageNet's name or number."""
    numbers = {name: number for number, name in enumerate(class_names())} | numbers_by_folder()
    return {name: numbers[name] for name in classes if name in numbers}
