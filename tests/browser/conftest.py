"""A Chromium without network for the tests in this folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class Visit:
    """An open page, and everything that went wrong on it or was asked of the network."""

    page: Any
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.failed.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def until(self, expression: str, patience: float = 30.0) -> None:
        """Wait until something is true in the page.

        (Playwright's own way evaluates text in the page, which the pages' policy forbids.)
        """
        end = time.monotonic() + patience
        while not self._holds(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            self.page.wait_for_timeout(100)

    def _holds(self, expression: str) -> bool:
        try:
            return bool(self.page.evaluate(expression))
        except Exception as error:
            if "navigation" in str(error):  # the page is loading itself anew
                return False
            raise

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")


Open = Callable[..., Visit]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start the Chromium of the system, or the one that `GENRET_CHROMIUM` names."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (extra `dev`)"
    )
    named = os.environ.get("GENRET_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = named or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium was found; install one or name it in GENRET_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Open]:
    """Open a file in a window of its own, offline."""
    contexts = []

    def open_file(path: Path, *, scheme: str = "light", width: int = 1300) -> Visit:
        context = chromium.new_context(
            offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        visit = Visit(context.new_page())
        visit.watch()
        visit.page.goto(path.as_uri())
        return visit

    yield open_file
    for context in contexts:
        context.close()
