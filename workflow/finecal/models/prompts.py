"""What the classes are called in the texts of which CLIP makes a head. Needs neither torch nor open_clip."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from finecal.errors import UserError, counted
from finecal.models.imagenet_classes import in_words

_CODE = re.compile(r"n\d{8}")


def prompt_names(classes: Sequence[str], names: Sequence[str] | None, dataset: str, where: str) -> list[str]:
    """Return the name of each class in the templates: the study's, or the data set's as words.

    >>> prompt_names(["Alarm_Clock", "AnnualCrop", "cabin/outdoor", "n02012849", "dahlia?"], None, "mine", "")
    ['Alarm Clock', 'Annual Crop', 'cabin outdoor', 'crane (bird)', 'dahlia']

    Raises
    ------
    UserError
        If the classes have only numbers for names, two are the same in words, or the study's names are not
        one for each class.
    """
    if names is not None:
        if len(names) != len(classes):
            raise UserError(
                f"{counted(len(names), 'name')} for the {counted(len(classes), 'class')} of {dataset!r}",
                where=f"{where}.class_names", why="Every class needs one, in the order of the data set",
            )  # fmt: skip
        return list(names)
    # A question mark is a doubt of whoever wrote the list of names, not a part of one.
    words = [re.sub(r"[_/ ]+|(?<=[a-z])(?=[A-Z])", " ", name).strip(" ?") for name in in_words(classes)]
    hint = "Give the words in the order of the data set: `class_names: [...]`"
    if wordless := [name for name, word in zip(classes, words, strict=True) if _CODE.fullmatch(word)]:
        raise UserError(
            f"{wordless[0]!r} of {dataset!r} is a number of WordNet that is not known, CLIP reads words", where=where,
            hint=hint,
        )  # fmt: skip
    if all(not word or word.isdecimal() for word in words):
        raise UserError(
            f"the classes of {dataset!r} have numbers for names, CLIP reads words", where=where,
            hint=f"Give them in the order of the data set: `class_names: [...]`; the first is {classes[0]!r}",
        )  # fmt: skip
    if twice := [word for word, count in Counter(words).items() if count > 1]:
        called = [name for name, word in zip(classes, words, strict=True) if word == twice[0]]
        raise UserError(
            f"{' and '.join(map(repr, called[:2]))} of {dataset!r} are both {twice[0]!r} in words", where=where,
            why="Their rows of the head would be equal", hint=hint,
        )  # fmt: skip
    return words
