from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from genret_core.scaling import fit
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.explorer.sources import csv_source, published_source

SOURCE = published_source()


class Screen:
    """A panel that remembers what it showed, and answers with an event as widgets do."""

    def __init__(self, desk: Desk, tab: str | None = None, fails: str = "") -> None:
        self.desk, self.tab, self.fails, self.seen = desk, tab, fails, []

    def show(self, shown: Shown) -> None:
        if self.fails and shown.state.law == self.fails:
            raise RuntimeError("no ink\nleft")
        self.seen.append(shown.state)
        self.desk.dispatch(ahead=3.0)  # the echo of a widget that is set


def test_panels_see_every_change_and_their_echo_changes_nothing():
    desk = Desk(SOURCE)
    always, tab = Screen(desk), Screen(desk, "laws")
    desk.watch(always)
    desk.watch(tab)
    desk.dispatch(ahead=1.0)
    assert always.seen[-1].ahead == 1.0 and desk.state.ahead == 1.0 and tab.seen == []
    desk.dispatch(tab="laws")
    assert tab.seen[-1] == desk.state
    with desk.quiet():
        desk.dispatch(ahead=2.0)
    assert desk.state.ahead == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"law": "nothing"},
        {"hold_out": 3},
        {"law": "broken"},
        {"focus": "x"},
        {"objective": "huber", "sd": 1.0},
    ],
)
def test_a_refusal_is_told_and_the_state_stays(changes):
    desk = Desk(SOURCE)
    screen = Screen(desk)
    desk.watch(screen)
    before, shown = desk.state, desk.shown
    desk.dispatch(**changes)
    assert desk.message and "\n" not in desk.message
    assert (desk.state, desk.shown) == (before, shown) and screen.seen[-1] == before
    assert not desk.can_undo
    desk.dispatch(level=0.9)
    assert desk.message == ""


def test_a_panel_that_fails_takes_the_desk_back():
    desk = Desk(SOURCE)
    desk.watch(Screen(desk, fails="power"))
    desk.dispatch(law="power")
    assert desk.state.law == "model_size" and "no ink left" in desk.message


def test_points_out_and_in_with_undo():
    desk = Desk(SOURCE)
    desk.exclude([2], "diverged")
    desk.toggle(4)
    assert desk.state.excluded == ((2, "diverged"), (4, ""))
    one = desk.state
    desk.exclude([2], "another reason")
    assert desk.state.reasons[2] == "another reason"
    desk.undo()
    assert desk.state == one
    desk.redo()
    assert desk.state.reasons[2] == "another reason"
    desk.include([2, 4])
    assert desk.state.excluded == ()
    x, y = SOURCE.rows("t5")["x"], SOURCE.rows("t5")["y"]
    assert desk.shown.fit.params == fit("model_size", x, y).params


def test_a_drag_is_one_step_and_tabs_are_none():
    desk = Desk(SOURCE)
    for ahead in np.linspace(0.1, 2, 20):
        desk.dispatch(ahead=float(ahead))
    desk.dispatch(tab="laws")
    desk.dispatch(law="power")
    desk.undo()
    assert desk.state.law == "model_size" and desk.state.ahead == 2.0 and desk.state.tab == "laws"
    desk.undo()
    assert desk.state.ahead == 0.0 and not desk.can_undo
    desk.redo()
    desk.redo()
    assert desk.state.law == "power" and not desk.can_redo


def test_a_focus_with_other_axes_brings_its_law():
    desk = Desk(SOURCE)
    desk.dispatch(focus="joint")
    assert (desk.state.shown, desk.state.law) == (("joint",), "joint_exchanged")
    desk.dispatch(focus="llama_data")
    assert (desk.state.shown, desk.state.law) == (("llama_data",), "data_size")
    desk.dispatch(focus="codebook_t5")
    assert desk.state.law == "model_size" and desk.message == ""


def test_snapshots_and_permalinks():
    desk = Desk(SOURCE)
    desk.exclude([2], "why")
    desk.save("mine")
    kept = desk.state
    desk.dispatch(focus="llama")
    text = desk.state.to_yaml()
    desk.load("mine")
    assert desk.state == kept and desk.names == ("mine",)
    desk.restore(text)
    assert desk.state.focus == "llama"
    desk.restore("focus: t5\nshown: [t5]\nmore: 1")
    assert "no 'more'" in desk.message and desk.state.focus == "llama"
    desk.load("yours")
    assert "no snapshot" in desk.message


def test_other_points_can_be_put_on_the_desk():
    desk = Desk(SOURCE)
    desk.exclude([2])
    desk.save("mine")
    desk.open(csv_source("P,CGL\n1e6,1\n1e7,.5\n1e8,.35\n1e9,.3\n"))
    assert desk.source.name == "upload" and desk.names == () and not desk.can_undo
    assert desk.shown.fit.n == 4
    desk.open(csv_source("P,CGL\n1e6,1\n1e7,.5\n"))
    assert desk.shown.fit is None and "only 2 points" in desk.message
    desk.dispatch(level=0.9)
    assert desk.state.level == 0.9


def test_a_random_walk_shows_what_a_fresh_fit_gives():
    rng = np.random.default_rng(5)
    desk = Desk(SOURCE)

    def act() -> Any:
        kind = int(rng.integers(12))
        pick = rng.choice
        if kind == 0:
            return desk.toggle(int(rng.integers(1, 22)))
        if kind == 1:
            return desk.dispatch(law=str(pick(["model_size", "power", "data_size", "surface"])))
        if kind == 2:
            return desk.dispatch(focus=str(pick([s for s in SOURCE.series if s != "joint"])))
        if kind == 3:
            return desk.dispatch(ahead=float(rng.uniform(0, 6)))
        if kind == 4:
            return desk.dispatch(hold_out=int(rng.integers(0, 4)))
        if kind == 5:
            return desk.dispatch(objective=str(pick(["ols", "relative"])))
        if kind == 6:
            return desk.dispatch(sd=None if rng.random() < 0.5 else float(10 ** rng.uniform(-8, -4)))
        if kind == 7:
            return desk.dispatch(level=float(rng.uniform(0.5, 0.99)), tab=str(pick(["fit", "residuals"])))
        if kind == 8:
            return desk.dispatch(overlay=pick(["table1:t5", "table2:ngram", None]))
        if kind == 9:
            return desk.redo()
        return desk.undo() if kind == 10 else desk.dispatch(shown=tuple(SOURCE.alike(desk.state.focus)))

    for _ in range(120):
        act()
        fresh = Shown(desk.state, SOURCE)
        np.testing.assert_array_equal(list(desk.shown.fit.params.values()), list(fresh.fit.params.values()))
        assert desk.shown.fit.intervals == fresh.fit.intervals
        assert desk.shown.verdicts == fresh.verdicts
        for series, curve in desk.shown.curves(20).items():
            np.testing.assert_array_equal(curve, fresh.curves(20)[series])
