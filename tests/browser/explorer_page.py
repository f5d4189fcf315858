"""The explorer in a page, as a person uses it: a point, the law, the slider, a file to keep."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

# What the console says of its own accord. Everything else fails the test.
HARMLESS = (
    # Voila carries shared modules of JupyterLab 4.2 and the extensions ask for 4.6's: it says so, and works
    re.compile(r"Unsatisfied version .* of shared singleton module @jupyterlab/"),
    re.compile(r"No satisfying version .* of shared module @jupyterlab/"),
)
SMALL = 60_000  # milliseconds, for what waits on a kernel
DRAWN = ".genret-explorer .js-plotly-plot .main-svg"
USED = "document.querySelector('.gx-facts b').innerText"
FIRST = "document.querySelector('.genret-explorer .js-plotly-plot')"
LAST_X = f"""() => {{
  const graph = {FIRST};
  let last = 0;
  for (const trace of graph.calcdata || [])
    for (const point of trace) if (isFinite(point.x)) last = Math.max(last, point.x);
  return last;
}}"""
POINTS = f"""() => {{
  const graph = {FIRST};
  const found = graph._fullData.findIndex(trace => trace.customdata && trace.mode === 'markers');
  const box = graph.getBoundingClientRect(), {{xaxis, yaxis}} = graph._fullLayout;
  const place = point => [
    box.left + xaxis._offset + xaxis.c2p(point.x), box.top + yaxis._offset + yaxis.c2p(point.y)];
  return graph.calcdata[found].map(place);
}}"""


@dataclass
class Page:
    """A window of its own, and everything that went wrong in it or was asked of the network."""

    page: Any
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def opened(cls, chromium: Any, width: int = 1440, height: int = 900) -> Page:
        """Open an empty window that reaches this machine alone."""
        context = chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        context.set_default_timeout(SMALL)
        one = cls(context.new_page())
        context.route(lambda url: not is_local(url), one._refused)
        one.page.on("pageerror", lambda error: one.complaints.append(f"error: {error}"))
        one.page.on("console", one._hear)
        one.page.on("requestfailed", lambda request: one.complaints.append(f"failed: {request.url}"))
        return one

    def _refused(self, route: Any) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(one.search(message.text) for one in HARMLESS):
            self.complaints.append(f"{message.type}: {message.text}")

    def clean(self) -> None:
        """See that nothing was amiss."""
        assert self.outside == []
        assert self.complaints == []

    def close(self) -> None:
        self.page.context.close()

    # ---- what a person does ----

    def drawn(self) -> None:
        """Wait until the main figure has its points, and they stand still: its margins are found in steps."""
        self.page.wait_for_selector(DRAWN)
        self.page.wait_for_function(
            f"""() => {{
              const now = JSON.stringify(({POINTS})());
              if (now !== window.placed) [window.placed, window.since] = [now, performance.now()];
              return now !== '[]' && performance.now() - window.since > 1000;
            }}""",
            polling=100,
        )

    def used(self) -> str:
        """Read off how many points the fit uses."""
        return str(self.page.locator(".gx-facts b").first.inner_text())

    def click_a_point_out(self) -> None:
        """Click the second point, and see it counted out; once more, and it is back."""
        before = self.used()
        n = int(before.split()[0])
        x, y = self.page.evaluate(POINTS)[1]
        self.page.mouse.click(x, y)
        self.page.wait_for_function(
            f"document.querySelector('.gx-facts b').innerText.startsWith('{n - 1} of')"
        )
        self.page.wait_for_timeout(600)  # else it is a double click, which zooms
        x, y = self.page.evaluate(POINTS)[1]
        self.page.mouse.click(x, y)
        self.page.wait_for_function(f"{USED} === '{before}'")

    def change_the_law(self, law: str) -> None:
        """Choose a law, and see the parameters follow."""
        table = self.page.locator(".gx-params").first.inner_text()
        self.page.get_by_label("Law", exact=True).select_option(label=law)
        self.page.wait_for_function(
            "old => document.querySelector('.gx-params').innerText !== old", arg=table
        )

    def drag_the_slider(self) -> list[float]:
        """Move `Predict ahead` by the keyboard; give the seconds from each key to the redrawn curve."""
        slider = self.page.locator(".widget-slider", has_text="Predict ahead").locator(".noUi-handle")
        slider.focus()
        took = []
        for _ in range(8):
            before = self.page.evaluate(LAST_X)
            began = time.perf_counter()
            self.page.keyboard.press("ArrowRight")
            self.page.wait_for_function(f"old => ({LAST_X})() > old * 1.01", arg=before, polling=10)
            took.append(time.perf_counter() - began)
            self.page.wait_for_timeout(150)
        return took

    def export(self) -> str:
        """Download the parameters; give the text of the file."""
        self.page.get_by_role("button", name="Save, export, code").click()
        with self.page.expect_download() as started:
            self.page.get_by_role("link", name="parameters").click()
        return str(started.value.path().read_text(encoding="utf-8"))


def is_local(url: str) -> bool:
    """Whether an address is on this machine, or no address at all."""
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname in ("127.0.0.1", "localhost")


def told(where: str, took: list[float]) -> str:
    """Write the times of the slider in a line."""
    ordered = sorted(took)
    return (
        f"{where}: slider to redrawn curve, median {ordered[len(took) // 2]:.2f} s, worst {ordered[-1]:.2f} s"
    )
