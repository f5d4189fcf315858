"""The controls under the figure: its axes, its band, what lies beyond the data, what dragging does."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import ipywidgets as widgets

from genret_core.workbench.explorer import floor_strip, view_ahead
from genret_core.workbench.explorer.controls import Controls, choice, dropdown, row, set_options, switch
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.explorer.view_traces import fitted_floor
from genret_core.workbench.figures import style

AXES = {
    "linear": ("linear", "Both axes linear."),
    "log x": ("log_x", "A logarithmic x axis; y as it is."),
    "log–log": (
        "log_log",
        "Both axes logarithmic, of y minus the floor: a power law with that floor is a straight line.",
    ),
}
BANDS = {
    "band": ("band", "Where the curve may lie, by the intervals of the fit."),
    "curves": (
        "curves",
        "200 curves that fit the points about as well: where they fan out, nothing is known.",
    ),
    "none": ("none", "Neither."),
}
DRAGS = {
    "zoom": ("zoom", "Dragging zooms; a double click goes back."),
    "leave out": ("leave out", "Drag a box about points to leave them out; the lasso is above the figure."),
    "take back": ("take back", "Drag a box about points that were left out to take them back."),
}
DECADES = 3.0  # of the slider; the state allows more
STEPS = 400  # of the slider of the floor
HINT = "Click a point to leave it out; click it again to take it back."


class FigureControls(Controls):
    """What the figure shows and how; always visible.

    Parameters
    ----------
    desk : Desk
    view : View
    """

    def __init__(self, desk: Any, view: Any) -> None:
        super().__init__(desk)
        wide, narrow = {"description_width": "88px"}, {"description_width": "62px"}
        self.axes = self.bind(choice("Axes", AXES), lambda shown: shown.state.axes, "axes")
        self.band = self.bind(choice("Spread", BANDS), lambda shown: shown.state.band, "band")
        self.drag = choice("Drag to", DRAGS)
        self.drag.observe(lambda event: view.drag(event["new"]), "value")
        self.ahead = self.bind(
            widgets.FloatSlider(
                min=0,
                max=DECADES,
                step=0.05,
                readout=False,
                description="Predict ahead",
                tooltip="How far beyond the largest x to predict; all laws that could be are asked there.",
                style=wide,
                layout=widgets.Layout(width="236px", margin="0"),
            ),
            lambda shown: min(shown.state.ahead, self.ahead.max),
            "ahead",
        )
        self.factor = widgets.HTML(layout=widgets.Layout(width="52px", margin="0"))
        self.held = self.bind(
            widgets.IntSlider(
                min=0,
                max=1,
                description="Hold out",
                tooltip="So many of the largest sizes are not fitted: the law has to predict them.",
                style=narrow,
                layout=widgets.Layout(width="190px", margin="0"),
            ),
            lambda shown: shown.state.hold_out,
            "hold_out",
        )
        self.overlay = self.bind(
            dropdown(
                "Published",
                "Lay a published law over the points, with its coefficients as printed.",
                [("none", "")],
                style=narrow,
                layout=widgets.Layout(width="216px", margin="0"),
            ),
            lambda shown: shown.state.overlay or "",
            lambda value: {"overlay": value or None},
        )
        self.chance = self.bind(
            switch("chance line", "The loss of a model that knows nothing: ln(1 + 1/N)."),
            lambda shown: shown.state.chance,
            "chance",
        )
        self.rho = self.bind(
            switch("ρ axis", "A second axis: positive over mean negative loss; chance is 1."),
            lambda shown: shown.state.rho,
            "rho",
        )
        self.clip = self.bind(
            switch("keep to [0, 1]", "Keep curves of rates to what a rate can be."),
            lambda shown: shown.state.clip,
            "clip",
        )
        self.floor = self.bind(
            widgets.FloatSlider(
                min=0,
                max=1,
                step=1e-6,
                readout_format=".6f",
                description="Floor",
                tooltip="What is taken off y in the log–log view: at the right floor the points lie on a "
                "line. How many floors look right is how little the data tell of it.",
                style=narrow,
                layout=widgets.Layout(width="420px", margin="0"),
            ),
            self._floor_shown,
            self._floor_chosen,
        )
        self.fitted = widgets.Button(
            description="fitted",
            tooltip="Go back to the floor that was fitted.",
            layout=widgets.Layout(width="64px", margin="0"),
        )
        self.fitted.on_click(lambda _: self.desk.dispatch(floor=None))
        self._floor_row = row(self.floor, self.fitted, gap="6px")
        self._floor_row.layout.width = "auto"
        self._switches = row(self.chance, self.rho, self.clip, gap="18px")
        self._switches.layout.width = "auto"
        self._hint = widgets.HTML(layout=widgets.Layout(margin="0"))
        self.strip = widgets.HTML(layout=widgets.Layout(margin="0", display="none"))
        ahead = row(self.ahead, self.factor, gap="4px")
        ahead.layout.width = "auto"
        self.widget = widgets.VBox(
            [
                row(
                    self.axes,
                    self.band,
                    self.drag,
                    gap="4px 14px",
                    justify_content="space-between",
                    flex_flow="row wrap",
                ),
                row(
                    ahead,
                    self.held,
                    self.overlay,
                    gap="4px 10px",
                    justify_content="space-between",
                    flex_flow="row wrap",
                ),
                row(
                    self._switches,
                    self._floor_row,
                    gap="4px 18px",
                    justify_content="space-between",
                    flex_flow="row wrap",
                ),
                row(self._hint, self.strip, gap="4px 18px", justify_content="space-between"),
            ],
            layout=widgets.Layout(width="100%", grid_gap="4px"),
        )

    def prepare(self, shown: Any) -> None:
        """Set what the sliders span, what can be laid over, and which switches there are."""
        state, source = shown.state, shown.source
        self.ahead.max = max(DECADES, state.ahead)
        factor = 10**state.ahead
        said = (
            "off" if state.ahead == 0 else f"× {style.short(factor) if factor < 1000 else f'{factor:,.0f}'}"
        )
        self.factor.value = f'<span class="gx-hint">{said}</span>'
        self.held.max = max(_sizes(shown) - 2, state.hold_out, 1)
        set_options(self.overlay, overlays(shown))
        negatives = source.negatives(state.focus)
        bounds = shown.fit is not None and shown.fit.law.bounds is not None
        for widget, there in ((self.chance, negatives), (self.rho, negatives), (self.clip, bounds)):
            widget.layout.display = None if there else "none"
        said = readable(view_ahead.words(shown))
        floored = state.axes == "log_log"
        self._floor_row.layout.display = None if floored else "none"
        self.strip.value = ""
        if floored:
            self._span_floor(shown)
            if (curve := _misfit(shown)) is not None:
                now = self._floor_shown(shown)
                self.strip.value = floor_strip.strip(curve, self.floor.min, self.floor.max, now)
                said = said or floor_strip.told(curve, now)
        self.strip.layout.display = None if self.strip.value else "none"
        self._hint.value = f'<div class="gx-hint gx-line">{escape(said) or HINT}</div>'

    def _span_floor(self, shown: Any) -> None:
        table = shown.points(shown.state.focus)
        y = table.loc[table["used"].astype(bool), "y"] if table["used"].any() else table["y"]
        low, high = float(y.min()), float(y.max())
        span = (high - low) or abs(high) or 1.0
        now = self._floor_shown(shown)
        least, most = min(low - 2 * span, now), max(low - span * 1e-3, now)
        if low > 0:
            least = max(0.0, least)
        step = 10 ** math.floor(math.log10((most - least or abs(most) or 1.0) / STEPS))
        self.floor.step = step
        self.floor.readout_format = f".{max(0, -round(math.log10(step)))}f"
        if self.floor.min > most:
            self.floor.min, self.floor.max = least, most
        else:
            self.floor.max, self.floor.min = most, least

    def _floor_shown(self, shown: Any) -> float:
        state = shown.state
        if state.axes != "log_log":
            return float(self.floor.value)
        return fitted_floor(shown.fit) if state.floor is None else float(state.floor)

    def _floor_chosen(self, value: float) -> dict[str, Any]:
        return {"floor": float(value)}


def _misfit(shown: Any) -> Any:
    """Give the profile of the floor; None where the fit has none (another law, another objective)."""
    floors = [] if shown.fit is None else shown.fit.law.with_role("floor")
    curve = shown.profile(floors[0].name, floor_strip.POINTS) if len(floors) == 1 else ""
    return None if isinstance(curve, str) else curve


def _sizes(shown: Any) -> int:
    table = shown.points(shown.state.focus)
    return int(table.loc[table["used"].astype(bool) | table["target"].astype(bool), "x"].nunique())


def overlays(shown: Any) -> list[tuple[str, str]]:
    """Give the published laws that can be laid over the series in focus, the one that belongs to it first."""
    from genret_core.scaling import get_law, published

    source, focus = shown.source, shown.state.focus
    called, own = source.called(focus), source.published.get(focus)
    found: list[tuple[str, str]] = [("none", "")]
    for law in sorted(published.laws(), key=lambda law: law.id != own):
        described = get_law(law.law)
        if (described.x2 is None) == ("x2" not in called) and (
            law.id == own or _same(described, law, called)
        ):
            family = style.FAMILY_NAMES.get(law.family, law.family)
            metric = f", {law.metric}" if law.metric != "CGL" else ""
            method = ", codebook" if law.method == "codebook" else ""
            found.append((f"{law.where}: {family}{method}{metric}", law.id))
    if shown.state.overlay is not None and shown.state.overlay not in [one for _, one in found]:
        found.append((shown.state.overlay, shown.state.overlay))
    return found


def _same(described: Any, law: Any, called: dict[str, str]) -> bool:
    return called["x"] == described.x and called["y"] in (law.metric, described.y)
