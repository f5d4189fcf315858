"""The controls of the fit: which series, which law, what is minimised, what is known of the noise."""

from __future__ import annotations

import math
from functools import partial
from html import escape
from typing import Any

import ipywidgets as widgets

from genret_core.workbench.explorer.controls import Controls, close, dropdown, row, set_options
from genret_core.workbench.explorer.view_traces import Look

OBJECTIVES = [
    ("least squares", "ols"),
    ("relative least squares", "relative"),
    ("Huber, of logarithms", "huber"),
    ("absolute deviations, of logarithms", "lad"),
    ("least squares of logits (rates)", "logit"),
]
INTERVALS = [
    ("profile of the fit", 0),
    ("bootstrap, 400 resamples", 400),
    ("bootstrap, 4,000 resamples", 4000),
]
LEVELS = [("68 %", 0.68), ("90 %", 0.90), ("95 %", 0.95), ("99 %", 0.99)]
FLOORED = ("model_size", "data_size", "inference")  # one law under three names
GUESS = 0.0005  # of y: the noise that is offered where the fit leaves none
ALSO = '<span class="gx-hint" style="white-space:nowrap;display:inline-block;width:72px">also drawn</span>'
STYLE = {"description_width": "76px"}


class LawControls(Controls):
    """Series, law, objective, noise and intervals.

    Parameters
    ----------
    desk : Desk
    """

    tab = "fit"

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._boxes: dict[str, widgets.Checkbox] = {}
        self._drawn_for: Any = None
        self.focus = self.bind(
            dropdown("In focus", "Parameters, verdicts and tabs speak of this series.", style=STYLE),
            lambda shown: shown.state.focus,
            "focus",
        )
        self.also = widgets.Box(
            layout=widgets.Layout(flex_flow="row wrap", max_height="62px", overflow="auto", width="100%")
        )
        self.law = self.bind(
            dropdown("Law", "What is fitted to the points.", style=STYLE),
            lambda shown: shown.state.law,
            "law",
        )
        self.equation = widgets.HTML(layout=widgets.Layout(margin="0 0 2px 80px"))
        self.objective = self.bind(
            dropdown(
                "Minimise",
                "What counts as close: squares in units of y match the paper; the Huber loss lets "
                "outliers pull less.",
                OBJECTIVES,
                style=STYLE,
            ),
            lambda shown: shown.state.objective,
            "objective",
        )
        self.delta = self.bind(
            widgets.FloatLogSlider(
                min=-5,
                max=0,
                step=0.1,
                description="Huber δ",
                readout_format=".1e",
                tooltip="Residuals of ln y beyond δ pull by their size, not by their square.",
                style=STYLE,
                layout=widgets.Layout(width="100%"),
            ),
            lambda shown: shown.state.delta,
            "delta",
        )
        self.noise = self.bind(
            dropdown(
                "Noise",
                "Where intervals take the scatter of a point from: the residuals, or a standard deviation "
                "that you know.",
                [("from the residuals", False), ("known, typed here:", True)],
                style=STYLE,
            ),
            lambda shown: shown.state.sd is not None,
            self._noise_chosen,
        )
        self.sd = widgets.Text(
            continuous_update=False,
            placeholder="sd",
            tooltip="Standard deviation of a point, in units of y, e.g. 1.8e-6.",
            layout=widgets.Layout(width="110px", margin="0"),
        )
        self.bind(
            self.sd, lambda shown: "" if shown.state.sd is None else f"{shown.state.sd:g}", self._sd_typed
        )
        self.intervals = self.bind(
            dropdown(
                "Intervals",
                "How intervals are found: the profile of the fit suits few points, resampling the points "
                "suits 20 or more.",
                INTERVALS,
                style=STYLE,
            ),
            lambda shown: shown.state.bootstrap,
            "bootstrap",
        )
        self.level = self.bind(
            widgets.Dropdown(
                options=LEVELS,
                tooltip="Confidence level of bands and of the thin bars.",
                layout=widgets.Layout(width="110px", margin="0"),
            ),
            lambda shown: shown.state.level,
            "level",
        )
        self.widget = widgets.VBox(
            [
                self.focus,
                row(
                    widgets.HTML(ALSO),
                    self.also,
                ),
                self.law,
                self.equation,
                self.objective,
                self.delta,
                row(self.noise, self.sd, gap="6px"),
                row(self.intervals, self.level, gap="6px"),
            ],
            layout=widgets.Layout(width="100%", grid_gap="3px", overflow="hidden"),
        )
        self._also_row = self.widget.children[1]

    def prepare(self, shown: Any) -> None:
        """Set what can be chosen."""
        state, source = shown.state, shown.source
        if source is not self._drawn_for:
            self._drawn_for = source
            self._make_boxes(source)
        set_options(self.focus, [(source.label(one), one) for one in source.series])
        alike = source.alike(state.focus)
        for one, box in self._boxes.items():
            box.layout.display = None if one in alike and one != state.focus else "none"
            box.value = one in state.shown
        self._also_row.layout.display = None if len(alike) > 1 else "none"
        set_options(self.law, laws(shown))
        self.equation.value = f'<span class="gx-hint">{_equation(shown)}</span>'
        self.delta.layout.display = None if state.objective == "huber" else "none"
        self.sd.layout.display = None if state.sd is not None else "none"
        replicated = state.focus in source.replicates
        first = "replicates of the study" if replicated else "profile of the fit"
        set_options(
            self.intervals, _with([(first, 0), *INTERVALS[1:]], state.bootstrap, "bootstrap, {:,} resamples")
        )
        set_options(self.level, _with(LEVELS, state.level, "{:.0%}"))
        own = "as the table has it" if source.rows(state.focus)["sd"].notna().any() else "from the residuals"
        set_options(self.noise, [(own, False), ("known, typed here:", True)])

    def _make_boxes(self, source: Any) -> None:
        look, old = Look(source), self._boxes
        self._boxes = {}
        for one in source.series:
            box = widgets.Checkbox(
                description=source.label(one),
                tooltip=f"Draw {source.label(one)} as well.",
                indent=False,
                layout=widgets.Layout(width="auto", margin="0 12px 0 0"),
                style={"description_width": "initial"},
            )
            box.style.text_color = look.colours[one]
            box.observe(partial(self._ticked, one), "value")
            self._boxes[one] = box
        self.also.children = tuple(self._boxes.values())
        for box in old.values():
            close(box)

    def _ticked(self, series: str, event: dict[str, Any]) -> None:
        if self._setting:
            return
        state = self.desk.state
        shown = [one for one in state.shown if one != series]
        self.desk.dispatch(shown=tuple([*shown, series] if event["new"] else shown))

    def _noise_chosen(self, known: bool) -> dict[str, Any]:
        return {"sd": offered_noise(self.desk.shown) if known else None}

    def _sd_typed(self, text: str) -> dict[str, Any]:
        return {"sd": text.strip() or None}


