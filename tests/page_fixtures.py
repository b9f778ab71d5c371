"""Fixtures of the tests that open the report in a browser: `pytest_plugins = ["page_fixtures"]` in a test file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from page_cases import write_page
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs."""
    return write_page(tmp_path_factory.mktemp("page"))
