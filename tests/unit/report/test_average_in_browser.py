"""The switch between averages in a real Chromium: per sample at first, per class on demand, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import opened, wait_for_charts
from page_cases import IN_S, logits
from playwright.sync_api import Browser, Page

from finecal.display import number
from finecal.library.command import diagnose_files as diagnose
from finecal.metrics.classification import group_maxima, seen_unseen_curve
from finecal.metrics.per_class import accuracies, per_class_curve

pytest_plugins = ["page_fixtures"]
pytestmark = pytest.mark.slow

PARTS = (("y", "acc_y_y"), ("s", "acc_s_y"), ("u", "acc_u_y"))
KEPT = (40, 40, 5, 9, 33, 2)  # samples of each class


def unequal() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and logits before and after, with many samples of some classes and few of others."""
    labels, before, tuned = logits(4)
    kept = np.concatenate([np.flatnonzero(labels == c)[:n] for c, n in enumerate(KEPT)])
    return labels[kept], before[kept], tuned[kept]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `finecal diagnose` for classes of unequal size."""
    folder = tmp_path_factory.mktemp("own")
    labels, before, tuned = unequal()
    for name, values in (("tuned", tuned), ("before", before)):
        np.savez(folder / f"{name}.npz", label=labels, logits=values)
    classes = ",".join(map(str, np.flatnonzero(IN_S)))
    diagnose(folder / "tuned.npz", classes, folder / "out", pretrained=str(folder / "before.npz"))
    return folder / "out" / "report.html"


def shown(page: Page, part: str) -> str:
    return page.locator(f'[data-part="{part}"]').inner_text()


def switch(page: Page, kind: str) -> None:
    """Choose an average by the keyboard's way, and wait until the charts show it."""
    page.locator(f"[name=average][value={kind}]").check()
    page.wait_for_function(f"document.querySelector('[data-explorer]').dataset.drawn.endsWith(' {kind}')")


def check(page: Page, kind: str) -> None:
    """What is written are the accuracies of the logits at the slider's γ, averaged as chosen."""
    run: Any = json.loads(page.text_content("#explorer-data") or "")["runs"][0]
    stop = int(page.locator('[data-part="slider"]').input_value())
    gamma = {0: -np.inf, len(run["gamma"]) - 1: np.inf}.get(stop, run["gamma"][stop])
    labels, before, tuned = unequal()
    maxima = group_maxima(before, IN_S)
    if kind == "class":
        curve, pretrained = per_class_curve(tuned, labels, IN_S), accuracies(maxima, labels)
    else:
        curve, pretrained = seen_unseen_curve(tuned, labels, IN_S), maxima.accuracies(labels)
    here, plain = curve.at(gamma), curve.at(0)
    for part, metric in PARTS:
        assert shown(page, f"here-{part}") == number(getattr(here, metric))
        assert shown(page, f"plain-{part}") == number(getattr(plain, metric))
        assert shown(page, f"before-{part}") == number(pretrained[metric].value)
        change = round(getattr(here, metric) - getattr(plain, metric), 8)
        assert shown(page, f"change-{part}") == number(change, sign=True)
    assert shown(page, "ausuc") == number(curve.ausuc, 1, 3)
    assert ("per class, right" in shown(page, "gamma")) == (kind == "class")
    assert f"right {number(here.acc_y_y)} % of all" in shown(page, "gamma")
    words = f"pretrained: right {number(pretrained['acc_y_y'].value)} % of all"
    assert page.locator('[data-part="others"] li').first.inner_text().startswith(words)


def line(page: Page) -> str | None:
    return page.locator('[data-chart="curve"] .mark-line path').first.get_attribute("d")


def test_the_switch_changes_numbers_and_curve_and_back(browser: Browser, own: Path) -> None:
    with opened(browser, own) as page:
        wait_for_charts(page)
        check(page, "sample")
        first = line(page)
        assert shown(page, "n-u") == str(sum(n for n, of_s in zip(KEPT, IN_S, strict=True) if not of_s))
        switch(page, "class")
        check(page, "class")
        assert line(page) != first
        assert (shown(page, "n-s"), shown(page, "n-u"), shown(page, "n-y")) == ("3", "3", "6")
        page.locator('[data-part="slider"]').focus()
        for key in ("Home", "ArrowRight", "PageUp", "PageUp", "PageUp", "End"):
            page.keyboard.press(key)
            check(page, "class")
        page.locator('[data-mark="oracle"]').click()
        check(page, "class")
        switch(page, "sample")
        check(page, "sample")
        assert line(page) == first


def test_only_the_words_of_the_chosen_average_are_there(browser: Browser, own: Path) -> None:
    with opened(browser, own) as page:
        wait_for_charts(page)
        for kind, other in (("sample", "class"), ("class", "sample"), ("sample", "class")):
            switch(page, kind)
            assert page.locator(f"[data-average={kind}]:visible").count() == 4
            assert page.locator(f"[data-average={other}]:visible").count() == 0


def test_another_run_keeps_the_average(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        switch(page, "class")
        page.locator('[data-part="choices"] select:visible').select_option("b")
        page.wait_for_function("/[/]b[/]0 .* class$/.test(document.querySelector('[data-explorer]').dataset.drawn)")
        assert shown(page, "n-y") == "6"
        labels, _, tuned = logits(1)
        assert shown(page, "ausuc") == number(per_class_curve(tuned, labels, IN_S).ausuc, 1, 3)


def test_a_phone_shows_the_numbers_of_both_averages(browser: Browser, own: Path) -> None:
    with opened(browser, own, 390, 844) as page:
        wait_for_charts(page)
        for kind in ("class", "sample"):
            switch(page, kind)
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            box = page.locator('[data-part="change-y"]').bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 390