def laws(shown: Any) -> list[tuple[str, str]]:
    """Give the laws that can be fitted to the series in focus; the same law under two names only once."""
    from genret_core.scaling import get_law, law_names

    two = "x2" in shown.source.called(shown.state.focus)
    own = shown.source.law(shown.state.focus)
    own = own if own in FLOORED else FLOORED[0]
    names = [
        name
        for name in law_names()
        if (get_law(name).x2 is None or two) and (name not in FLOORED or name in (own, shown.state.law))
    ]
    if two:
        names.sort(key=lambda name: get_law(name).x2 is None)
    if shown.state.law not in names:
        names.append(shown.state.law)
    return [(get_law(name).title, name) for name in names]


def offered_noise(shown: Any) -> float:
    """Offer a standard deviation to begin with: the scatter about the fit, else a small share of y."""
    fit = shown.fit
    if fit is not None and fit.dof > 0 and fit.sse > 0:
        sd = math.sqrt(fit.sse / fit.dof)
    else:
        sd = GUESS * float(shown.points()["y"].abs().mean())
    return float(f"{sd:.2g}")


def _equation(shown: Any) -> str:
    from genret_core.scaling import get_law

    law, called = get_law(shown.state.law), shown.source.called(shown.state.focus)
    pairs = ((law.x, called["x"]), (law.y, called["y"]), (law.x2, called.get("x2")))
    other = [f"{escape(str(a))} is {escape(b)}" for a, b in pairs if a and b and a != b]
    return law.html + (f", where {', '.join(other)}" if other else "")


def _with(options: list[tuple[str, Any]], value: Any, words: str) -> list[tuple[str, Any]]:
    """Add a value that was set elsewhere."""
    return options if value in [one for _, one in options] else [*options, (words.format(value), value)]
