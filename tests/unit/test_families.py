"""Every family of timm's models: what docs/families.md says of it is so."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from finecal import registry
from finecal.errors import UserError
from finecal.models.plain_head import check_without_weights
from finecal.plan.options import IMPORTED

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from _families import OF_LAYERS, Family, families, live, models_of_timm  # noqa: E402
from families import NOT_MEASURED, rows_of  # noqa: E402

FAMILIES = families()
ROWS = rows_of((ROOT / "docs" / "families.md").read_text("utf-8"))
# Small models that differ in kind: residual, inverted, plain and norm-free convolutions; attention with class tokens,
# relative positions, rotary positions, gates, over channels, in windows; mixers; models of both kinds.
LIVED = (
    "byobnet", "convit", "convnext", "cspnext", "edgenext", "efficientnet", "efficientvit_mit", "eva", "inception_next",
    "mambaout", "maxxvit", "mlp_mixer", "mobilenetv3", "nfnet", "resnet", "starnet", "vision_transformer",
    "vision_transformer_relpos",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


MEASURED = [family for family in FAMILIES if ROWS[family.name][3] != NOT_MEASURED]


def said(family: Family) -> tuple[str, set[str]]:
    """Why the page says that the family is refused, empty if it is not; and which recipes do not suit it."""
    cell = ROWS[family.name][3]
    if cell.startswith("refused: "):
        return cell.removeprefix("refused: "), set()
    assert re.fullmatch(r"all|all but [\w, ]+", cell)
    return "", set(cell.removeprefix("all").removeprefix(" but ").split(", ")) - {""}


def test_the_list_has_every_module_of_timm_with_a_model_of_its_own() -> None:
    modules = models_of_timm()
    assert {family.name for family in FAMILIES} == set(modules)
    assert len(FAMILIES) == len(modules)
    assert [family for family in FAMILIES if family.model not in modules[family.name]] == []


def test_the_page_has_a_row_for_each_of_the_list() -> None:
    assert list(ROWS) == sorted(family.name for family in FAMILIES)
    for family in FAMILIES:
        model, pixels = ROWS[family.name][1:3]
        assert model.split(", ")[0] == family.model
        assert pixels == str(family.image_size)


@pytest.mark.parametrize("family", MEASURED, ids=lambda family: family.name)
def test_what_check_says_of_a_family(family: Family) -> None:
    """Without weights: it is taken or refused as the page says, and so is each recipe."""
    refused, without = said(family)
    if refused:
        with pytest.raises(UserError) as caught:
            check_without_weights(family.describe())
        assert caught.value.what == refused
        return
    model = check_without_weights(family.describe())
    found = set()
    for name in registry.names("recipe"):
        if name != IMPORTED:
            module = registry.load("recipe", name)
            try:
                module.Recipe(module.Options()).check(model)
            except UserError:
                found.add(name)
    assert found == without


def lives(family: Family) -> None:
    life = live(family, OF_LAYERS)
    assert life.refused == said(family)[0]
    assert {name for name, why in life.recipes.items() if why} == said(family)[1] & {*OF_LAYERS}
    assert (life.failed, life.resumed, life.files) == ([], [], "")


@pytest.mark.parametrize("family", [one for one in MEASURED if one.name in LIVED], ids=lambda family: family.name)
def test_it_is_trained_resumed_saved_loaded_and_exported(family: Family) -> None:
    lives(family)


@pytest.mark.slow
@pytest.mark.parametrize("family", [one for one in MEASURED if one.name not in LIVED], ids=lambda family: family.name)
def test_so_are_all_others(family: Family) -> None:
    lives(family)
