"""What to do next: how to spend a budget, what a target takes, which run would tell most."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from genret_core.scaling import Fit, reach
from genret_core.scaling.planning.isocost import PER_PARAMETER_AND_TOKEN, Cost
from genret_core.scaling.wording import number
from genret_core.workbench.explorer import budget_tab_figure, tab_stage
from genret_core.workbench.explorer.prose import readable

if TYPE_CHECKING:
    from genret_core.scaling.planning import Reach
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

HEIGHT = 500
PER_TOKEN = 2.0  # FLOPs of a forward pass for each parameter and token (Kaplan et al., 2020)
AROUND = 3.0  # decades of the budget slider on both sides of the largest run so far
STEPS = 240  # of a slider
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
        self._stage = tab_stage.Stage(self._build())
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.sentence = widgets.HTML()
        self.canvas = tab_stage.Canvas(HEIGHT)
        self.budget = Dial("Budget", "What training (and serving) may cost together, in FLOPs.")
        self.tokens = _typed(
            "tokens in a pair", 1.0, "Training costs 6 P D t FLOPs: t tokens in each of D pairs.", 1e-3
        )
        self.queries = _typed(
            "queries to serve", 0.0, "Adds what answering so many queries costs; 0: training only."
        )
        self.written = _typed(
            "tokens written for a query",
            100.0,
            "Beams times identifier length. A query costs 2 P FLOPs for each token that is written.",
        )
        self.target = Dial("Target", "The value that is to be reached.")
        self.plan = widgets.HBox(
            [self.budget.widget, self.tokens, self.queries, self.written],
            layout=widgets.Layout(align_items="center", flex_flow="row wrap"),
        )
        for control in (self.budget.slider, self.target.slider, self.tokens, self.queries, self.written):
            control.observe(self._changed, "value")
        self.next = widgets.HTML()
        return [self.plan, self.target.widget, self.sentence, self.canvas.widget, self.next]

    def show(self, shown: Shown) -> None:
        """Draw what follows from the state."""
        f = shown.fit
        two = f is not None and f.x2 is not None
        self.plan.layout.display = "" if two else "none"
        self.target.widget.layout.display = "none" if two or f is None else ""
        if f is None:
            traces, layout = budget_tab_figure.of_target(None, None, None, "")
            said, amiss = "There is no fit to plan by.", True
            self.next.value = ""
        else:
            self._ranges(f)
            said, amiss, traces, layout = self._two(f, shown) if two else self._one(f, shown)
        self.canvas.draw(traces, layout)
        self.sentence.value = tab_stage.told(said, amiss=amiss)

    def _one(self, f: Fit, shown: Shown) -> tuple[str, bool, Any, Any]:
        reached, no_reach = self._reached(f, shown)
        run, no_run = tab_stage.either(shown.next_run)
        traces, layout = budget_tab_figure.of_target(f, reached, run, no_run)
        self.next.value = tab_stage.told(no_run if run is None else _symbols(run.sentence(), f))
        return (no_reach if reached is None else reached.sentence()), reached is None, traces, layout

    def _reached(self, f: Fit, shown: Shown) -> tuple[Reach | None, str]:
        target, level = self.target.value, shown.state.level
        key = (shown.key, level, "reach", target)
        return tab_stage.either(shown.remember(key, lambda: reach(f, target, level=level)))

    def _two(self, f: Fit, shown: Shown) -> tuple[str, bool, Any, Any]:
        inference = self._inference()
        found = shown.allocation(self.budget.value, tokens_per_pair=self.tokens.value, inference=inference)
        plan, amiss = tab_stage.either(found)
        traces, layout = budget_tab_figure.of_plan(f, plan, self._cost())
        run, _ = tab_stage.either(shown.next_run)
        words = "" if run is None else tab_stage.told(_symbols(run.sentence(), f))
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
                self.budget.lay(largest - AROUND, largest + AROUND, largest, log=True)
                return
            bounds = f.law.bounds or (-np.inf, np.inf)
            low, high = float(f.y.min()), float(f.y.max())
            span = high - low or abs(high) or 1.0
            start, end = max(low - span, bounds[0], 0.0 if low >= 0 else -np.inf), min(high, bounds[1])
            floor = next((f.params[p.name] for p in f.law.with_role("floor")), start)
            halfway = (floor + low) / 2 if start <= floor < low else low - 0.1 * span
            self.target.lay(start, end, float(np.clip(halfway, start, end)))

    def _changed(self, _: dict[str, Any]) -> None:
        if not self._stage.showing:
            self.show(self.desk.shown)


def _symbols(text: str, f: Fit) -> str:
    """Call parameters as the equation does."""
    for p in f.law.parameters:
        text = re.sub(rf"\b{re.escape(p.name)}\b", p.symbol, text)
    return text


class Dial:
    """A slider over a range of numbers, with the number beside it.

    In the browser it has steps from 0 on: of other numbers a browser has its own rounding, which comes back
    as if a person had moved it.

    Parameters
    ----------
    label, hint : str
    """

    def __init__(self, label: str, hint: str) -> None:
        self._low, self._high, self._log = 0.0, 1.0, False
        layout = widgets.Layout(flex="1 1 auto", width="auto")
        self.slider = widgets.IntSlider(
            min=0, max=STEPS, description=label, tooltip=hint, style=WIDE, layout=layout, readout=False
        )
        self.readout = widgets.HTML(layout=widgets.Layout(width="84px"))
        self.widget = widgets.HBox([self.slider, self.readout], layout=widgets.Layout(width="99%"))
        self.slider.observe(lambda _: self._tell(), "value")

    @property
    def value(self) -> float:
        """The number."""
        at = self._low + (self._high - self._low) * self.slider.value / STEPS
        return float(10.0**at if self._log else at)

    def lay(self, low: float, high: float, value: float, *, log: bool = False) -> None:
        """Give it another range (of powers of ten, if `log`) and put it at `value`."""
        self._low, self._high, self._log = low, high, log
        self.slider.value = round((value - low) / (high - low) * STEPS) if high > low else 0
        self._tell()

    def _tell(self) -> None:
        self.readout.value = f"<b>{readable(number(self.value))}</b>"


def _typed(label: str, value: float, hint: str, least: float = 0.0) -> widgets.BoundedFloatText:
    layout = widgets.Layout(width="auto", max_width="250px")
    return widgets.BoundedFloatText(
        value=value, min=least, max=1e18, description=label, tooltip=hint, style=WIDE, layout=layout
    )
