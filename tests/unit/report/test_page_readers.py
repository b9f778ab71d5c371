"""The report page for every reader: numbers of charts in tables, verdicts in words, contrast, paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import opened, wait_for_charts, wait_until_drawn
from page_cases import CLASSES, GAMMAS, IN_S, logits
from playwright.sync_api import Browser, Page
from result_tables import made_tables

from finecal.display import number
from finecal.metrics.classification import group_maxima
from finecal.report.study_page import render

pytest_plugins = ["page_fixtures"]
pytestmark = pytest.mark.slow

PAPER = 680  # A4 without its margins, in pixels


def rows_of_classes(page: Page) -> list[list[str]]:
    rows = page.locator("#table-classes tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def expected_rows(gamma: float, seed: int = 0) -> list[list[str]]:
    """The table of classes by hand: those of U first."""
    labels, before, tuned = logits(seed)
    maxima, rows = group_maxima(tuned, IN_S), []
    for c in (1, 3, 5, 0, 2, 4):
        own = labels == c
        old, plain = before[own].argmax(1) == c, tuned[own].argmax(1) == c
        now = maxima.predictions(gamma)[own] == c
        shares = [number(right.mean()) for right in (old, plain, now)]
        change = number(now.mean() - plain.mean(), sign=True)
        rows.append([CLASSES[c], "S" if IN_S[c] else "U", str(own.sum()), *shares, change])
    return rows


def test_every_class_is_in_a_table(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        for name, (gamma, _) in GAMMAS.items():
            page.locator(f'[data-mark="{name}"]').click()
            assert rows_of_classes(page) == expected_rows(gamma)
        heads = page.locator("#table-classes thead button")
        heads.last.focus()
        page.keyboard.press("Enter")
        for name in ("pcv", "alg"):  # the order follows the numbers
            page.locator(f'[data-mark="{name}"]').click()
            changes = [float(row[-1].replace("−", "-")) for row in rows_of_classes(page)]
            assert changes == sorted(changes, reverse=True)
            assert sorted(rows_of_classes(page)) == sorted(expected_rows(GAMMAS[name][0]))
        page.locator('[data-part="choices"] select:visible').select_option("b")
        assert sorted(rows_of_classes(page)) == sorted(expected_rows(GAMMAS["alg"][0], seed=1))


def test_what_is_not_on_the_curve_is_in_words(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        said = page.locator('[data-part="others"] li').all_inner_texts()
        labels, before, tuned = logits()
        for words, right in zip(
            said, (before.argmax(1) == labels, (0.5 * tuned + before).argmax(1) == labels), strict=True
        ):
            of_s = IN_S[labels]
            numbers = [number(right[part].mean()) for part in (np.ones_like(of_s), of_s, ~of_s)]
            assert words.endswith("right {} % of all, {} % of S, {} % of U".format(*numbers))
        assert [words.partition(":")[0] for words in said] == ["pretrained", "cosine"]


def test_prints(browser: Browser, file: Path) -> None:
    with opened(browser, file, PAPER, 1000) as page:
        wait_for_charts(page)
        pdf = page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        page.emulate_media(media="print")
        assert not page.locator('[data-part="slider"]').is_visible()
        assert page.locator('[data-part="gamma"]').is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
        for name in ("curve", "margins", "matrix"):
            assert page.locator(f'[data-chart="{name}"] svg').is_visible()


def test_names_for_screen_readers(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        nameless = page.evaluate("""() => [...document.querySelectorAll(
            'button, select, input, img, [role=img], [role=region], [role=group], [tabindex]'
        )].filter((one) => one.checkVisibility() && !(
            one.getAttribute('aria-label') || one.getAttribute('aria-labelledby') || one.alt || one.closest('label')
            || one.textContent.trim()
        )).map((one) => one.outerHTML.slice(0, 90))""")
        assert nameless == []


def test_verdicts_are_in_words(browser: Browser, tmp_path: Path) -> None:
    """The overview of several settings: a sign and a word in each cell, and the setting heads its row."""
    made = {name: pd.concat([one, made_tables(task="a-c")[name]]) for name, one in made_tables(task="a-b").items()}
    html = render(made, {}, made=("leaderboard",), studies="", provenance={})
    place = tmp_path / "report.html"
    place.write_text(html, "utf-8")
    with opened(browser, place) as page:
        table = page.get_by_role("region", name="Change by fine-tuning").locator("table")
        assert table.locator("tbody th[scope=row]").all_inner_texts() == ["a → b", "a → c"]
        cells = table.locator("tbody tr").first.locator("td").all_inner_texts()
        assert [cell.split("\n")[0] for cell in cells[:3]] == ["▲ improved", "= unchanged", "▼ damaged"]
        assert page.locator("fieldset > legend").inner_text() == "Methods that read at most"


# The W3C's relative luminance and contrast; gives what lies below the least that is allowed.
FAINT = """([chosen, least]) => {
    const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(rgb[i] / 255), 0);
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const found = parts(getComputedStyle(at).backgroundColor);
            if (found.length === 3 || found[3] > 0) return found;
        }
        return [255, 255, 255];
    };
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    const shown = [...document.querySelectorAll(chosen)].filter((one) => one.checkVisibility());
    const written = (one) => [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    return shown.filter((one) => least === 3 || written(one)).map((one) => {
        const style = getComputedStyle(one), around = least === 3 ? one.parentElement : one;
        const back = one.dataset.back ? parts(one.dataset.back) : behind(around);
        const front = one instanceof SVGElement ? style.fill : least === 3 ? style.borderTopColor : style.color;
        return [contrast(parts(front), back), one.outerHTML.slice(0, 80)];
    }).filter(([found]) => found < least);
}"""


def test_contrast(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        assert page.evaluate(FAINT, ["body, main *:not(svg *):not(script):not(style), header *", 4.5]) == []
        assert page.evaluate(FAINT, [".marks button, .thumbs figure", 3]) == []
        assert page.evaluate(FAINT, [".chart svg text", 4.5]) == []
        for name in ("none", "alg", "oracle"):
            page.locator(f'[data-mark="{name}"]').click()
            wait_until_drawn(page)
            # A number lies on the box with its row and column, which are drawn in the same order.
            boxes, numbers = (page.locator(f'[data-chart="matrix"] .mark-{mark}.role-mark {tag}') for mark, tag in
                              (("rect", "path"), ("text", "text")))  # fmt: skip
            assert boxes.count() == numbers.count() > 6
            colours = boxes.evaluate_all("all => all.map((one) => getComputedStyle(one).fill)")
            numbers.evaluate_all("(all, found) => all.forEach((one, i) => { one.dataset.back = found[i]; })", colours)
            assert page.evaluate(FAINT, ['[data-chart="matrix"] .mark-text.role-mark text', 4.5]) == []
        page.locator('[data-part="slider"]').focus()
        page.keyboard.press("Tab")
        page.evaluate(
            "document.activeElement.style.borderColor = getComputedStyle(document.activeElement).outlineColor"
        )
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert page.evaluate(FAINT, [":focus", 3]) == []
