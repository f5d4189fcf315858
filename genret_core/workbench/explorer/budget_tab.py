"""What to do next: how to spend a budget, what a target takes, which run would tell most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from genret_core.scaling import Fit, reach
from genret_core.scaling.planning.isocost import PER_PARAMETER_AND_TOKEN, Cost
from genret_core.workbench.explorer import budget_tab_figure, tab_stage

if TYPE_CHECKING:
    from genret_core.scaling.planning import Reach
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

HEIGHT = 440
PER_TOKEN = 2.0  # FLOPs of a forward pass for each parameter and token (Kaplan et al., 2020)
AROUND = 3.0  # decades of the budget slider on both sides of the largest run so far
STEP = 0.05  # of a decade
WIDE = {"description_width": "initial"}


@dataclass(frozen=True)
class Written:
    """Inference FLOPs of a query for which so many tokens are written; equal ones are asked once."""

    tokens: float

    def __call__(self, P: float) -> float:
        """Give the FLOPs of a model of size P."""
        return PER_TOKEN * P * self.tokens


class BudgetTab:
    """The budget planner of laws of two arguments; target and next run for laws of one.

    What is asked for here (budget, tokens, queries, target) is a way of looking and not part of the state.

    Parameters
    ----------
    desk : Desk
    """

    tab = "budget"
    title = "Plan"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._asked: Any = None
        self._stage = tab_stage.Stage(self._build)
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.sentence = widgets.HTML()
        self.figure = tab_stage.empty_figure(HEIGHT)
        self.budget = _slider(
            "Budget, powers of ten of FLOPs", "What training (and serving) may cost together."
        )
        self.tokens = _typed(
            "tokens in a pair", 1.0, "Training costs 6 P D t FLOPs: t tokens in each of D pairs."
        )
        self.queries = _typed(
            "queries to serve", 0.0, "Adds what answering so many queries costs; 0: training only."
        )
        self.written = _typed(
            "tokens written for a query",
            100.0,
            "Beams times identifier length. A query costs 2 P FLOPs for each token that is written.",
        )
        self.target = _slider("Target", "The value that is to be reached.")
        self.plan = widgets.HBox(
            [self.budget, self.tokens, self.queries, self.written],
            layout=widgets.Layout(align_items="center", flex_flow="row wrap"),
        )
        for control in (self.budget, self.tokens, self.queries, self.written, self.target):
            control.observe(self._changed, "value")
        self.next = widgets.HTML()
        return [self.plan, self.target, self.sentence, self.figure, self.next]

    def show(self, shown: Shown) -> None:
        """Draw what follows from the state."""
        self._stage.ready()
        f = shown.fit
        two = f is not None and f.x2 is not None
        self.plan.layout.display = "" if two else "none"
        self.target.layout.display = "none" if two or f is None else ""
        if f is None:
            traces, layout = budget_tab_figure.of_target(None, None, None, "")
            said, amiss = "There is no fit to plan by.", True
            self.next.value = ""
        else:
            self._ranges(f)
            said, amiss, traces, layout = self._two(f, shown) if two else self._one(f, shown)
        tab_stage.redraw(self.figure, traces, layout)
        self.sentence.value = tab_stage.told(said, amiss=amiss)

    def _one(self, f: Fit, shown: Shown) -> tuple[str, bool, Any, Any]:
        reached, no_reach = self._reached(f, shown)
        run, no_run = tab_stage.either(shown.next_run)
        traces, layout = budget_tab_figure.of_target(f, reached, run, no_run)
        self.next.value = tab_stage.told(no_run if run is None else run.sentence())
        return (no_reach if reached is None else reached.sentence()), reached is None, traces, layout

    def _reached(self, f: Fit, shown: Shown) -> tuple[Reach | None, str]:
        target, level = self.target.value, shown.state.level
        key = (shown.key, level, "reach", target)
        return tab_stage.either(shown.remember(key, lambda: reach(f, target, level=level)))

    def _two(self, f: Fit, shown: Shown) -> tuple[str, bool, Any, Any]:
        inference = self._inference()
        found = shown.allocation(
            10.0**self.budget.value, tokens_per_pair=self.tokens.value, inference=inference
        )
        plan, amiss = tab_stage.either(found)
        traces, layout = budget_tab_figure.of_plan(f, plan, self._cost())
        run, _ = tab_stage.either(shown.next_run)
        words = "" if run is None else tab_stage.told(run.sentence())
        if plan is not None and not plan[0].intervals:
            words += tab_stage.told("Switch the bootstrap on for an interval of the optimum.")
        words += "".join(
            tab_stage.told(v.message, amiss=True) for v in (plan.verdicts if plan is not None else ())
        )
        self.next.value = words
        return (amiss if plan is None else plan.sentence()), plan is None, traces, layout

    def _inference(self) -> tuple[float, Written] | None:
        return (self.queries.value, Written(self.written.value)) if self.queries.value > 0 else None

    def _cost(self) -> Cost:
        n_queries, per_query = self._inference() or (0.0, None)
        return Cost(None, self.tokens.value, n_queries, per_query)

    def _ranges(self, f: Fit) -> None:
        """Lay the sliders out for other points or another law; a budget in range stays."""
        asked = (
            f.law.name,
            f.x.tobytes(),
            f.y.tobytes(),
            self.tokens.value if self._stage.widget.children else 0,
        )
        if asked == self._asked:
            return
        self._asked = asked
        with self._stage.set():
            if f.x2 is not None:
                largest = np.log10(PER_PARAMETER_AND_TOKEN * self.tokens.value * float((f.x * f.x2).max()))
                _lay(self.budget, largest - AROUND, largest + AROUND, STEP, largest)
                return
            bounds = f.law.bounds or (-np.inf, np.inf)
            low, high = float(f.y.min()), float(f.y.max())
            span = high - low or abs(high) or 1.0
            start, end = max(low - span, bounds[0], 0.0 if low >= 0 else -np.inf), min(high, bounds[1])
            floor = next((f.params[p.name] for p in f.law.with_role("floor")), start)
            halfway = (floor + low) / 2 if start <= floor < low else low - 0.1 * span
            _lay(self.target, start, end, (end - start) / 400, float(np.clip(halfway, start, end)))

    def _changed(self, _: dict[str, Any]) -> None:
        if not self._stage.showing:
            self.show(self.desk.shown)


def _slider(label: str, hint: str) -> widgets.FloatSlider:
    layout = widgets.Layout(width="420px")
    return widgets.FloatSlider(
        description=label, tooltip=hint, style=WIDE, layout=layout, readout_format=".4g"
    )


def _typed(label: str, value: float, hint: str) -> widgets.BoundedFloatText:
    layout = widgets.Layout(width="auto", max_width="250px")
    return widgets.BoundedFloatText(
        value=value, min=0.0, max=1e18, description=label, tooltip=hint, style=WIDE, layout=layout
    )


def _lay(slider: widgets.FloatSlider, low: float, high: float, step: float, value: float) -> None:
    slider.min, slider.max = min(low, slider.max), max(high, slider.min)  # never the lower above the upper
    slider.min, slider.max = low, max(high, low + 1e-12)
    slider.step = step
    slider.value = value
