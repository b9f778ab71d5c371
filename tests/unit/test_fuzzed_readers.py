"""Every reader of a file is shown changed files: it reads or refuses them, soon, in little memory, and leaves nothing.

The changes are drawn from a fixed seed. `python tests/fuzzing/play.py --seed N --inputs M` draws others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing.all_readers import READERS
from fuzzing.play import MIB, SECONDS, by_kind, peak_mib, play, shares
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finecal.config.load import parse_study
from finecal.config.settings import parse_settings
from finecal.config.yaml_loader import parse_yaml
from finecal.errors import UserError
from finecal.library.classes import mask_of, names_of
from finecal.models.locations import fill
from finecal.models.row_names import label_names
from finecal.paths import RunKey

SEED, INPUTS = 0, 16_000
FORGIVING = ("resumable state", "note of contents")  # what cannot be read is not missed: it is made again
TEXTS = 500  # of each reader of texts and values, below
STUDY = """\
datasets: {digits: {}}
tasks: {digits: [printed-handwritten]}
backbones: [test_resnet]
"""


@pytest.mark.filterwarnings("ignore")  # what decoders say beside their errors
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_changed_files_are_read_or_refused(reader: Any, tmp_path: Path) -> None:
    before = peak_mib()
    number = shares(INPUTS)[reader.name]
    outcome = play(reader, SEED, number, tmp_path)
    assert outcome.faults == {}
    assert outcome.read + outcome.refused == number
    assert outcome.refused or reader.name in FORGIVING
    assert peak_mib() - before < MIB


def test_they_are_as_many_as_the_page_says() -> None:
    assert sum(shares(INPUTS).values()) + TEXTS * len(READS) >= 20_000
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    rows = [f"| {kind} | {number:,} |" for kind, number in by_kind(INPUTS)]
    assert "\n".join([*rows, f"| texts and values | {TEXTS * len(READS):,} |"]) in page
    assert f"{SECONDS} seconds of CPU time or more than {MIB:,} MiB" in page


def _whole(text: str) -> Any:
    return parse_settings(found if isinstance(found := parse_yaml(text, where="x"), dict) else {})


WORDS = st.one_of(
    st.text(max_size=40), st.integers().map(str), st.lists(st.integers(-3, 9) | st.text(max_size=5)).map(
        lambda parts: ",".join(map(str, parts))
    ), st.just("9" * 5000), st.just("a" * 5000), st.sampled_from(["²", "0,1", "{split}_{seed}", "{", "{}", "{0}"]),
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from(["studies", "device", "warm", "finecal", "x"])
NAMES = st.sampled_from(["labels", "label_names", "id2label", "pretrained_cfg", "num_classes"])
# What people type and what files say → what reads it.
READS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "YAML": (st.text(max_size=60), lambda text: parse_yaml(text, where="x")),
    "settings as text": (st.text(max_size=60), _whole),
    "settings as values": (
        st.dictionaries(st.sampled_from(["studies", "device", "warm", "x"]), VALUES),
        parse_settings,
    ),
    "study": (VALUES, lambda value: parse_study(f"{STUDY}seeds: {value!r}\n", where="x")),
    "--fine-tuning": (WORDS, lambda text: mask_of(text, 6)),
    "--fine-tuning, with names": (WORDS, lambda text: mask_of(text, 3, ("a", "b", "0"))),
    "--classes": (WORDS, names_of),
    "pattern of paths": (WORDS, lambda text: fill(text, {"split": "a", "seed": 0}, "x")),
    "RUN": (WORDS, lambda text: RunKey.of(f"results/a/b-c/d/e/f/seed{text}")),
    "config.json": (st.dictionaries(NAMES, VALUES), label_names),
}


@pytest.mark.parametrize("name", READS)
def test_any_text_and_any_value_is_read_or_refused(name: str) -> None:
    texts, read = READS[name]

    @settings(
        max_examples=TEXTS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(texts)
    def show(value: Any) -> None:
        with contextlib.suppress(UserError):
            read(value)

    show()
