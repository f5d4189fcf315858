"""How well the points hold a parameter: the misfit along one, and over exponent and floor together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from genret_core.workbench.explorer import profile_tab_figure, tab_stage
from genret_core.workbench.explorer.profile_tab_words import curve_told, profiled

if TYPE_CHECKING:
    from genret_core.scaling.intervals.maps import ProfileMap
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

HEIGHT = 540
STEPS = 200  # of the floor slider
FINE = 71  # places of the map along each side
CHOICE = "The parameter that the curve on the left is drawn along; everything else is refitted at each value."
SLIDER = "The floor of the log-log axis, and the line in the profile: values under the 95 % line fit."
HINT = (
    "Click in the map: that curve is drawn beside the fit. Everything inside the outer line fits the points."
)


class ProfileTab:
    """The profile of one parameter, and the map over exponent and floor.

    Parameters
    ----------
    desk : Desk
    """

    tab = "profile"
    title = "Profile"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._map: ProfileMap | None = None
        self._floors = (0.0, 1.0)
        self._stage = tab_stage.Stage(self._build())
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.sentence = widgets.HTML()
        self.choice = widgets.Dropdown(
            options=[("exponent", "")],
            description="Profile of",
            tooltip=CHOICE,
            layout=widgets.Layout(width="210px"),
            style={"description_width": "60px"},
        )
        self.floor = (
            widgets.IntSlider(  # steps of a range: a browser rounds other numbers, and sends them back
                min=0,
                max=STEPS,
                readout=False,
                description="Floor",
                tooltip=SLIDER,
                layout=widgets.Layout(width="190px"),
                style={"description_width": "40px"},
            )
        )
        self.reset = widgets.Button(
            description="fitted",
            tooltip="Put the floor of the log-log axis back to the fitted one.",
            layout=widgets.Layout(width="auto"),
        )
        self.forget = widgets.Button(
            description="remove the picked curve",
            tooltip="Draw no curve beside the fit.",
            layout=widgets.Layout(width="auto", flex="0 0 auto"),
        )
        self.canvas = tab_stage.Canvas(HEIGHT, self._listen)
        self.hint = widgets.HTML(f'<div class="gx-hint">{HINT}</div>')
        self.choice.observe(self._chosen, "value")
        self.floor.observe(self._floored, "value")
        self.reset.on_click(lambda _: self.desk.dispatch(floor=None))
        self.forget.on_click(lambda _: self.desk.dispatch(curve=None))
        row = widgets.HBox(
            [self.choice, self.floor, self.reset],
            layout=widgets.Layout(align_items="center", flex_flow="row wrap"),
        )
        below = widgets.HBox([self.hint, self.forget], layout=widgets.Layout(align_items="center"))
        return [self.sentence, row, self.canvas.widget, below]

    def show(self, shown: Shown) -> None:
        """Draw what follows from the state."""
        f = shown.fit
        names = [] if f is None else profiled(f)
        with self._stage.set():
            kept = self.choice.value
            options = [(p.symbol + f" ({word})", p.name) for p, word in names] or [("nothing", "")]
            if tuple(options) != tuple(self.choice.options):
                self.choice.options = options
                if kept in [name for _, name in options]:
                    self.choice.value = kept
        name = self.choice.value
        curve, amiss = tab_stage.either(shown.profile(name)) if name else (None, shown.why)
        self._map, no_map = tab_stage.either(shown.profile_map(FINE))
        floors = {p.name for p, word in names if word == "floor"}
        traces, layout = profile_tab_figure.drawing(f, curve, self._map, shown.state, name in floors, no_map)
        self.canvas.draw(traces, layout)
        said = (
            curve_told(f, curve)
            if f is not None and curve is not None
            else amiss or "There is no fit to look at."
        )
        self.sentence.value = tab_stage.told(said, amiss=curve is None)
        self._set_floor(shown)
        self.forget.disabled = shown.state.curve is None

    def _set_floor(self, shown: Shown) -> None:
        f = shown.fit
        floors = [] if f is None else f.law.with_role("floor")
        self.floor.disabled = self.reset.disabled = not floors
        if f is None or not floors:
            return
        low, high = 0.0, float(f.y.min())
        if f.law.floor == "free":
            low = min(low, f.params[floors[0].name])
        value = shown.state.floor if shown.state.floor is not None else f.params[floors[0].name]
        self._floors = min(low, value), max(high, value)
        span = self._floors[1] - self._floors[0]
        with self._stage.set():
            self.floor.value = round((value - self._floors[0]) / span * STEPS) if span else 0
        self.reset.disabled = shown.state.floor is None

    def _chosen(self, change: dict[str, Any]) -> None:
        if change["new"] and not self._stage.showing:
            self.show(self.desk.shown)

    def _floored(self, change: dict[str, Any]) -> None:
        if not self._stage.showing:
            low, high = self._floors
            self.desk.dispatch(floor=low + (high - low) * change["new"] / STEPS)

    def _listen(self, figure: Any) -> None:
        tab_stage.on_click(figure.data[profile_tab_figure.MAP], self._picked)

    def _picked(self, _: Any, points: Any) -> None:
        if self._map is None:
            return
        i = int(np.abs(np.log(self._map.exponents / float(points.xs[0]))).argmin())
        j = int(np.abs(self._map.floors - float(points.ys[0])).argmin())
        params = self._map.params(i, j)
        if all(np.isfinite(value) for value in params.values()):
            self.desk.dispatch(curve=tuple(params.items()))
