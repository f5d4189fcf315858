"""What is clicked in a tab changes the state, and what is drawn is what a fresh fit says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plotly.callbacks import InputDeviceState, Points

from genret_core.scaling import compare, fit, influence
from genret_core.scaling.intervals.maps import profile_curve
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.laws_tab import LawsTab
from genret_core.workbench.explorer.profile_tab import ProfileTab
from genret_core.workbench.explorer.prose import readable, with_titles
from genret_core.workbench.explorer.residuals_tab import ResidualsTab
from genret_core.workbench.explorer.sources import frame_source, published_source

SOURCE = published_source()
T5 = SOURCE.rows("t5")


def opened(Tab, source=SOURCE, **changes):
    desk = Desk(source)
    tab = Tab(desk)
    desk.watch(tab)
    desk.dispatch(tab=tab.tab, **changes)
    assert not desk.message
    return desk, tab


def click(figure, trace, index, x=0.0, y=0.0):
    """Do what the browser does: tell every trace, those that were not hit with no points."""
    for i, one in enumerate(figure.data):
        hit = one is trace
        points = Points([index] if hit else [], [x] if hit else [], [y] if hit else [], one.name, i)
        one._dispatch_on_click(points, InputDeviceState(False, False, False, False, 0, 1))


def test_nothing_is_drawn_before_a_tab_is_looked_at():
    desk = Desk(SOURCE)
    tab = LawsTab(desk)
    desk.watch(tab)
    desk.dispatch(law="power")
    assert tab.canvas.figure is None
    desk.dispatch(tab="laws")
    assert tab.canvas.figure is not None


def test_a_small_multiple_chooses_its_law_and_tells_its_errors():
    desk, tab = opened(LawsTab)
    fresh = compare(T5["x"], T5["y"])
    notes = " ".join(note.text for note in tab.canvas.figure.layout.annotations)
    for one in fresh.laws:
        assert readable(f"{one.loo.rmse:.2g}") in notes
        assert readable(f"{one.largest.rmse:.2g}") in notes
    assert notes.count("AICc undefined") == sum(one.AICc is None for one in fresh.laws) == 2
    figure = tab.canvas.figure
    panel = next(trace for trace in figure.data if trace.type == "heatmap" and trace.name == "power")
    click(figure, panel, [0, 0])
    assert desk.state.law == "power"
    assert tab.canvas.figure is figure  # redrawn in place
    refused = next(trace for trace in figure.data if trace.type == "heatmap" and not trace.name)
    click(figure, refused, [0, 0])
    assert desk.state.law == "power"


def test_the_curve_of_held_out_points_does_not_hang_on_what_is_held_out():
    desk, tab = opened(LawsTab)
    before = [list(trace.y) for trace in tab.canvas.figure.data[-2:]]
    desk.dispatch(hold_out=2)
    assert [list(trace.y) for trace in tab.canvas.figure.data[-2:]] == before
    f = fit("model_size", T5["x"][:3], T5["y"][:3])
    error = float(f.predict(T5["x"].iloc[-1]) - T5["y"].iloc[-1])
    assert before[1][1] == pytest.approx(abs(error), rel=1e-6)
    assert readable(f"{error:+.2g}") in tab.held.value


def test_slow_refits_wait_for_their_button():
    _, tab = opened(LawsTab, objective="huber")
    assert tab.slow.button.layout.display == "" and "takes seconds" in tab.sentence.value
    tab.slow.button.click()
    assert tab.slow.button.layout.display == "none"
    best = compare(T5["x"], T5["y"], objective="huber").ranking[0]
    assert with_titles(f"best by {best}") in tab.sentence.value


def test_a_residual_leaves_its_row_out_and_takes_it_back():
    desk, tab = opened(ResidualsTab)
    fresh = influence(fit("model_size", T5["x"], T5["y"], rows=T5["row"].tolist()))
    rows, out, _, ends = tab.canvas.figure.data
    drawn = dict(zip([row for (row,) in rows.customdata], rows.y, strict=True))
    for one in fresh.rows:
        assert drawn[one.row] == pytest.approx(np.clip(one.t, -8, 8), rel=1e-9)
    moved = dict(zip([row for (row,) in ends.customdata], ends.x, strict=True))
    assert moved == pytest.approx({one.row: one.without["alpha"] for one in fresh.rows})
    click(tab.canvas.figure, ends, [row for (row,) in ends.customdata].index(3))
    assert desk.state.reasons.keys() == {3}
    assert [list(row) for row in out.customdata] == [[3]] and len(rows.x) == 4
    click(tab.canvas.figure, out, 0)
    assert not desk.state.reasons and len(rows.x) == 5


def test_a_place_in_the_map_is_a_curve_and_those_inside_the_line_fit():
    desk, tab = opened(ProfileTab)
    found = desk.shown.profile_map(71)
    f = fit("model_size", T5["x"], T5["y"])
    for share in (0.2, 0.9):
        i, j = np.argwhere(found.excess < share * found.threshold95)[-1]
        heat = next(trace for trace in tab.canvas.figure.data if trace.type == "heatmap")
        click(tab.canvas.figure, heat, [j, i], x=found.exponents[i], y=found.floors[j])
        params = dict(desk.state.curve)
        assert (params["alpha"], params["lambda_P"]) == pytest.approx((found.exponents[i], found.floors[j]))
        sse = ((T5["y"] - f.law(T5["x"], **params)) ** 2).sum()
        excess = (sse - f.sse) / (f.sse / f.dof)
        assert excess == pytest.approx(found.excess[i, j], rel=1e-5)
    tab.forget.click()
    assert desk.state.curve is None


def test_a_profile_that_is_flat_says_that_any_value_fits():
    desk, tab = opened(ProfileTab)
    assert "fit within the 95 % line" in tab.sentence.value
    noise = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0])
    desk, tab = opened(ProfileTab, _noise(noise))
    assert "any value" in tab.sentence.value
    curve = profile_curve(desk.shown.fit, "alpha")
    assert (curve.excess <= curve.threshold95).any()


def _noise(noise):
    x = np.geomspace(1e6, 1e9, len(noise))
    y = 0.3 + 0.01 * noise - 0.002 * np.log10(x)
    return frame_source(pd.DataFrame({"P": x, "CGL": y}), x="P", y="CGL")


def test_the_floor_slider_moves_the_floor_and_only_when_a_person_moves_it():
    desk, tab = opened(ProfileTab)
    assert desk.state.floor is None
    tab.floor.value = 100
    assert desk.state.floor == pytest.approx(T5["y"].min() / 2, rel=1e-9)
    tab.reset.click()
    assert desk.state.floor is None
    assert tab.floor.value == round(200 * desk.shown.fit.params["lambda_P"] / T5["y"].min())
