"""Hostile text in pages, in Chromium: no dialog, no script, no request, and the text as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workbench"))
from hostile import HOSTILE
from test_hostile import hostile_index, hostile_report

from genret_core.readable import readable

pytestmark = pytest.mark.browser
Open = Callable[..., Any]
WIDER = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const wide = (part) => part.getBoundingClientRect().right > innerWidth + 1;
  return [...document.querySelectorAll('main *')].filter(wide).map((part) => part.outerHTML.slice(0, 80));
}"""


def unharmed(seen: Any, path: Path, *, blocked: bool = False) -> None:
    """See that nothing ran and nothing was asked for; `blocked`: the policy may say what it stopped."""
    assert seen.page.evaluate("window.hacked === undefined")
    stopped = seen.failed if blocked else []
    assert seen.dialogs == [] and [url for url in seen.requests if url not in stopped] == [path.as_uri()]
    complaints = [one for one in seen.complaints if not (blocked and "Content Security Policy" in one)]
    assert complaints == []


@pytest.mark.parametrize("width", [400, 1440])
def test_the_page_of_a_study(tmp_path: Path, visit: Open, width: int) -> None:
    path = hostile_index(tmp_path)
    seen = visit(path, width=width)
    page = seen.page
    shown = page.evaluate(
        "[...document.querySelectorAll('#cells tbody tr')].map(row => row.cells[2].textContent)"
    )
    assert sorted(shown) == sorted(readable(text, 80) for text in HOSTILE.values())  # to the letter
    reasons = page.evaluate("[...document.querySelectorAll('#cells .state')].map(part => part.title)")
    assert sorted(reasons) == sorted(readable(text) for text in HOSTILE.values())
    assert page.inner_text("h1 bdi") == readable(HOSTILE["script"] + HOSTILE["right to left"])
    page.fill("#filter", "<script>")
    assert page.locator("#cells tbody tr").count() >= 1
    for part in page.locator("details summary").all():
        part.click()
    page.mouse.move(width / 2, 300)
    assert page.evaluate(WIDER) == []
    page.goto(
        path.as_uri() + "#q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&state=%22%3E%3Cscript%3E&sort=__proto__"
    )
    unharmed(seen, path)


def test_a_report(tmp_path: Path, visit: Open) -> None:
    path = hostile_report(tmp_path)
    seen = visit(path, width=400)
    page = seen.page
    page.click("#toggle-code")
    page.evaluate("document.querySelectorAll('footer details').forEach(part => { part.open = true; })")
    values = page.locator("footer table").first.locator("td bdi").all_inner_texts()
    told = {" ".join(value.split()) for value in values}
    for name in ("script", "handler", "out of it", "template", "formula", "path"):
        assert readable(HOSTILE[name], 500) in told
    assert page.evaluate(WIDER) == []
    # one table was written without escaping: its elements are there, and the policy keeps them from acting
    assert page.locator("td img[src=x]").count() == 1
    unharmed(seen, path, blocked=True)
