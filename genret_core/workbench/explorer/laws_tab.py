"""Laws side by side on the same points: what each says of points that it did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from genret_core.scaling.comparison.compare import WITH_A_BREAK
from genret_core.scaling.wording import number
from genret_core.workbench.explorer import laws_tab_figure, tab_stage
from genret_core.workbench.explorer.prose import with_titles

if TYPE_CHECKING:
    from genret_core.scaling.comparison.by_objective import Objectives
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

HEIGHT = 500
QUICKLY = 100  # points up to which laws are compared at once
SLOW = "Each law is refitted without each point; with this law, loss or number of points that takes seconds."
BEND = "A power law that changes its exponent: six parameters, and a search of seconds."
LOSS = "Fits the same law by least squares, relative squares, Huber's loss and absolute logarithms."
OBJECTIVES = {
    "ols": "squares",
    "relative": "relative",
    "huber": "Huber",
    "lad": "absolute",
    "logit": "logits",
}


class LawsTab:
    """Six laws in small, the largest points held out one by one, one law under several objectives.

    Parameters
    ----------
    desk : Desk
    """

    tab = "laws"
    title = "Laws"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._stage = tab_stage.Stage(self._build())
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.sentence = widgets.HTML()
        self.canvas = tab_stage.Canvas(HEIGHT, self._listen)
        self.slow = tab_stage.Gate(self.desk, self.show, "compare laws (takes seconds)", SLOW)
        self.bend = tab_stage.Gate(self.desk, self.show, "a law with a bend, too (takes seconds)", BEND)
        self.loss = tab_stage.Gate(self.desk, self.show, "other objectives (takes seconds)", LOSS)
        self.held = widgets.HTML()
        self.objectives = widgets.HTML()
        return [
            self.sentence,
            self.canvas.widget,
            widgets.HBox([self.slow.button, self.bend.button, self.loss.button]),
            self.held,
            self.objectives,
        ]

    def show(self, shown: Shown) -> None:
        """Draw what follows from the state."""
        f = shown.fit
        quick = f is None or self.slow.open(shown, slow=tab_stage.takes_seconds(f, QUICKLY))
        many = quick and f is not None and f.n >= WITH_A_BREAK[1] and f.x2 is None
        bend = self.bend.open(shown, slow=many) and many
        comparison, amiss = tab_stage.either(shown.comparison(whole=bend) if quick else SLOW)
        whole = shown
        if shown.state.hold_out:  # the chart is of all points, whatever is held out now
            whole = type(shown)(shown.state.but(hold_out=0), shown.source, previous=shown)
        rollout, no_rollout = tab_stage.either(whole.rollout if quick else SLOW)
        losses = self.loss.open(shown, slow=f is not None) and f is not None
        objectives, _ = tab_stage.either(shown.objectives if losses else "")
        traces, layout = laws_tab_figure.drawing(comparison, rollout, shown.state, no_rollout or amiss)
        self.canvas.draw(traces, layout)
        said = (
            with_titles(comparison.sentence())
            if comparison is not None
            else amiss or "There is no fit to compare."
        )
        self.sentence.value = tab_stage.told(said, amiss=comparison is None and quick)
        self.held.value = tab_stage.told(_held_told(rollout, shown.state.hold_out))
        self.objectives.value = (
            "" if objectives is None else objectives_table(objectives, shown.state.objective)
        )

    def _listen(self, figure: Any) -> None:
        for trace in figure.data:
            if trace.type == "heatmap":
                tab_stage.on_click(trace, self._chosen)

    def _chosen(self, trace: Any, points: Any) -> None:
        law = trace.name
        if law and law != self.desk.state.law:
            self.desk.dispatch(law=law)


def _held_told(rollout: Any, k: int) -> str:
    if rollout is None:
        return ""
    held = next((one for one in rollout.held if one.k == k), None)
    if held is None:
        return ""
    error = float(held.out.errors[-1])
    share = 100 * error / float(held.out.y[-1])
    return (
        f"From {held.kept} points the law predicts the largest, {held.reach:.3g} times beyond, "
        f"with an error of {error:+.2g} ({share:+.2g} %)."
    )


def objectives_table(found: Objectives, chosen: str) -> str:
    """Lay out one law under several objectives: how much of the answer is the choice of what to minimise."""
    first = next(iter(found.fits.values()))
    farthest = len(found.x) - 1
    at = [f"at {first.points.names['x']} = {float(found.x[farthest]):.3g}"]
    head = ["minimised", *(p.symbol for p in first.law.parameters), "rmse", *at]
    hover = ["The choice of what counts as a small error.", *(p.meaning for p in first.law.parameters)]
    hover += ["Root mean squared residual, in units of y.", "Predicted there, beyond the points."]
    widths = [*found.spread.values(), float(found.predicted_spread[farthest])]
    rows, k = [], len(first.law.parameters)
    for name, f in found.fits.items():
        values = [*f.params.values(), float(found.predictions[name][farthest])]
        cells = [number(value, width or None) for value, width in zip(values, widths, strict=True)]
        rows.append([OBJECTIVES.get(name, name), *cells[:k], number(f.rmse), *cells[k:]])
    strong = list(found.fits).index(chosen) if chosen in found.fits else -1
    spread = np.max(found.predicted_spread) > 0
    note = found.sentence() if spread else ""
    return tab_stage.table(head, rows, hover=hover, strong=strong) + tab_stage.told(note)
