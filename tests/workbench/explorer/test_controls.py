"""Every control says what it is, does what it says, and follows the state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
import yaml

from genret_core.workbench.explorer.explorer import Explorer
from genret_core.workbench.explorer.figure_controls import overlays
from genret_core.workbench.explorer.law_controls import laws
from genret_core.workbench.explorer.save_pane import files


@pytest.fixture
def explorer() -> Explorer:
    return Explorer()


def uploaded(name: str, content: bytes) -> tuple[dict[str, Any], ...]:
    """Stand for what the browser sends."""
    return (
        {
            "name": name,
            "type": "text/csv",
            "size": len(content),
            "content": content,
            "last_modified": datetime.now(UTC),
        },
    )


def inside(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from inside(child)


def test_every_control_has_words_and_a_hover(explorer: Explorer) -> None:
    panels = (explorer.figure_controls, explorer.law, explorer.points, explorer.save)
    found = [one for panel in panels for one in inside(panel.widget)]
    found += [*inside(explorer.frame.head), explorer.frame.bar]
    controls = [
        one
        for one in found
        if isinstance(one, (widgets.ValueWidget, widgets.Button)) and not isinstance(one, widgets.HTML)
    ]
    assert len(controls) > 30
    for one in controls:
        hovers = [one.tooltip, *getattr(one, "tooltips", ())]
        assert any(hovers), f"{type(one).__name__} {getattr(one, 'description', '')} has no hover"
        words = getattr(one, "description", "") or getattr(one, "placeholder", "")
        assert words or getattr(one, "options", ()), one


def test_a_control_changes_the_state_and_follows_it(explorer: Explorer) -> None:
    desk, law, figure = explorer.desk, explorer.law, explorer.figure_controls
    law.law.value = "power"
    assert desk.state.law == "power" and "floor" not in explorer.parameters.widget.value
    figure.ahead.value = 1.0
    assert desk.state.ahead == 1.0 and figure.factor.value.count("× 10") == 1
    assert "if the law holds" in figure._hint.value
    figure.overlay.value = "table1:t5"
    assert desk.state.overlay == "table1:t5"
    figure.overlay.value = ""
    assert desk.state.overlay is None
    desk.dispatch(law="model_size", ahead=0.0, axes="log_log", band="none", hold_out=1)
    assert (law.law.value, figure.ahead.value, figure.axes.value) == ("model_size", 0.0, "log_log")
    assert (figure.band.value, figure.held.value) == ("none", 1)
    assert figure._floor_row.layout.display is None
    before = desk.state
    desk.undo()
    assert desk.state != before
    explorer.frame.reset.click()
    assert desk.state == Explorer().state


def test_known_noise_gives_three_points_an_interval(explorer: Explorer) -> None:
    desk, law = explorer.desk, explorer.law
    law.focus.value = "llama"
    assert "no interval" in explorer.parameters.widget.value
    law.noise.value = True
    assert desk.state.sd is not None and law.sd.value
    law.sd.value = "1.8e-6"
    assert desk.state.sd == 1.8e-6
    interval = explorer.fit.interval("alpha")
    assert interval is not None and interval.lo == pytest.approx(1.97, abs=0.01)
    law.sd.value = "a lot"
    assert desk.state.sd == 1.8e-6 and law.sd.value == "1.8e-06"  # as it was, with a sentence
    assert "gx-error" in explorer.frame.answer.value
    law.noise.value = False
    assert desk.state.sd is None and "gx-error" not in explorer.frame.answer.value


def test_series_are_drawn_and_put_away(explorer: Explorer) -> None:
    boxes = explorer.law._boxes
    assert boxes["llama"].value and not boxes["codebook_t5"].value
    boxes["codebook_t5"].value = True
    assert set(explorer.state.shown) == {"t5", "llama", "codebook_t5"}
    boxes["llama"].value = False
    assert set(explorer.state.shown) == {"t5", "codebook_t5"}
    explorer.law.focus.value = "llama_data"  # by data: on other axes
    assert explorer.state.shown == ("llama_data",) and explorer.state.law == "data_size"


def test_laws_and_overlays_are_those_that_suit_the_series(explorer: Explorer) -> None:
    shown = explorer.desk.shown
    named = [name for _, name in laws(shown)]
    assert "model_size" in named and "data_size" not in named and "joint" not in named
    assert [one for _, one in overlays(shown)][:2] == ["", "table1:t5"]  # its own first
    explorer.desk.dispatch(focus="joint")
    shown = explorer.desk.shown
    assert laws(shown)[0][1] == "joint" and [one for _, one in overlays(shown)] == ["", "eqs9-10"]


def test_points_from_a_file_and_what_is_wrong_with_one(explorer: Explorer, tmp_path: Path) -> None:
    pane = explorer.points
    path = tmp_path / "runs.csv"
    path.write_text("params,loss\n1e6,1.52\n1e7,0.698\n1e8,0.421\n1e9,0.332\n")
    pane.kind.value = "file"
    pane.path.value = str(tmp_path / "nothing.csv")
    pane.go.click()
    assert "nothing.csv" in pane.amiss.value and explorer.desk.source.name == "published points"
    pane.path.value = str(path)
    pane.go.click()
    assert explorer.desk.source.name == "runs.csv" and not pane.amiss.value
    assert explorer.fit.n == 4 and len(explorer.view.points.x) == 4
    pane.kind.value = "upload"
    pane.upload.value = uploaded("up.csv", b"P,CGL\n1e6,2\n1e7,1\n1e8,0.5\n1e9,0.4\n")
    assert explorer.desk.source.name == "up.csv"
    pane.upload.value = uploaded("up2.csv", b"\xff\xfe\x00")
    assert "UTF-8" in pane.amiss.value and explorer.desk.source.name == "up.csv"


def test_reasons_go_with_what_is_left_out(explorer: Explorer) -> None:
    explorer.desk.exclude([1])
    explorer.points.why.value = "another tokenizer"
    assert explorer.state.excluded == ((1, "another tokenizer"),)
    assert "t5-small" in explorer.points.out.value and "another tokenizer" in explorer.points.out.value
    assert explorer.view.reason() == "another tokenizer"
    explorer.points.back.click()
    assert not explorer.state.excluded


def test_snapshots_and_files(explorer: Explorer) -> None:
    pane = explorer.save
    assert not pane.files.value  # nothing is written before it is looked at
    pane.open(True)
    explorer.desk.exclude([1], "why")
    pane.name.value = "without small"
    pane.keep.click()
    explorer.desk.include([1])
    pane.saved.value = "without small"
    pane.load.click()
    assert explorer.state.excluded == ((1, "why"),)
    assert 'download="fit.yaml"' in pane.files.value and "fit(" in pane.code.value
    written = {name: text for _, name, _, text, _ in files(explorer.desk.shown)}
    view = written["view.yaml"]
    assert yaml.safe_load(view)["excluded"] == [{"row": 1, "reason": "why"}]
    explorer.desk.include([1])
    pane.state.value = uploaded("view.yaml", view.encode())
    assert explorer.state.excluded == ((1, "why"),)


@pytest.mark.parametrize(
    ("floor", "allowed"), [(0.00352, False), (0.003525, True), (0.003574, True), (0.003579, False)]
)
def test_the_strip_under_the_floor_knows_which_floors_fit(
    explorer: Explorer, floor: float, allowed: bool
) -> None:
    # refitted by brute force, the 95 % interval of T5's floor is .003522 to .003576
    explorer.desk.dispatch(axes="log_log", floor=floor)
    controls = explorer.figure_controls
    assert controls.strip.layout.display is None and controls.strip.value.startswith("<svg")
    assert ("allow this floor" in controls._hint.value) == allowed


def test_no_strip_where_nothing_is_known_of_a_floor(explorer: Explorer) -> None:
    strip = explorer.figure_controls.strip
    assert strip.layout.display == "none"
    explorer.desk.dispatch(axes="log_log", law="power")
    assert strip.layout.display == "none" and not strip.value
    explorer.desk.dispatch(law="model_size", objective="lad")
    assert strip.layout.display == "none"
