"""ImageNet's 1,000 classes: their names, and their rows in a head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

CLASSES = 1000
# Words for the classes that share their first name with another one.
WORDS = {
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n03710637": "maillot (tights)",
    "n03710721": "maillot (swimsuit)",
}
# A WordNet number alone, before a name (`n02085620-Chihuahua`), or behind one in parentheses (`crane (n02012849)`).
_NUMBERED = re.compile(r"(?P<before>n\d{8})(?:[-_ ,.]+(?P<rest>.+))?|(?P<name>.+?) ?\((?P<behind>n\d{8})\)")


def class_names() -> tuple[str, ...]:
    """Return each class's first name in the order of the heads, with the WordNet number where two are equal."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names = [str(info.index_to_description(number)).partition(",")[0] for number in range(info.num_classes())]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({info.index_to_label_name(number)})"
        for number, name in enumerate(names)
    )


def in_words(names: Sequence[str]) -> list[str]:
    """Return the names without WordNet numbers: the word for a number of which the name consists.

    Where words are equal, those of a WordNet number get what it means in parentheses. Numbers that are not known stay.

    >>> in_words(["n01443537", "n02085620-Chihuahua", "crane (n02012849)", "n03126707", "vase"])
    ['goldfish', 'Chihuahua', 'crane (bird)', 'crane (machine)', 'vase']
    """
    found = [_NUMBERED.fullmatch(name) for name in names]
    if not any(found):
        return list(names)
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    words, meanings = list(names), [""] * len(names)
    for place, match in enumerate(found):
        if match is None:
            continue
        number = match["before"] or match["behind"]
        try:
            described = info.label_name_to_description(number, detailed=True)
        except KeyError:
            words[place] = match["rest"] or match["name"] or match[0]
            continue
        lemmas, _, meaning = described.partition(": ")
        words[place] = WORDS.get(number) or match["rest"] or match["name"] or lemmas.partition(",")[0]
        meanings[place] = re.split(r"[;,(]", meaning)[0].strip()
    count = Counter(words)
    return [
        f"{word} ({meaning})" if meaning and count[word] > 1 else word
        for word, meaning in zip(words, meanings, strict=True)
    ]


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
