"""The main figure shows what a fresh fit says, and takes clicks and selections for what they are."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genret_core.scaling import fit, predict, published, rivals
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.parameter_table import html_of as table_of
from genret_core.workbench.explorer.sources import frame_source, published_source
from genret_core.workbench.explorer.verdict_strip import html_of as strip_of
from genret_core.workbench.explorer.verdict_strip import words
from genret_core.workbench.explorer.view import View


@pytest.fixture
def desk() -> Desk:
    return Desk(published_source())


@pytest.fixture
def view(desk: Desk) -> View:
    made = View(desk)
    desk.watch(made)
    return made


def t5(without: tuple[int, ...] = ()) -> Any:
    """Fit the T5 points anew, from the released table."""
    points = published.points(study="model_size", method="ngram", family="t5")
    kept = points.iloc[[i for i in range(len(points)) if i + 1 not in without]]
    return fit("model_size", kept["n_params"], kept["cgl"])


def picked(view: View, *rows: int) -> SimpleNamespace:
    """Stand for what plotly tells of points: their places in the trace."""
    customdata = [int(row) for row in view.points.customdata]
    return SimpleNamespace(point_inds=[customdata.index(row) for row in rows])


def curve(view: View, slot: int = 0) -> tuple[np.ndarray, np.ndarray]:
    inside = view._slots[slot]["inside"]
    return np.asarray(inside.x), np.asarray(inside.y)


def test_the_curve_and_its_band_are_those_of_a_fresh_fit(view: View) -> None:
    found = t5()
    x, y = curve(view)
    np.testing.assert_allclose(y, found.predict(x), rtol=1e-12)
    assert x.min() == pytest.approx(found.x.min()) and x.max() == pytest.approx(found.x.max())
    band = view._slots[0]["band"]
    across, edge = np.asarray(band.x), np.asarray(band.y)
    half = len(across) // 2
    low, high = found.band(across[:half])
    np.testing.assert_allclose(edge[:half], high, rtol=1e-9)
    np.testing.assert_allclose(edge[half:][::-1], low, rtol=1e-9)


def test_a_click_leaves_a_point_out_and_the_next_takes_it_back(view: View, desk: Desk) -> None:
    view.reason = lambda: "typed value"
    traces = [trace.uid for trace in view.widget.data]
    view._clicked(None, picked(view, 1), None)
    assert desk.state.excluded == ((1, "typed value"),)
    x, y = curve(view)
    np.testing.assert_allclose(y, t5(without=(1,)).predict(x), rtol=1e-9)
    place = list(view.points.customdata).index(1)
    assert view.points.marker.symbol[place] == "square-open"
    assert "typed value" in view.points.hovertext[place]
    beyond = np.asarray(view._slots[0]["beyond"].x)
    assert np.nanmin(beyond) < x.min()  # where the point was is now outside the data: dotted
    view._clicked(None, picked(view, 1), None)
    assert desk.state.excluded == ()
    np.testing.assert_allclose(curve(view)[1], t5().predict(curve(view)[0]), rtol=1e-9)
    assert [trace.uid for trace in view.widget.data] == traces  # never rebuilt


def test_a_selection_leaves_out_or_takes_back_and_nothing_selected_changes_nothing(
    view: View, desk: Desk
) -> None:
    view.drag("leave out")
    assert view.widget.layout.dragmode == "select"
    view._selected(None, picked(view, 4, 5), None)
    assert desk.state.excluded == ((4, ""), (5, ""))
    view._selected(None, picked(view), None)
    assert len(desk.state.excluded) == 2
    view.drag("take back")
    view._selected(None, picked(view, 4, 5), None)
    assert desk.state.excluded == ()
    view.drag("zoom")
    assert view.widget.layout.dragmode == "zoom"


def test_what_lies_ahead_has_the_interval_of_the_law_and_the_spread_of_the_laws(
    view: View, desk: Desk
) -> None:
    desk.dispatch(ahead=1.0)
    found = t5()
    (one,) = predict((found, *(f for f in rivals(found) if f.law.name != "broken")), found.x.max() * 10)
    marker, bar = view._single["prediction"], view._single["spread"]
    assert marker.x[0] == pytest.approx(one.x) and marker.y[0] == pytest.approx(one.y, rel=1e-12)
    assert one.interval is not None and one.spread is not None
    assert marker.y[0] + marker.error_y.array[0] == pytest.approx(one.interval.hi, rel=1e-9)
    assert marker.y[0] - marker.error_y.arrayminus[0] == pytest.approx(one.interval.lo, rel=1e-9)
    assert tuple(bar.y) == pytest.approx(one.spread, rel=1e-9)
    desk.dispatch(ahead=0.0)
    assert not len(marker.x) and not len(bar.x)


def test_above_the_floor_the_law_is_a_straight_line(view: View, desk: Desk) -> None:
    desk.dispatch(axes="log_log")
    found = t5()
    x, y = curve(view)
    slope = np.diff(np.log(y)) / np.diff(np.log(x))
    np.testing.assert_allclose(slope, -found.params["alpha"], rtol=1e-6)
    assert view.widget.layout.yaxis.type == "log"
    desk.dispatch(floor=0.0)
    np.testing.assert_allclose(curve(view)[1], found.predict(curve(view)[0]), rtol=1e-12)


def test_chance_and_rho(view: View, desk: Desk) -> None:
    (line,) = view.widget.layout.shapes
    assert line.y0 == math.log1p(1 / 256)
    desk.dispatch(rho=True)
    axis = view.widget.layout.yaxis2
    for place, written in zip(axis.tickvals, axis.ticktext, strict=True):
        assert 256 * math.expm1(place) == pytest.approx(float(written), abs=1e-4)
    desk.dispatch(chance=False, rho=False)
    assert not view.widget.layout.shapes and not axis.visible


def test_what_is_laid_over_is_the_published_curve(view: View, desk: Desk) -> None:
    desk.dispatch(overlay="table1:t5")
    drawn = view._single["overlay"]
    gamma, alpha, floor = 2.26e-2, 0.40, 0.00356  # as printed in Table 1
    np.testing.assert_allclose(drawn.y, (gamma / np.asarray(drawn.x)) ** alpha + floor, rtol=1e-12)
    desk.dispatch(focus="joint")
    assert not len(view._single["overlay"].x)  # a law of one argument has no place there


def test_held_out_points_are_ringed_and_not_fitted(view: View, desk: Desk) -> None:
    desk.dispatch(hold_out=1, shown=("t5",))
    assert list(view._single["rings"].x) == [pytest.approx(11274422272)]
    x, y = curve(view)
    np.testing.assert_allclose(y, t5(without=(5,)).predict(x), rtol=1e-9)


def test_many_curves_are_one_line_with_gaps(view: View, desk: Desk) -> None:
    desk.dispatch(band="curves")
    x, y = (np.asarray(values) for values in (view._single["strands"].x, view._single["strands"].y))
    assert np.isnan(y[np.isnan(y)]).size >= 200 and len(x) == len(y)
    assert not len(view._slots[0]["band"].x)
    desk.dispatch(band="none")
    assert not len(view._single["strands"].x)


def test_a_zoom_stays_while_points_are_clicked_and_ends_with_the_axes(view: View, desk: Desk) -> None:
    view.widget.layout.yaxis.range = [0.0035, 0.0037]
    desk.exclude([3])
    assert list(view.widget.layout.yaxis.range) == [0.0035, 0.0037]
    desk.dispatch(axes="linear")
    assert list(view.widget.layout.yaxis.range) != [0.0035, 0.0037]


def test_names_from_a_file_are_text_and_no_markup() -> None:
    frame = pd.DataFrame(
        {"P": [1e6, 1e7, 1e8, 1e9], "CGL": [1.5, 0.7, 0.42, 0.33], "name": ["<img src=x>"] * 4}
    )
    desk = Desk(frame_source(frame, x="P", y="CGL"))
    view = View(desk)
    desk.watch(view)
    desk.exclude([1], "<script>")
    told = " ".join(view.points.hovertext) + strip_of(desk.shown) + table_of(desk.shown)
    assert "<img" not in told and "<script" not in told and "&lt;img" in told


def test_a_point_that_cannot_be_fitted_is_drawn_as_such() -> None:
    frame = pd.DataFrame({"P": [1e6, 1e7, 1e8, 1e9, 1e10], "CGL": [1.5, 0.7, math.nan, 0.33, 0.3]})
    desk = Desk(frame_source(frame))
    view = View(desk)
    desk.watch(view)
    assert list(view.points.marker.symbol)[2].endswith("-open")
    assert "not fitted" in view.points.hovertext[2]


def test_the_table_names_no_number_that_the_points_do_not_hold(desk: Desk) -> None:
    told = table_of(desk.shown)
    assert "5 of 5" in told and "0.003556" in told
    assert told.count("not identified") == 1  # gamma
    desk.dispatch(focus="llama")  # three points, three parameters
    told = table_of(desk.shown)
    assert told.count("not identified") == 4
    assert "2.406" not in told.replace("Least squares puts it at 2.406", "")
    assert "R² says nothing" in told


def test_the_strip_says_what_holds_and_what_does_not(desk: Desk) -> None:
    assert [(tone, said) for tone, said, _ in words(desk.shown) if tone == "good"] == [
        ("good", "identified: exponent α, floor")
    ]
    desk.dispatch(focus="llama", ahead=math.log10(12))
    said = {word: tone for tone, word, _ in words(desk.shown)}
    assert said["0 degrees of freedom"] == "bad" and said["extrapolating × 12"] == "warn"
    assert "good" not in said.values()
    desk.dispatch(focus="codebook_t5")
    assert "no trend" in [word for _, word, _ in words(desk.shown)]
    assert strip_of(desk.shown).count("title=") == len(words(desk.shown))  # each has its hover


def test_the_figure_can_be_sent_to_nobody(view: View) -> None:
    assert view.widget._config["showSendToCloud"] is False and not view.widget._config["plotlyServerURL"]


def test_a_page_that_opens_late_gets_the_figure_as_it_is(view: View, desk: Desk) -> None:
    desk.exclude([1])
    state = view.widget.get_state()
    trace = next(trace for trace in state["_widget_data"] if trace["uid"] == view.points.uid)
    assert "square-open" in list(trace["marker"]["symbol"])
