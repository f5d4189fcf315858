"""The explorer's answer to 200 random actions on 5, 50 and 500 points: change to updated figure."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workbench" / "explorer"))
from walking import DEAR, Walk, source

from genret_core.workbench.explorer.source import Source

pytestmark = pytest.mark.benchmark
ACTIONS, GOAL = 200, 0.1


class Asked(Walk):
    """A walk that times what is meant to be immediate: no resampling, nothing that announces seconds."""

    def __init__(self, seed: int, points: Source) -> None:
        super().__init__(seed, points)
        self.took: list[tuple[float, str, str]] = []
        self.drawn: list[float] = []  # seconds to the updated figure, where it was
        self.spent: list[float] = []  # seconds of the processor, which others on the machine do not lengthen
        self._began, self._first = 0.0, 0.0
        view = self.explorer.view
        show = view.show

        def timed(shown: Any) -> None:
            show(shown)
            self._first = self._first or time.perf_counter() - self._began

        view.show = timed  # type: ignore[method-assign]

    def step(self) -> None:
        """Do something, and take the time."""
        state = self.explorer.desk.state
        if state.law in DEAR or state.bootstrap or state.band == "curves":
            self.explorer.desk.dispatch(law="model_size", bootstrap=0, band="band")
        self._began, self._first, busy = time.perf_counter(), 0.0, time.process_time()
        super().step()
        took, spent = time.perf_counter() - self._began, time.process_time() - busy
        after = self.explorer.desk.state
        free = not (after.law in DEAR or after.bootstrap or after.band == "curves" or "seconds" in self.last)
        if free:
            self.took.append((took / self.moves, self.last, state.tab))
            self.spent.append(spent / self.moves)
            if self._first:
                self.drawn.append(self._first)


@pytest.mark.parametrize("n", [5, 50, 500])
def test_response(n: int) -> None:
    walk = Asked(0, source(n))
    while len(walk.took) < ACTIONS:
        walk.step()
    seconds = np.array([one[0] for one in walk.took])
    middle, most, last = (np.quantile(seconds, share) * 1e3 for share in (0.5, 0.95, 1))
    print(f"\n{n} points: median {middle:.0f} ms, 95 % within {most:.0f} ms, worst {last:.0f} ms;")
    print(f"{(seconds > GOAL).sum()} of {ACTIONS} take longer than {GOAL:g} s")
    for what, each in (("to the main figure", walk.drawn), ("time of the processor", walk.spent)):
        middle, most, last = (np.quantile(each, share) * 1e3 for share in (0.5, 0.95, 1))
        over = sum(one > GOAL for one in each)
        print(f"{what}: median {middle:.0f} ms, 95 % within {most:.0f} ms, worst {last:.0f} ms, {over} over")
    worst: dict[str, float] = {}
    for took, what, tab in walk.took:
        worst[f"{tab}: {what}"] = max(took, worst.get(f"{tab}: {what}", 0.0))
    for what, took in sorted(worst.items(), key=lambda one: -one[1])[:8]:
        print(f"   {took * 1e3:4.0f} ms  {what}")
