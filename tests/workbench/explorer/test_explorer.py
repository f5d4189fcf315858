"""The explorer as a whole: what it opens with, which tabs it wakes, and what stays after an error."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from typing import Any

import ipywidgets as widgets
import pandas as pd
import pytest

from genret_core.scaling import fit, published
from genret_core.workbench.explorer.explorer import Explorer
from genret_core.workbench.explorer.sources import published_source


@pytest.fixture
def explorer() -> Explorer:
    return Explorer()


def test_it_opens_with_the_published_points_fitted_and_judged(explorer: Explorer) -> None:
    points = published.points(study="model_size", method="ngram", family="t5")
    found = fit("model_size", points["n_params"], points["cgl"])
    assert explorer.fit.params == pytest.approx(found.params, rel=1e-12)
    assert "T5, n-grams" in explorer.frame.title.value and "0.40" in explorer.frame.answer.value
    assert "identified" in explorer.strip.widget.value and "outlier: t5-large" in explorer.strip.widget.value
    assert len(explorer.view.points.x) == 8  # five T5, three LLaMA


def test_only_the_open_tab_is_shown_and_computes(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name, tab in explorer.tabs.items():
        monkeypatch.setattr(tab, "show", lambda shown, name=name: asked.append(name))
    explorer.desk.exclude([1])
    assert not asked
    explorer.frame.bar.value = "residuals"
    assert asked == ["residuals"] and explorer.state.tab == "residuals"
    seen = {name for name, place in explorer.frame.places.items() if place.layout.display != "none"}
    assert seen == {"residuals"}
    before = explorer.parameters.widget.value
    explorer.desk.include([1])
    assert explorer.parameters.widget.value == before and asked == ["residuals"] * 2
    explorer.frame.bar.value = "fit"
    assert "5 of 5" in explorer.parameters.widget.value  # caught up


def test_after_an_error_one_sentence_and_the_last_good_state(explorer: Explorer) -> None:
    shown = explorer.parameters.widget.value
    explorer.desk.exclude([1, 2, 3])  # two points are too few
    assert "gx-error" in explorer.frame.answer.value and not explorer.state.excluded
    assert explorer.parameters.widget.value == shown
    explorer.desk.exclude([1])
    assert "gx-error" not in explorer.frame.answer.value


def test_undo_and_redo_can_be_pressed_when_there_is_something_to_undo(explorer: Explorer) -> None:
    frame = explorer.frame
    assert frame.undo.disabled and frame.redo.disabled and frame.reset.disabled
    explorer.view._clicked(None, type("Points", (), {"point_inds": [0]}), None)
    assert not frame.undo.disabled and frame.redo.disabled and not frame.reset.disabled
    frame.undo.click()
    assert not explorer.state.excluded and frame.undo.disabled and not frame.redo.disabled
    frame.redo.click()
    assert len(explorer.state.excluded) == 1 and not frame.undo.disabled and frame.redo.disabled


def test_something_slow_says_so(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(explorer.frame, "wait", told.append)
    explorer.desk.dispatch(bootstrap=400)
    assert told and "400" in told[0] and told[-1] == ""


def test_a_data_frame_will_do() -> None:
    frame = pd.DataFrame({"P": [1e6, 1e7, 1e8, 1e9], "CGL": [1.52, 0.698, 0.421, 0.332]})
    explorer = Explorer(frame)
    assert explorer.fit.n == 4 and "data frame" in explorer.frame.title.value


def test_a_page_without_a_kernel_shows_figure_and_table(explorer: Explorer) -> None:
    bundle: dict[str, Any] = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["application/vnd.plotly.v1+json"]["data"]
    assert "not identified" in bundle["text/html"] and "0.40" in bundle["text/plain"]


def test_a_closed_explorer_leaves_nothing_behind() -> None:
    Explorer().close()
    before = len(widgets.widget._instances)
    explorer = Explorer()
    explorer.desk.dispatch(tab="laws")
    explorer.desk.open(published_source())
    explorer.desk.dispatch(tab="profile")
    desk = weakref.ref(explorer.desk)
    explorer.close()
    del explorer
    gc.collect()
    assert desk() is None
    assert len(widgets.widget._instances) - before < 5


def test_undo_can_be_pressed_as_soon_as_there_is_a_step(explorer: Explorer) -> None:
    assert explorer.frame.undo.disabled
    explorer.desk.dispatch(law="power")
    assert not explorer.frame.undo.disabled and explorer.frame.redo.disabled
    explorer.desk.undo()
    assert explorer.frame.undo.disabled and not explorer.frame.redo.disabled


def test_points_are_left_out_by_keyboard_too(explorer: Explorer) -> None:
    explorer.points.look(True)
    explorer.points.every.value = 3
    explorer.points.why.value = "measured twice"
    explorer.points.turn.click()
    assert explorer.state.excluded == ((3, "measured twice"),) and explorer.fit.n == 4
    assert explorer.points.turn.description == "Take back" and explorer.points.every.value == 3
    explorer.points.turn.click()
    assert explorer.state.excluded == ()


def test_it_starts_without_torch() -> None:
    code = (
        "import sys; from genret_core.workbench.explorer.explorer import Explorer; Explorer(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.benchmark
def test_updates_are_quick(explorer: Explorer) -> None:
    taken = []
    for i in range(40):
        start = time.perf_counter()
        explorer.desk.dispatch(ahead=0.05 * (i + 1))
        taken.append(time.perf_counter() - start)
    print(f"median {1000 * sorted(taken)[20]:.0f} ms, worst {1000 * max(taken):.0f} ms")
