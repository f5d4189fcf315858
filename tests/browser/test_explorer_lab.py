"""Notebook 09 in JupyterLab in a browser, the network refused: a point, the law, the slider, a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import servers
from explorer_page import Page, told

pytestmark = pytest.mark.browser
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "09_fit_explorer.ipynb"
IDLE = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = "async () => await window.jupyterapp.commands.execute('notebook:run-all-cells')"
GO_TO = """async text => {
  const content = window.jupyterapp.shell.currentWidget.content;
  const i = content.widgets.findIndex(cell => cell.model.sharedModel.source.includes(text));
  await content.scrollToItem(i, 'start');
}"""


def test_notebook_09_is_alive_in_jupyterlab(chromium: Any, tmp_path: Path) -> None:
    with servers.lab(tmp_path, NOTEBOOK) as address:
        seen = Page.opened(chromium)
        seen.page.goto(address)
        seen.page.wait_for_function(IDLE)
        seen.page.evaluate(RUN_ALL)
        seen.page.evaluate(GO_TO, "explorer = Explorer(source)")
        seen.drawn()
        seen.click_a_point_out()
        seen.change_the_law("Exponential with a floor")
        print("\n" + told("JupyterLab", seen.drag_the_slider()))
        kept = yaml.safe_load(seen.export())
        assert "exponential" in str(kept)
        seen.page.evaluate(GO_TO, "answer(sentence")
        assert "CGL falls with P" in seen.page.locator(".jp-Notebook").inner_text()
        seen.clean()
        seen.close()
