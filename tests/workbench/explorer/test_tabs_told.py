"""What tabs tell is what the scaling wing says, in every state and with every name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genret_core.scaling import allocate, fit, next_run, reach
from genret_core.scaling.comparison.families import shared
from genret_core.workbench.explorer.budget_tab import BudgetTab
from genret_core.workbench.explorer.checklist_tab import ChecklistTab
from genret_core.workbench.explorer.checklist_tab_items import checklist
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.families_tab import FamiliesTab
from genret_core.workbench.explorer.laws_tab import LawsTab
from genret_core.workbench.explorer.profile_tab import ProfileTab
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.explorer.residuals_tab import ResidualsTab
from genret_core.workbench.explorer.sources import frame_source, published_source

SOURCE = published_source()
TABS = (LawsTab, ResidualsTab, ProfileTab, FamiliesTab, BudgetTab, ChecklistTab)


def opened(Tab, source=SOURCE, **changes):
    desk = Desk(source)
    tab = Tab(desk)
    desk.watch(tab)
    desk.dispatch(tab=tab.tab, **changes)
    assert not desk.message
    return desk, tab


def points(series):
    rows = SOURCE.rows(series)
    return rows["x"], rows["y"]


def test_families_tell_their_own_numbers_and_the_shared_ones():
    desk, tab = opened(FamiliesTab)
    fits = {label: fit("model_size", *points(series)) for series, label in
            (("t5", "T5, n-grams"), ("llama", "LLaMA-2, n-grams"))}  # fmt: skip
    for what in ("exponent", "floor"):
        test = shared(fits, what)
        assert f"F = {test.F:.3g}, p = {test.p:.2g}" in tab.sentences.value
    assert "0.40 [0.28, 0.55]" in tab.table.value
    assert readable(desk.shown.crossings["llama"].sentence()) in tab.sentences.value
    tab.choice.value = "exponent"
    test = shared(fits, "exponent")
    dashed = [trace for trace in tab.canvas.figure.data if trace.line.dash == "dash" and len(trace.x)]
    for trace, (label, f) in zip(dashed, fits.items(), strict=True):
        np.testing.assert_allclose(trace.y, f.law(np.array(trace.x), **test.params[label]), rtol=1e-9)


def test_a_target_and_the_next_run():
    _, tab = opened(BudgetTab)
    f = fit("model_size", *points("t5"))
    fresh = next_run(f)
    bars = next(trace for trace in tab.canvas.figure.data if trace.type == "bar")
    np.testing.assert_allclose(bars.y, [one.drop for one in fresh], rtol=1e-6)
    tab.target.slider.value = 200
    found = reach(f, tab.target.value)
    assert readable(found.sentence()) in tab.sentence.value
    assert tab.canvas.figure.data[3].x[0] == pytest.approx(found.at, rel=1e-9)


def test_a_budget_is_divided_as_allocate_does():
    _, tab = opened(BudgetTab, focus="joint")
    tab.tokens.value, tab.queries.value, tab.written.value = 20.0, 1e6, 50.0
    rows = SOURCE.rows("joint")
    f = fit("joint_exchanged", rows["x"], rows["y"], rows["x2"])
    inference = (1e6, lambda P: 2 * P * 50)
    plan = allocate(f, tab.budget.value, tokens_per_pair=20, inference=inference)
    star = next(trace for trace in tab.canvas.figure.data[1:] if trace.marker.symbol == "star")
    assert (star.x[0], star.y[0]) == pytest.approx((plan[0].P, plan[0].D), rel=1e-4)
    line = tab.canvas.figure.data[1]
    P, D = np.array(line.x), np.array(line.y, dtype=float)
    paid = np.isfinite(D)
    spent = 6 * 20 * P[paid] * D[paid] + 1e6 * 2 * P[paid] * 50
    np.testing.assert_allclose(spent, tab.budget.value, rtol=1e-9)


def test_the_checklist_has_a_gap_where_a_reason_is_missing():
    desk = Desk(SOURCE)

    def rows():
        return next(item for item in checklist(desk.shown, objectives=False) if item.name == "Rows left out")

    assert not rows().gap
    desk.exclude([3])
    assert rows().gap and "row 3" in rows().told
    desk.exclude([3], "stopped early")
    assert not rows().gap and "stopped early" in rows().told
    noise = [item for item in checklist(desk.shown, objectives=False) if item.name == "Noise"]
    assert noise[0].gap
    desk.dispatch(sd=1e-5)
    assert not next(item for item in checklist(desk.shown, objectives=False) if item.name == "Noise").gap


def test_three_points_are_told_to_be_no_law():
    desk, _ = opened(ChecklistTab, focus="llama")
    gaps = {item.name for item in checklist(desk.shown, objectives=False) if item.gap}
    assert {"Data", "Intervals", "Identified", "Held out", "Single rows"} <= gaps


@pytest.mark.parametrize("Tab", TABS)
def test_every_state_can_be_looked_at(Tab):
    desk, _ = opened(Tab)
    for series in SOURCE.series:
        desk.dispatch(focus=series)
        laws = ("surface",) if series == "joint" else ("constant", "log_linear", "exponential", "data_size")
        for law in laws:
            desk.dispatch(law=law)
            assert not desk.message or "parameters" in desk.message
        desk.dispatch(bootstrap=100)
        desk.dispatch(bootstrap=0, objective="relative", hold_out=1)
        desk.dispatch(objective="ols", hold_out=0)
    desk.dispatch(focus="t5", law="model_size")
    desk.dispatch(objective="lad")
    desk.dispatch(objective="ols", ahead=2.0)
    assert not desk.message


@pytest.mark.parametrize("Tab", TABS)
def test_names_of_users_are_text_and_no_markup(Tab):
    bad = "<img src=x onerror=alert(1)>"
    x = np.geomspace(1e6, 1e9, 6)
    y = 0.3 + (x / 1e7) ** -0.3 + 0.01 * np.array([1, -1, 1, 1, -1, 1])
    parts = [pd.DataFrame({"P": x, bad: y + k, "model": bad, "family": f"{bad}{k}"}) for k in range(2)]
    desk, tab = opened(Tab, frame_source(pd.concat(parts), x="P", y=bad, by="family"))
    desk.exclude([2], bad)
    texts = [widget.value for widget in vars(tab).values() if isinstance(getattr(widget, "value", None), str)]
    if getattr(tab, "canvas", None) is not None:
        texts.append(tab.canvas.figure.to_json().replace("\\u003c", "<"))
    assert texts and not any("<img" in text for text in texts)
