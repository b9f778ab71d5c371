"""The answer in a real Chromium: on one screen of a phone, open on paper, no column cut, no word on an axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browser import opened, wait_for_charts
from logits_cases import CLASSES, S, arrays
from playwright.sync_api import Browser, Page

from finecal.library.command import diagnose_files

pytest_plugins = ["page_fixtures"]
pytestmark = pytest.mark.slow
HEIGHT = 800
CUT = """found => found.filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.getAttribute("aria-labelledby"))"""
# Labels of the methods on the curve that meet the line or a number of an axis, or leave the chart.
ON_AXIS = """chart => {
  const box = (one) => one.getBoundingClientRect(), svg = box(chart.querySelector("svg"));
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const axes = ".role-axis .role-axis-label text, .role-axis .role-axis-domain line";
  const taken = [...chart.querySelectorAll(axes)].map(box);
  if (taken.length < 8) return ["no axes"];
  const words = [...chart.querySelectorAll(".role-mark.mark-text text")].filter((one) => one.textContent);
  if (!words.length) return ["no words"];
  return words.filter((one) => taken.some((other) => meet(box(one), other))
    || box(one).left < svg.left || box(one).right > svg.right + 1).map((one) => one.textContent);
}"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `finecal diagnose`."""
    folder, made = tmp_path_factory.mktemp("own"), arrays(600)
    np.savez(folder / "tuned.npz", **made)
    before = made["logits"] - np.where(np.arange(6) < 3, 4, 0)
    np.savez(folder / "before.npz", logits=before + np.random.default_rng(1).normal(size=before.shape))
    names = ",".join(CLASSES)
    given = ",".join(map(str, S))
    diagnose_files(folder / "tuned.npz", given, folder / "out", pretrained=str(folder / "before.npz"), classes=names)
    return folder / "out/report.html"


def bottom(page: Page, selector: str) -> float:
    found: float = page.evaluate("name => document.querySelector(name).getBoundingClientRect().bottom", selector)
    return found


@pytest.mark.parametrize("width", [360, 375, 390])
def test_the_answer_fits_on_the_screen_of_a_phone(browser: Browser, file: Path, own: Path, width: int) -> None:
    for one in (file, own):
        with opened(browser, one, width, HEIGHT) as page:
            assert bottom(page, ".advice") <= HEIGHT
            assert page.evaluate("document.documentElement.scrollWidth") == width
            lines = page.locator(".findings li").all_inner_texts()
            assert len(lines) == 3
            assert all(line.strip()[0] in "▼▲=·" for line in lines)
            assert not page.locator(".answer details p").first.is_visible()
            page.locator(".answer summary").first.click()
            assert page.locator(".answer details p").first.is_visible()


def test_the_sentences_are_open_on_paper(browser: Browser, own: Path) -> None:
    with opened(browser, own) as page:
        hidden = page.locator(".answer details p").first
        assert not hidden.is_visible()
        page.emulate_media(media="print")
        heights = page.evaluate("() => [...document.querySelectorAll('details p')].map(one => one.offsetHeight)")
        assert len(heights) > 3
        assert all(heights)
        page.emulate_media(media="screen")
        assert page.pdf().startswith(b"%PDF")
        assert not hidden.is_visible()  # closed again


@pytest.mark.parametrize("width", [1100, 1280])
def test_no_column_is_cut(browser: Browser, file: Path, width: int) -> None:
    with opened(browser, file, width, HEIGHT) as page:
        assert page.locator(".board table").count() == 3
        assert page.locator(".scroll").count() > 5
        assert page.locator(".scroll").evaluate_all(CUT) == []


def test_on_a_phone_tables_scroll_in_their_own_box(browser: Browser, file: Path) -> None:
    with opened(browser, file, 375, HEIGHT) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        box = page.locator(".board").first
        box.evaluate("one => { one.scrollLeft = one.scrollWidth; }")
        last, right = (page.locator(name).first.bounding_box() for name in (".board thead th:last-child", ".board"))
        assert last
        assert right
        assert last["x"] + last["width"] <= right["x"] + right["width"] + 1


@pytest.mark.parametrize("width", [375, 1280])
def test_no_word_lies_on_an_axis(browser: Browser, file: Path, own: Path, width: int) -> None:
    for one in (file, own):
        with opened(browser, one, width, HEIGHT) as page:
            wait_for_charts(page)
            assert page.locator('[data-chart="curve"]').evaluate(ON_AXIS) == []


def test_the_slider_opens_at_the_gamma_that_is_advised(browser: Browser, own: Path) -> None:
    with opened(browser, own) as page:
        wait_for_charts(page)
        said = page.locator('[data-part="gamma"]').inner_text()
        gamma = said.partition("γ = ")[2].partition(" ")[0]
        assert f"Add γ = {gamma}" in page.inner_text(".advice").replace("\u00a0", " ")


def test_a_page_made_from_logits_does_not_speak_of_images(browser: Browser, own: Path) -> None:
    with opened(browser, own) as page:
        wait_for_charts(page)
        text = (page.locator("body").text_content() or "").lower()
        for script in page.locator("script").all_text_contents():
            text = text.replace(script.lower(), "")
        assert "image" not in text
        assert "picture" not in text
        assert "own model" not in text


def test_words_are_explained_where_they_first_stand(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        text = " ".join(page.inner_text("body").replace("\u00a0", " ").split())
        for term, meaning in (
            ("S", "fine-tuned on some of its classes, S"), ("U,", "the others, U, were absent"),
            ("γ*", "γ* is the best γ for the test labels, an upper bound"),
            ("AUSUC", "the area under it, AUSUC"), ("NCM", "nearest class mean"),
        ):  # fmt: skip
            place = text.index(f" {term}") if term in ("S", "U,") else text.index(term)
            assert meaning in text[max(place - 60, 0) : place + 80], term
