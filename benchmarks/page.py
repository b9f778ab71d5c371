"""The report page in headless Chromium: how large it is, and how long until it can be read and its charts are drawn.

    uv run python benchmarks/page.py [PAGE ...] [--repeats 5] [--quick]

Without a page, that of `finecal diagnose` for random logits of 10,000 samples and 100 classes. Each repeat opens the
file anew in a fresh context; times are medians, counted from the start of the navigation. Nothing here fails for being
slow.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import _measure
import numpy as np
from playwright.sync_api import Browser, sync_playwright

from finecal.library.command import diagnose_files as diagnose

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The script says in data-drawn what the charts show.
WATCH = """new MutationObserver((_, one) => {
    if (document.querySelector("[data-drawn]")) { window.drawn = performance.now(); one.disconnect(); }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-drawn"] });"""
TIMES = """() => {
    const [navigation] = performance.getEntriesByType("navigation");
    const [painted] = performance.getEntriesByName("first-contentful-paint");
    return [painted.startTime, navigation.domContentLoadedEventEnd, window.drawn];
}"""


def made_page(folder: Path, samples: int, classes: int) -> Path:
    """Write a page of random logits; half of the classes have larger ones."""
    random = np.random.default_rng(0)
    label = np.arange(samples) % classes
    logits = 3 * np.eye(classes, dtype=np.float32)[label] + random.standard_normal((samples, classes), np.float32)
    np.savez(folder / "before.npz", label=label, logits=logits)
    logits[:, ::2] += 2
    np.savez(folder / "tuned.npz", label=label, logits=logits)
    fine_tuning = ",".join(map(str, range(0, classes, 2)))
    diagnose(folder / "tuned.npz", fine_tuning, folder / "out", pretrained=str(folder / "before.npz"))
    return folder / "out" / "report.html"


def times(browser: Browser, page: Path) -> list[float]:
    """Return milliseconds until the first paint, until scripts have run (DOMContentLoaded), until charts are drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.add_init_script(WATCH)
    opened.goto(page.resolve().as_uri())
    opened.wait_for_function("window.drawn && performance.getEntriesByName('first-contentful-paint').length")
    found: list[float] = opened.evaluate(TIMES)
    context.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The report page in headless Chromium.")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small page, to see that it runs")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        sys.exit("there is no Chromium here")
    samples, classes = (200, 4) if args.quick else (10_000, 100)
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        pages = {str(page): page for page in args.pages}
        if not pages:
            pages = {f"{samples:,} samples × {classes} classes": made_page(Path(folder), samples, classes)}
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, page in pages.items():
            found = [times(browser, page) for _ in range(2 if args.quick else args.repeats)]
            moments = [f"{median(column):.0f}" for column in zip(*found, strict=True)]
            rows.append([name, f"{page.stat().st_size / _measure.MIB:.2f}", *moments])
        print(f"Chromium {browser.version}\n")
        browser.close()
    print(_measure.table(["page", "MiB", "can be read (ms)", "scripts have run (ms)", "charts drawn (ms)"], rows))


if __name__ == "__main__":
    main()
