"""The report page under mouse and keyboard in a real Chromium: it moves γ, and the numbers are those of the curve."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import opened, wait_for_charts, wait_until_drawn
from page_cases import CLASSES, GAMMAS, IN_S, logits, view, write_page
from playwright.sync_api import Browser, FloatRect, Page

from finecal.display import number
from finecal.library.command import diagnose_files as diagnose
from finecal.metrics.classification import group_maxima, seen_unseen_curve
from finecal.report import explorer

pytest_plugins = ["page_fixtures"]
pytestmark = pytest.mark.slow

EVIL = '"></script><script>window.broken=1;alert(1)</script><img src=x onerror="window.broken=1">'
RTL = "\u05d0\u05d1\u05d2 \u202eevil"
PHONE = (390, 844)


def box_of(page: Page, selector: str) -> FloatRect:
    """Where something is in the window, once it is scrolled into it."""
    one = page.locator(selector).first
    one.scroll_into_view_if_needed()
    box = one.bounding_box()
    assert box is not None
    return box


def data(page: Page) -> Any:
    return json.loads(page.text_content("#explorer-data") or "")


def shown(page: Page, part: str) -> str:
    return page.locator(f'[data-part="{part}"]').inner_text()


def stop(page: Page) -> int:
    return int(page.locator('[data-part="slider"]').input_value())


def check_numbers(page: Page, seed: int = 0) -> float:
    """Everything that is written is what the curve of the logits says at the γ of the slider; gives γ."""
    run = data(page)["runs"][seed]
    place = stop(page)
    last = len(run["gamma"]) - 1
    gamma = -np.inf if place == 0 else np.inf if place == last else run["gamma"][place]
    labels, before, tuned = logits(seed)
    curve = seen_unseen_curve(tuned, labels, IN_S)
    point, plain = curve.at(gamma), curve.at(0)
    for part, metric in (("y", "acc_y_y"), ("s", "acc_s_y"), ("u", "acc_u_y")):
        assert shown(page, f"here-{part}") == number(getattr(point, metric))
        assert shown(page, f"plain-{part}") == number(getattr(plain, metric))
        assert shown(page, f"change-{part}") == number(getattr(point, metric) - getattr(plain, metric), sign=True)
    right = before.argmax(axis=1) == labels
    assert shown(page, "before-u") == number(right[~IN_S[labels]].mean())
    predicted = group_maxima(tuned, IN_S).predictions(gamma if gamma != 0 else 1e-9)
    for name, members in (("s", IN_S[labels]), ("u", ~IN_S[labels])):
        for side, there in (("s", IN_S[predicted]), ("u", ~IN_S[predicted])):
            count = int((members & there).sum())
            assert shown(page, f"{name}-in-{side}").startswith(f"{count} ({number(count / members.sum())} %)")
    said = page.locator('[data-part="slider"]').get_attribute("aria-valuetext") or ""
    assert f"right {number(point.acc_y_y)} % of all" in said
    return float(gamma)


def confusion(page: Page) -> list[int]:
    """The numbers in the cells of the confusion matrix, sorted."""
    texts = page.locator('[data-chart="matrix"] .mark-text.role-mark text').all_text_contents()
    return sorted(int(text) for text in texts)


def test_keyboard_moves_gamma_and_the_numbers_are_the_curves(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        page.locator('[data-part="slider"]').focus()
        start, found = stop(page), [check_numbers(page)]
        for key in ("ArrowRight", "ArrowRight", "ArrowUp", "PageDown", "ArrowLeft", "Home", "End"):
            page.keyboard.press(key)
            found.append(check_numbers(page))
        assert found[1] < found[2] < found[3]
        assert found[-2:] == [-np.inf, np.inf]
        assert shown(page, "here-s") == "0.0"
        assert start == next(m["stop"] for m in data(page)["runs"][0]["marks"] if m["name"] == "pcv")  # the advice


def test_mouse_drags_the_slider_and_the_charts_follow(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        before = {
            name: page.inner_html(f'[data-chart="{name}"]') for name in ("curve", "accuracy", "margins", "matrix")
        }
        box = box_of(page, '[data-part="slider"]')
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.5 * box["width"], middle)
        page.mouse.down()
        assert abs(stop(page) / len(data(page)["runs"][0]["gamma"]) - 0.5) < 0.05
        check_numbers(page)
        page.mouse.move(box["x"] + 0.2 * box["width"], middle, steps=5)
        page.mouse.up()
        gamma = check_numbers(page)
        wait_until_drawn(page)
        for name, drawn in before.items():
            assert page.inner_html(f'[data-chart="{name}"]') != drawn, name
        labels, _, tuned = logits()
        pairs = labels * 6 + group_maxima(tuned, IN_S).predictions(gamma)
        assert confusion(page) == sorted(np.unique(pairs, return_counts=True)[1].tolist())


def test_marks_are_places_to_jump_to(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        buttons = page.locator("[data-mark]")
        assert buttons.evaluate_all("all => all.map(one => one.dataset.mark)") == [
            "none",
            "alg",
            "oracle",
            "pcv",
        ]  # by γ
        for name, gamma in (("none", 0), *((name, gamma) for name, (gamma, _) in GAMMAS.items())):
            page.locator(f'[data-mark="{name}"]').focus()
            page.keyboard.press("Enter")
            assert check_numbers(page) == gamma
            assert page.locator('[aria-pressed="true"]').get_attribute("data-mark") == name
        page.locator('[data-mark="oracle"]').click()
        check_numbers(page)
        labels, _, tuned = logits()
        assert shown(page, "here-y") == number(seen_unseen_curve(tuned, labels, IN_S).acc_y_y.max())
        assert "†" in page.locator('[data-mark="oracle"]').inner_text()


def test_a_click_on_the_curve_moves_the_slider(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        page.locator('[data-mark="none"]').click()
        plot = box_of(page, '[data-chart="curve"] svg .root .background')
        labels, _, tuned = logits()
        curve = seen_unseen_curve(tuned, labels, IN_S)
        s, u = curve.acc_s_y[curve.best()], curve.acc_u_y[curve.best()]
        page.mouse.click(plot["x"] + s * plot["width"], plot["y"] + (1 - u) * plot["height"])
        page.wait_for_function("document.querySelector('[data-mark=none]').ariaPressed === 'false'")
        check_numbers(page)
        for part, value in (("s", s), ("u", u)):
            assert abs(float(shown(page, f"here-{part}")) - 100 * value) < 3


def test_another_run_has_its_own_numbers(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        choices = page.locator('[data-part="choices"] label:visible')
        assert [text.split()[0] for text in choices.all_inner_texts()] == ["Split"]
        page.locator('[data-part="choices"] select:visible').select_option("b")
        wait_until_drawn(page)
        check_numbers(page, seed=1)
        assert page.locator('[aria-pressed="true"]').get_attribute("data-mark") == "pcv"  # it stays
        assert "/b/0/samples.parquet" in (page.locator('[data-part="sources"] a').first.get_attribute("href") or "")
        labels, _, tuned = logits(1)
        pairs = labels * 6 + group_maxima(tuned, IN_S).predictions(GAMMAS["pcv"][0])
        assert confusion(page) == sorted(np.unique(pairs, return_counts=True)[1].tolist())


def test_pictures_say_before_after_and_now(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        wait_for_charts(page)
        labels, before, tuned = logits()
        run, maxima = data(page)["runs"][0], group_maxima(tuned, IN_S)
        blocks = page.locator(".examples-class")
        assert [text.split()[0] for text in blocks.locator("h5").all_inner_texts()] == [
            *("birch", "dogwood", "fir"), *("ash", "cedar", "elm"),
        ]  # fmt: skip
        for name in ("none", "pcv"):
            page.locator(f'[data-mark="{name}"]').click()
            gamma = run["gamma"][stop(page)]
            now, plain = maxima.predictions(gamma), maxima.predictions(0)
            found = page.locator(".thumbs figure").evaluate_all(
                "all => all.map(one => [one.querySelector('img').alt, one.classList.contains('right')])"
            )
            expected = set()
            for i in range(len(labels)):
                said = [CLASSES[c] for c in (labels[i], before[i].argmax(), plain[i], now[i])]
                alt = "{}: pretrained {}, fine-tuned {}, with this γ {}".format(*said)
                expected.add((alt, bool(now[i] == labels[i])))
            assert len(found) == 36
            assert {tuple(one) for one in found} <= expected
        words = page.locator("h5").first.inner_text()
        first = page.locator(".thumbs").first.locator("figure.right").count()
        assert words == f"birch ({first} of 6 right)"


def test_leaderboard_sorts_and_filters(browser: Browser, file: Path) -> None:
    with opened(browser, file) as page:
        table = page.locator("#table-leaderboard")
        titles = [text.strip(" ↕↑↓") for text in table.locator("thead th").all_inner_texts()]
        column, names = titles.index("U"), titles.index("method")

        def column_of(place: int) -> list[str]:
            return table.locator(f"tbody tr:visible td:nth-child({place + 1})").all_inner_texts()

        def values() -> list[float]:
            return [float(text.split()[0].replace("−", "-")) for text in column_of(column)]

        head = table.locator("thead th").nth(column)
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert values() == sorted(values(), reverse=True)
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert values() == sorted(values())
        rows = len(column_of(names))
        assert any("γ*" in name for name in column_of(names))
        page.locator('input[value="test labels"]').uncheck()
        page.locator('input[value="pseudo-splits"]').focus()
        page.keyboard.press("Space")
        left = column_of(names)
        assert len(left) == rows - 2
        assert not any("γ*" in name or "PCV" in name for name in left)
        assert f"{rows - 2} of {rows} rows" in page.locator(".filters output").inner_text()


@pytest.mark.parametrize("hostile", [False, True])
def test_phone_has_no_horizontal_scroll(browser: Browser, tmp_path: Path, hostile: bool) -> None:
    long = {"dataset": "d" * 120, "recipe": "r" * 80, "classes": tuple(f"{name}{'y' * 90}" for name in CLASSES)}
    file = write_page(tmp_path, **(long if hostile else {}))
    with opened(browser, file, *PHONE) as page:
        wait_for_charts(page)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        if not hostile:  # what one came for is in sight without scrolling inside the table
            box = box_of(page, '[data-part="change-y"]')
            assert box["x"] + box["width"] <= PHONE[0]
        box = box_of(page, '[data-part="slider"]')
        assert box["height"] >= 24
        page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
        assert abs(stop(page) / len(data(page)["runs"][0]["gamma"]) - 0.25) < 0.05
        check_numbers(page)


def test_hostile_names_are_text_everywhere(browser: Browser, tmp_path: Path) -> None:
    classes = (EVIL, "'; alert(1) //", RTL, "{{ 7 * 7 }}", "datum.label", "</style><b>bold")
    file = write_page(tmp_path, dataset=EVIL, task=f"a-{RTL}", recipe="<b>recipe</b>", classes=classes)
    with opened(browser, file) as page:
        wait_for_charts(page)
        page.locator('[data-mark="none"]').click()
        page.locator('[data-chart="matrix"] .mark-text.role-mark text').last.hover()
        page.wait_for_selector("#vg-tooltip-element.visible")
        check_numbers(page)
        assert page.evaluate("window.broken") is None
        assert page.locator("b", has_text="bold").count() == 0
        assert page.locator("img[src=x]").count() == 0
        assert EVIL in page.locator("#answer").inner_text()
        headings = " ".join(page.locator("h5").all_inner_texts())
        assert all(name in headings for name in classes)
        link = page.locator('[data-part="sources"] a').first.get_attribute("href") or ""
        assert re.fullmatch(r"[\w%.~!*'()/-]+", link)


def test_a_run_without_classes_says_so(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = explorer.explorer(explorer.Explored([view()]))["runs"][0]["cells"]["n"]
    monkeypatch.setattr(explorer, "ROWS", len(rows))  # no room for the second run's
    with opened(browser, write_page(tmp_path)) as page:
        wait_for_charts(page)
        sentence = page.locator("[data-lacks=cells]")
        assert not sentence.is_visible()
        page.locator('[data-part="choices"] select:visible').select_option("b")
        assert sentence.is_visible()
        assert not page.locator('[data-chart="matrix"]').is_visible()
        check_numbers(page, seed=1)
        page.locator('[data-part="choices"] select:visible').select_option("a")
        wait_until_drawn(page)
        assert page.locator('[data-chart="matrix"] svg').is_visible()
        assert box_of(page, '[data-chart="classes_u"] svg')["width"] > 300


def test_page_reads_without_scripts(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert "needs JavaScript" in page.locator("#explore").inner_text()
    assert page.locator("#table-leaderboard").is_visible()
    context.close()


def test_page_of_own_logits(browser: Browser, tmp_path: Path) -> None:
    """`finecal diagnose` writes the same page; it names no target, and links what lies beside it."""
    labels, before, tuned = logits()
    for name, values in (("tuned", tuned), ("before", before)):
        np.savez(tmp_path / f"{name}.npz", label=labels, logits=values)
    classes = ",".join(map(str, np.flatnonzero(IN_S)))
    diagnose(tmp_path / "tuned.npz", classes, tmp_path / "out", pretrained=str(tmp_path / "before.npz"))
    with opened(browser, tmp_path / "out" / "report.html") as page:
        wait_for_charts(page)
        page.locator('[data-mark="oracle"]').click()
        assert check_numbers(page) > 0
        assert "snakemake" not in page.inner_text("main")
        links = page.locator(".source a").evaluate_all("found => found.map(a => a.getAttribute('href'))")
        assert {"metrics.parquet", "samples.parquet"} <= set(links)
        assert all((tmp_path / "out" / link).is_file() for link in links)
