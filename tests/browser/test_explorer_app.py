"""`genret explore` in a browser, the network refused: open, a point, the law, the slider, a file to keep."""

from __future__ import annotations

import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import servers
from explorer_page import Page, told

pytestmark = pytest.mark.browser


def test_the_app_works_offline(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("voila", reason="Voila is not installed (extra `app`)")
    with servers.app(tmp_path) as address:
        seen = Page.opened(chromium)
        seen.page.goto(address)
        seen.drawn()
        assert seen.used() == "5 of 5"
        assert seen.page.evaluate("document.documentElement.scrollHeight <= innerHeight"), (
            "one screen, no scrolling"
        )
        seen.click_a_point_out()
        seen.change_the_law("Exponential with a floor")
        print("\n" + told("Voila", seen.drag_the_slider()))
        kept = yaml.safe_load(seen.export())
        assert "exponential" in str(kept)
        seen.clean()
        seen.close()


def test_points_of_a_file_are_shown_as_they_are_written(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("voila", reason="Voila is not installed (extra `app`)")
    name = "<img src=x onerror=alert(1)>"
    rows = "\n".join(f"{10**k},{0.3 + 2 * 10 ** (-0.3 * k)},{name}" for k in range(5, 11))
    file = tmp_path / "mine.csv"
    file.write_text(f"size,loss,model\n{rows}\n")
    with servers.app(tmp_path, str(file), "--x", "size", "--y", "loss") as address:
        assert "token=" in urllib.parse.urlsplit(address).query
        seen = Page.opened(chromium)
        seen.page.goto(address)
        seen.drawn()
        assert seen.used() == "6 of 6"
        assert seen.page.locator("img[src=x]").count() == 0
        seen.clean()
        seen.close()
