"""A random walk through the explorer: nothing breaks, nothing on the screen is stale, memory stays flat."""

from __future__ import annotations

import ctypes
import gc
import math
import sys
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from walking import Walk, differ, follow, seen

from genret_core.scaling import Fit, fit, get_law
from genret_core.workbench.explorer import desk as desk_module
from genret_core.workbench.explorer.explorer import Explorer
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.state import State

SHORT, WARM, LONG = 150, 500, 2_000
OFTEN, BETWEEN = 10, 50  # actions between checks
GROWN = 25 * 2**20  # bytes that 1,500 actions may leave


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise what the desk would turn into a sentence, unless it was meant as one."""
    quiet = desk_module._sentence

    def sentence(error: Exception) -> str:
        if not isinstance(error, desk_module.BadInput):
            raise error
        return quiet(error)

    monkeypatch.setattr(desk_module, "_sentence", sentence)


def direct(state: State, source: Source, series: str) -> Fit | None:
    """Fit what a state says, straight from the table; None where the law cannot be fitted."""
    rows = source.table[source.table["series"] == series]
    rows = rows[~rows["row"].isin([row for row, _ in state.excluded])]
    rows = rows[np.isfinite(rows[["x", "y"]]).all(axis=1)]
    if state.hold_out:
        size = rows["x"] * rows["x2"].fillna(1)
        rows = rows[size < np.sort(size.unique())[-min(state.hold_out, size.nunique())]]
    two = get_law(state.law).x2 is not None
    options: dict[str, Any] = {"objective": state.objective, "sd": state.sd, "drop_bad": True}
    if state.objective == "huber":
        options["delta"] = state.delta
    try:
        return fit(state.law, rows["x"], rows["y"], rows["x2"] if two else None, intervals=False, **options)
    except desk_module.BadInput:
        return None


def check(walk: Walk) -> None:
    """Compare what is on the screen with an explorer opened in that state, and the fits with their points."""
    explorer, desk = walk.explorer, walk.explorer.desk
    desk.message = ""
    desk._show()
    for slot, series in zip(explorer.view._slots, desk.state.shown, strict=False):
        ours, found = direct(desk.state, desk.source, series), desk.shown.fits[series]
        assert (ours is None) == isinstance(found, str), (desk.state, found)
        if ours is None or isinstance(found, str):
            continue
        assert all(same(found.params[name], value) for name, value in ours.params.items()), desk.state
        if desk.state.axes != "log_log" and ours.law.x2 is None:
            x, drawn = (np.asarray(slot["inside"][axis], float) for axis in ("x", "y"))
            wanted = ours.predict(x, clip=desk.state.clip)
            np.testing.assert_allclose(drawn, wanted, rtol=1e-14)  # last bits hang on how many at once
    fresh = Explorer(desk.source, State.from_yaml(desk.state.to_yaml()))
    follow(fresh, explorer)
    assert fresh.desk.state == desk.state
    shown, wanted = seen(explorer), seen(fresh)
    stale = [key for key in {*shown, *wanted} if differ(shown.get(key), wanted.get(key))]
    told = "\n".join(f"{key}\n  shown {shown.get(key)}\n  fresh {wanted.get(key)}" for key in stale)
    assert not stale, f"{desk.state}\n{told}"
    fresh.close()  # else it stays


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def alive() -> dict[str, Any]:
    """Give the registry of ipywidgets, which holds on to every widget that is not closed."""
    return widgets.widget._instances


def memory() -> tuple[int, int]:
    """Give resident bytes and the number of widgets alive."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        pytest.skip("memory is read from /proc")
    return pages * 4096, len(alive())


@pytest.mark.parametrize("seed", [0])
def test_a_short_walk_leaves_nothing_stale(seed: int, loud: None) -> None:
    walk = Walk(seed)
    for i in range(1, SHORT + 1):
        walk.step()
        if i % OFTEN == 0:
            check(walk)


@pytest.mark.slow
def test_a_long_walk_leaves_nothing_stale(loud: None) -> None:
    walk = Walk(1)
    for i in range(1, LONG + 1):
        walk.step()
        if i % BETWEEN == 0:
            check(walk)
    print(f"\n{LONG} actions of {len(walk.done)} kinds: {walk.done}")


@pytest.mark.slow
def test_a_long_walk_leaves_memory_flat(loud: None) -> None:
    walk, held = Walk(1), {}
    for i in range(1, LONG + 1):
        walk.step()
        if i in (WARM, LONG):
            held[i] = memory()
    for i, (resident, many) in held.items():
        print(f"\nafter {i} actions {resident / 2**20:.0f} MB resident, {many} widgets", end="")
    assert held[LONG][0] - held[WARM][0] < GROWN
