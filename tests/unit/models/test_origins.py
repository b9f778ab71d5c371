"""Checkpoints of every origin, written by the real libraries: equal logits, or refused with a sentence that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from origins import BEGIN, DOCS, END, Origin, all_origins, table

from finecal.errors import UserError
from finecal.models.build import architecture
from finecal.models.checkpoints import load_checkpoint

CLASSES = ("ant", "bee", "cod", "dab")
ORIGINS = all_origins()


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda one: f"{one.library}: {one.what}")
def test_logits_are_equal_or_it_is_refused(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)  # libraries draw weights; what is compared does not depend on which tests ran before
    path, model = origin.write()
    if origin.refused:
        with pytest.raises(UserError) as caught:
            load(origin, path)
        assert str(caught.value) == origin.refused
        return
    images = torch.randn(3, 3, origin.size, origin.size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = model.eval()(images), load(origin, path)(images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def load(origin: Origin, path: str) -> torch.nn.Module:
    backbone = {"model": origin.model, "options": dict(origin.options), "image_size": origin.size, "weights": path}
    return load_checkpoint(path, {}, architecture(backbone, CLASSES, 3), keep_head=True).eval()


def test_the_table_in_the_docs_is_of_these() -> None:
    """`python tests/origins.py` writes it."""
    written = DOCS.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    assert written == table(ORIGINS)
