"""Pages in a real, headless Chromium without network, for tests with mouse and keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine; skips the tests where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Watched:
    """An open page, and everything that it should not have done."""

    def __init__(self, browser: Browser, file: Path, width: int, height: int) -> None:
        self.complaints: list[str] = []
        self.page: Page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        address = file.resolve().as_uri()
        self.page.on("request", lambda request: self._check(request.url, address))
        self.page.goto(address)

    def _check(self, url: str, address: str) -> None:
        if url != address and not url.startswith(("data:", "blob:")):
            self.complaints.append(f"request: {url}")

    def close(self) -> None:
        """Close the page; fails if there was an error, a warning, a dialog, or a request."""
        self.page.context.close()
        assert self.complaints == []


@contextmanager
def opened(browser: Browser, file: Path, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """A page in a window of this size; at the end it must have had no error, warning, dialog or request."""
    watched = Watched(browser, file, width, height)
    yield watched.page
    watched.close()


def wait_for_charts(page: Page) -> None:
    page.wait_for_selector('[data-chart="matrix"] svg')
    page.wait_for_selector("[data-drawn]")


def wait_until_drawn(page: Page) -> None:
    """Until the charts show the run and the stop that the numbers are of."""
    page.wait_for_function("""() => {
        const root = document.querySelector('[data-explorer]'), [, drawn] = (root.dataset.drawn || '').split(' ');
        const folder = root.querySelector('[data-part=sources] a').getAttribute('href');
        const there = root.dataset.drawn && folder.startsWith(root.dataset.drawn.split(' ')[0]);
        return there && drawn === root.querySelector('[data-part=slider]').value;
    }""")
