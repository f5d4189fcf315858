"""The explorer: figure, verdicts, parameters and tabs on one screen, and what stands for it on a page."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from html import escape
from typing import Any

import ipywidgets as widgets

from genret_core.workbench.explorer import static, theme
from genret_core.workbench.explorer.controls import button, close, row
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.figure_controls import FigureControls
from genret_core.workbench.explorer.law_controls import LawControls
from genret_core.workbench.explorer.live_figure import Fill
from genret_core.workbench.explorer.parameter_table import ParameterTable
from genret_core.workbench.explorer.points_pane import PointsPane
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.explorer.save_pane import SavePane
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.state import State
from genret_core.workbench.explorer.verdict_strip import Findings, VerdictStrip
from genret_core.workbench.explorer.view import View

TABS = {
    "laws_tab": "LawsTab",
    "residuals_tab": "ResidualsTab",
    "profile_tab": "ProfileTab",
    "families_tab": "FamiliesTab",
    "budget_tab": "BudgetTab",
    "checklist_tab": "ChecklistTab",
    "tours": "ToursPanel",
}
HOVERS = {
    "fit": "Parameters with their intervals; which points, law and noise; saving.",
    "laws": "The same points under several laws: which predicts points that it did not see?",
    "residuals": "What the law leaves, and what hangs on each point.",
    "profile": "How well the points hold each parameter; click to draw another curve that fits.",
    "families": "Series against each other: a common exponent or floor? Where do they cross?",
    "budget": "How to spend a budget, and which run to do next.",
    "checklist": "What a report of this fit must say, filled in.",
    "tours": "Three guided tours through the published points.",
}
AROUND = 200  # pixels of the height that are not the figure
RIGHT = "0 0 37%"


class Explorer(widgets.VBox):
    """Fit laws to points, and see how sure one can be.

    Parameters
    ----------
    source : Source or data frame, optional
        The points; by default those of the published study.
    state : State, optional
        Where to begin; by default a useful view of the source.
    height : str
        Of the whole, in pixels.
    """

    def __init__(self, source: Any = None, state: State | None = None, height: str = "770px") -> None:
        self.desk = desk = Desk(_source(source), state)
        self.view = View(
            desk, height=max(300, int(float(height.removesuffix("px"))) - AROUND), reason=self._reason
        )
        self.strip = VerdictStrip(desk)
        self.parameters = ParameterTable(desk)
        self.figure_controls = FigureControls(desk, self.view)
        self.findings = Findings(desk)
        self.law = LawControls(desk)
        self.points = PointsPane(desk)
        self.save = SavePane(desk)
        self.tabs = {tab.tab: tab for tab in _tabs(desk)}
        self.frame = Frame(self)
        left = widgets.VBox(
            [self.view.widget, self.figure_controls.widget],
            layout=widgets.Layout(flex="1 1 0", min_width="0", overflow="hidden auto"),
        )
        left.add_class("gx-whole")
        right = widgets.VBox(
            [self.frame.bar, self.frame.stage], layout=widgets.Layout(flex=RIGHT, min_width="420px")
        )
        body = widgets.HBox(
            [left, right],
            layout=widgets.Layout(width="100%", grid_gap="14px", flex="1 1 auto", min_height="0"),
        )
        super().__init__(
            [_hidden(widgets.HTML(theme.sheet())), self.frame.head, self.strip.widget, body, _hidden(Fill())],
            layout=widgets.Layout(width="100%", height=height, overflow="hidden"),
        )
        self.add_class(theme.ROOT)
        always = (self.frame, self.view, self.strip, self.figure_controls)
        for panel in (
            *always,
            self.parameters,
            self.findings,
            self.law,
            self.points,
            self.save,
            *self.tabs.values(),
        ):
            desk.watch(panel)

    def _reason(self) -> str:
        return self.points.reason

    @property
    def state(self) -> State:
        """What is shown now."""
        return self.desk.state

    @property
    def fit(self) -> Any:
        """The fit in focus; None where there is none."""
        return self.desk.shown.fit

    def close(self) -> None:
        """Close it with everything in it."""
        self.desk.forget()
        for child in self.children:
            close(child)
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Give the widget, and beside it what a page without a kernel shows."""
        self.view.widget.tell()
        given = super()._repr_mimebundle_(**kwargs)
        stand_in = static.bundle(self.desk.shown)
        if isinstance(given, tuple):
            return ({**stand_in, **given[0], "text/plain": stand_in["text/plain"]}, *given[1:])
        return {**stand_in, **(given or {}), "text/plain": stand_in["text/plain"]}


