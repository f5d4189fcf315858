"""The guided tours' panel: choose a tour, go on and back, and return to where one was."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.sources import published_source
from genret_core.workbench.explorer.state import State
from genret_core.workbench.explorer.tour_steps import TOURS, Tour

if TYPE_CHECKING:
    from genret_core.workbench.explorer.shown import Shown

INVITATION = (
    "How a fit can look good and say little, in a few steps each on the published points. What you have "
    "now comes back when you leave."
)
WORKING = '<p class="gx-hint">Working this step out …</p>'
ASTRAY = "You have changed what is shown. The text speaks of this step:"


class ToursPanel:
    """Three tours through the published points.

    Parameters
    ----------
    desk : Desk
    tab : str or None
        The tab that shows the panel; None where it is always visible.
    """

    title = "Tours"

    def __init__(self, desk: Any, tab: str | None = "tours") -> None:
        self.desk, self.tab = desk, tab
        self.tour: Tour | None = None
        self.step = 0
        self._left: tuple[Source, State] | None = None  # what was on the desk before the tour
        self._written = ""
        self.starts = [_button(tour.title, f"Start: {len(tour.steps)} steps", "play") for tour in TOURS]
        self.told = [widgets.HTML(_about(tour)) for tour in TOURS]
        for start, tour in zip(self.starts, TOURS, strict=True):
            start.on_click(lambda _, tour=tour: self.start(tour))
        self.back = _button("Back", "The step before", "arrow-left")
        self.next = _button("Next", "The next step", "arrow-right")
        self.again = _button("Show this step", "Undo what you changed since this step began", "undo")
        self.leave_tour = _button("Leave the tour", "Return to what was shown before the tour", "times")
        self.back.on_click(lambda _: self.go(self.step - 1))
        self.next.on_click(lambda _: self.go(self.step + 1))
        self.again.on_click(lambda _: self.go(self.step))
        self.leave_tour.on_click(lambda _: self.leave())
        self.text = widgets.HTML(layout=widgets.Layout(width="100%", max_width="760px"))
        cards = [_card(start, told) for start, told in zip(self.starts, self.told, strict=True)]
        self.choice = widgets.VBox(cards, layout=widgets.Layout(width="100%", grid_gap="8px"))
        self.moves = widgets.HBox([self.back, self.next, self.again, self.leave_tour])
        self.widget = widgets.VBox(
            [self.text, self.moves, self.choice], layout=widgets.Layout(grid_gap="8px")
        )
        self._lay_out()

    def start(self, tour: Tour) -> None:
        """Begin a tour; what is on the desk is kept for the way back."""
        if self.tour is None:
            self._left = (self.desk.source, self.desk.state)
        self.tour = tour
        self.go(0)

    def go(self, step: int) -> None:
        """Show a step."""
        if self.tour is None or not 0 <= step < len(self.tour.steps):
            return
        self.step = step
        source = self.desk.source if _is_published(self.desk.source) else published_source()
        state = self.tour.state(source, step)
        self._written = WORKING
        self._lay_out()
        self._put(source, state if self.tab is None else state.but(tab=self.tab))
        self._write()

    def leave(self) -> None:
        """Return to what was shown before the tour."""
        left, self.tour, self._left = self._left, None, None
        if left is not None:
            self._put(*left)
        self._lay_out()

    def _put(self, source: Source, state: State) -> None:
        """Show a state; of points that are on the desk already, as a step that can be undone."""
        if source is self.desk.source:
            self.desk.dispatch(**state.to_dict())
        else:
            self.desk.open(source, state)

    def show(self, shown: Shown) -> None:
        """Say so where the user has left the step's state."""
        if self.tour is None:
            return
        astray = not _is_published(shown.source) or not _alike(shown.state, self._state(shown.source))
        self.again.disabled = not astray
        self._lay_out(f"<p><em>{ASTRAY}</em></p>" if astray else "")

    def _state(self, source: Source) -> State:
        assert self.tour is not None
        return self.tour.state(source, self.step)

    def _write(self) -> None:
        """Write the step's text from the fit that is shown."""
        assert self.tour is not None
        step = self.tour.steps[self.step]
        head = f"{escape(self.tour.title)} · {self.step + 1} of {len(self.tour.steps)}"
        told = escape(readable(step.text(self.desk.shown)))
        self._written = (
            f'<div class="gx-hint">{head}</div><div class="gx-title">{escape(step.title)}</div>'
            f'<p style="font-size:14px;line-height:1.5;margin:.3em 0">{told}</p>'
        )
        self.again.disabled = True
        self._lay_out()

    def _lay_out(self, before: str = "") -> None:
        going = self.tour is not None
        self.text.value = before + self._written if going else f'<p class="gx-hint">{INVITATION}</p>'
        self.back.disabled = not going or self.step == 0
        self.next.disabled = self.tour is None or self.step == len(self.tour.steps) - 1
        self.moves.layout.display = "" if going else "none"
        for told in self.told:  # within a tour the others stay at hand, without a word
            told.layout.display = "none" if going else ""


def _button(label: str, hover: str, icon: str) -> widgets.Button:
    return widgets.Button(description=label, tooltip=hover, icon=icon, layout=widgets.Layout(width="auto"))


def _card(*parts: widgets.Widget) -> widgets.VBox:
    card = widgets.VBox(list(parts), layout=widgets.Layout(width="100%"))
    card.add_class("gx-card")
    return card


def _about(tour: Tour) -> str:
    return f'<div class="gx-hint">{escape(tour.about)} <b>{len(tour.steps)} steps.</b></div>'


def _is_published(source: Source) -> bool:
    return source.origin.get("kind") == "published"


def _alike(one: State, other: State) -> bool:
    """Whether two states show the same, in whatever tab."""
    return one.but(tab=other.tab) == other
