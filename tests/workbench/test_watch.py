"""A panel in a notebook that follows a study: what it shows, that it stops, that nothing in it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from many_cells import finished_study

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.workbench import watch
from genret_core.workbench.pool.status import write_status
from genret_core.workbench.runs import Study, open_study
from genret_core.workbench.study.live_page import live_page
from genret_core.workbench.study.page import LIVE, write_live_page
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.standing import Onlooker
from genret_core.workbench.watch_cell import sentence


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_study(tmp_path_factory.mktemp("made") / "runs", 3, 1, 1)


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Study:
    """A study of three cells that runs: one done, one at its first step, one failed in an odd way."""
    found = open_study(shutil.copytree(finished, tmp_path / "runs" / "many"))
    at, cells = found.layout, found.plan
    for cell in cells[1:]:
        at.cell_file(cell.key).unlink()
    write_status(at.cell(cells[1].key), "running", name="d16 ngram s0")
    told = {"stage": "train", "step": 40, "of": 100, "loss": 4.2131}
    write_json(at.cell(cells[1].key) / "beat.json", told)
    odd = "<img src=x onerror=alert(1)> \x1b[31m"
    write_status(at.cell(cells[2].key), "failed", name="d24 ngram s0", reason=odd)
    write_status(found.folder, "running")
    return found


def test_the_panel_follows_and_stops(study: Study) -> None:
    panel = watch(study.folder, every=0.05)
    shown = panel.value
    assert "1 of 3 cells done, 1 running, 1 failed" in shown and "train 40% loss 4.213" in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown and "<img" not in shown and "\x1b" not in shown
    bundle = panel._repr_mimebundle_()
    assert bundle["text/html"] == shown and bundle["text/plain"].startswith("running: 1 of 3")
    assert any("widget-view" in kind for kind in bundle)
    middle = study.plan[1]
    write_status(study.layout.cell(middle.key), "killed", name="d16", reason="killed: probably out of memory")
    study.layout.status_file.write_text('{"state": "failed", "updated": "2025-01-01T00:00:00+00:00"}')
    until = time.monotonic() + 20
    while panel._thread.is_alive():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "probably out of memory" in panel.value and "index.html" in panel.value
    assert sentence(panel.seen) == "failed: 1 of 3 cells done, 2 failed"
    panel.close()


def test_the_page_meanwhile_and_at_the_end(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_live_page(Onlooker(study), every=10)
    text = page.read_text()
    assert LIVE in text and "train 40% loss 4.213" in text and "1 of 3" in text
    assert "CGL" in text.partition("<thead>")[2].partition("</thead>")[0]  # what is done has its numbers
    monkeypatch.setattr("genret_core.workbench.study.live_page.FIRST", 0.0)
    page.unlink()
    with pytest.raises(KeyboardInterrupt), live_page(Place(study.spec, study.folder)):
        until = time.monotonic() + 20
        while not page.is_file():
            assert time.monotonic() < until
            time.sleep(0.02)
        write_json(study.layout.status_file, {"state": "killed", "reason": "stopped by the user"})
        raise KeyboardInterrupt
    assert LIVE not in page.read_text() and "stopped by the user" in page.read_text()


def test_a_page_before_there_is_a_corpus(study: Study) -> None:
    (study.folder / "inputs.json").unlink()
    fresh = Study(study.folder, study.spec)
    text = write_live_page(Onlooker(fresh), every=10).read_text()
    assert "0 of 3" in text and "3 queued" in text


def test_without_a_study_the_sentence_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="genret study"):
        watch(tmp_path / "none")


def test_watching_imports_nothing_heavy() -> None:
    code = "import sys; from genret_core.workbench import watch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