class Frame:
    """Title, answer, what is amiss or under way, undo; and which tab is open.

    Parameters
    ----------
    explorer : Explorer
    """

    tab = None

    def __init__(self, explorer: Explorer) -> None:
        self.desk = desk = explorer.desk
        self._opening = desk.state
        self._source = desk.source
        self.title = widgets.HTML(layout=widgets.Layout(flex="0 0 auto", margin="0"))
        self.answer = widgets.HTML(layout=widgets.Layout(flex="1 1 0", min_width="0", margin="0 10px"))
        self.undo = button("↶ Undo", "Undo the last change.", desk.undo)
        self.redo = button("↷ Redo", "Do again what was undone.", desk.redo)
        self.reset = button(
            "Reset", "Go back to the state in which these points opened; undo brings it back.", self._reset
        )
        self.head = row(
            self.title, self.answer, self.undo, self.redo, self.reset, gap="6px", min_height="30px"
        )
        fit = widgets.VBox(
            [explorer.parameters.widget, *Panes(explorer).children, explorer.findings.widget],
            layout=widgets.Layout(width="100%", grid_gap="6px", overflow="visible"),
        )
        self.places = {"fit": fit} | {name: tab.widget for name, tab in explorer.tabs.items()}
        titles = {"fit": "Fit"} | {
            name: getattr(tab, "title", "Tours") for name, tab in explorer.tabs.items()
        }
        self.bar = widgets.ToggleButtons(
            options=[(titles[name], name) for name in self.places],
            tooltips=[HOVERS.get(name, "") for name in self.places],
            style={"button_width": "auto"},
            layout=widgets.Layout(width="100%", margin="0 0 6px 0"),
        )
        self.bar.add_class("gx-tabs")
        self.bar.observe(lambda event: desk.dispatch(tab=event["new"]), "value")
        self.stage = widgets.VBox(
            list(self.places.values()),
            layout=widgets.Layout(width="100%", flex="1 1 auto", min_height="0", overflow="hidden auto"),
        )
        self.stage.add_class("gx-whole")

    def show(self, shown: Any) -> None:
        """Open the tab, and tell the answer, or what is amiss."""
        if self.desk.source is not self._source:
            self._source, self._opening = self.desk.source, shown.state
        state = shown.state
        tab = state.tab if state.tab in self.places else "fit"
        if self.bar.value != tab:
            self.bar.value = tab
        for name, place in self.places.items():
            place.layout.display = None if name == tab else "none"
        label = escape(str(shown.source.label(state.focus)))
        origin = escape(shown.source.name)
        self.title.value = f'<span class="gx-title">{label}</span> <span class="gx-hint">· {origin}</span>'
        message = self.desk.message
        if message:
            told = escape(readable(message), quote=True)
            self.answer.value = f'<div class="gx-error" role="alert" title="{told}">{told}</div>'
        else:
            told = escape(readable(static.sentence(shown)), quote=True)
            self.answer.value = f'<div class="gx-answer" title="{told}">{told}</div>'
        self.undo.disabled, self.redo.disabled = not self.desk.can_undo, not self.desk.can_redo
        self.reset.disabled = state.but(tab=self._opening.tab) == self._opening

    def wait(self, text: str) -> None:
        """Say what takes long; "" when it is done."""
        if text:
            self.answer.value = (
                f'<div class="gx-busy" role="status">{escape(text[:1].upper() + text[1:])} …</div>'
            )

    def _reset(self) -> None:
        opening = self._opening.to_dict() | {"tab": self.desk.state.tab}
        self.desk.dispatch(**opening)


class Panes:
    """The lower half of the first tab: law and noise, points, saving; one at a time.

    Parameters
    ----------
    explorer : Explorer
    """

    def __init__(self, explorer: Explorer) -> None:
        self.places = {
            "law": explorer.law.widget,
            "points": explorer.points.widget,
            "save": explorer.save.widget,
        }
        self.bar = widgets.ToggleButtons(
            options=[("Series, law, noise", "law"), ("Points", "points"), ("Save, export, code", "save")],
            tooltips=[
                "Which series and law, what is minimised, what is known of the noise.",
                "Where points come from, and which are left out.",
                "Snapshots to come back to, files to keep, code that makes the same fit.",
            ],
            style={"button_width": "auto"},
            layout=widgets.Layout(margin="2px 0"),
        )
        self.save, self.points = explorer.save, explorer.points
        self.bar.observe(lambda event: self._open(event["new"]), "value")
        self._open("law")
        self.children = (self.bar, *self.places.values())

    def _open(self, name: str) -> None:
        for one, place in self.places.items():
            place.layout.display = None if one == name else "none"
        self.save.open(name == "save")
        self.points.look(name == "points")


def _hidden(widget: widgets.DOMWidget) -> widgets.DOMWidget:
    widget.layout.display = "none"
    return widget


def _source(given: Any) -> Source:
    from genret_core.workbench.explorer import sources

    if given is None:
        return sources.published_source()
    return given if isinstance(given, Source) else sources.frame_source(given)


def _tabs(desk: Desk) -> Iterator[Any]:
    for module, name in TABS.items():
        yield getattr(importlib.import_module(f"genret_core.workbench.explorer.{module}"), name)(desk)
