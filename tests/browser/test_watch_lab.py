"""A study watched from a notebook in JupyterLab while another process runs it, the network refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import servers
from explorer_page import Page

from genret_core.files import read_json

pytestmark = pytest.mark.browser
IDLE = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
WHOLE = 300_000  # milliseconds
RUN_ALL = "async () => await window.jupyterapp.commands.execute('notebook:run-all-cells')"


def notebook(path: Path, study: Path) -> Path:
    sources = [
        f"from genret_core.workbench import watch\npanel = watch({str(study)!r}, every=0.5)\npanel",
        "print('the kernel is', 'free')",
    ]
    cells = [
        {
            "cell_type": "code",
            "source": s,
            "id": f"c{i}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for i, s in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(made))
    return path


def test_a_running_study_is_followed_to_its_end(chromium: Any, tmp_path: Path) -> None:
    study = tmp_path / "runs" / "test"
    command = [sys.executable, "-m", "genret_core.workbench.cli.app", "study", "test", "--no-notebooks"]
    env = {**os.environ, "PYTHONPATH": str(servers.ROOT)}
    with servers.lab(tmp_path, notebook(tmp_path / "watching.ipynb", study)) as address:
        seen = Page.opened(chromium)
        seen.page.goto(address)
        seen.page.wait_for_function(IDLE)
        runner = subprocess.Popen(
            [*command, "--out", str(tmp_path / "runs")], env=env, stdout=subprocess.DEVNULL, cwd=tmp_path
        )
        try:
            while not (study / "study.yaml").is_file():
                assert runner.poll() is None
                time.sleep(0.05)
            seen.page.evaluate(RUN_ALL)
            panel = seen.page.locator(".widget-html-content").first
            panel.wait_for()
            first = panel.inner_text()
            assert "done" not in first.split("of")[0]  # the study is not over yet
            assert "the kernel is free" in seen.page.locator(".jp-Notebook").inner_text()
            seen.page.wait_for_function(says("running"))
            seen.page.wait_for_function(says("train"), timeout=WHOLE)
            if shots := os.environ.get("GENRET_SHOTS"):
                seen.page.screenshot(path=f"{shots}/watch.png")
            seen.page.wait_for_function(says("13 of 13 cells done"), timeout=WHOLE)
            assert runner.wait(60) == 0
            seen.page.wait_for_function(says("page: "))
            assert panel.inner_text() != first
            assert read_json(study / "status.json")["state"] == "done"
        finally:
            runner.kill()
        seen.clean()
        seen.close()


def says(text: str) -> str:
    return f"() => document.querySelector('.widget-html-content').innerText.includes({text!r})"
