"""The desk: the current state, how it came to be, and the panels that show it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from genret_core.errors import BadInput
from genret_core.scaling import get_law
from genret_core.workbench.explorer.prose import in_sentence
from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.explorer.source import Source, opening
from genret_core.workbench.explorer.state import State

REMEMBERED = 200  # steps that can be undone
DRAGGED = ("ahead", "floor", "level", "delta", "sd", "hold_out")  # a drag is one step
ROBUST = ("huber", "lad", "logit")  # minima that are searched from many starts
LONG = 0.3  # seconds that something took the last time, and that it is announced from
VIEW = ("tab",)  # not undone
FLOORED = ("model_size", "data_size", "inference")  # one law under three names


class Panel(Protocol):
    """What shows something: visible with its tab, or always (`tab` None)."""

    tab: str | None

    def show(self, shown: Shown) -> None:
        """Show it; without dispatching."""
        ...


class Desk:
    """The current state and source; changes go through `dispatch`.

    Parameters
    ----------
    source : Source
    state : State, optional
        Default: the source's opening state.

    Attributes
    ----------
    state, source, shown
        What is on the desk now.
    message : str
        What is amiss, in one sentence; empty where all is well.
    busy : str
        What is being computed; empty between changes.
    """

    def __init__(self, source: Source, state: State | None = None) -> None:
        self._panels: list[Panel] = []
        self._quiet = 0
        self.message = self.busy = ""
        self._start(source, state or opening(source))

    def _start(self, source: Source, state: State) -> None:
        shown = Shown(state, source)
        message = shown.why
        self.source, self.state, self.shown = source, state, shown
        self.message = message
        self._past: list[State] = []
        self._future: list[State] = []
        self._saved: dict[str, State] = {}
        self._dragging: str | None = None
        self._took: dict[tuple[str, str, str], float] = {}

    # ---- changes ----

    def dispatch(self, **changes: Any) -> None:
        """Change the state, and show what follows.

        What cannot be shown is told in `message`, and the state stays. Nothing happens within `quiet`.
        """
        if self._quiet:
            return
        try:
            state = self.state.but(**self._suited(changes))
        except BadInput as error:
            self._refuse(str(error))
            return
        self._go(state)

    def _suited(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Let series and law follow a focus that has other axes."""
        focus = changes.get("focus")
        if focus is None or focus not in self.source.series or focus == self.state.focus:
            return changes
        alike = self.source.alike(focus)
        if "shown" not in changes and focus not in self.state.shown:
            kept = [one for one in self.state.shown if one in alike]
            changes["shown"] = (*kept, focus)
        if "law" not in changes:
            own = self.source.law(focus)
            if get_law(own).x2 != get_law(self.state.law).x2 or {own, self.state.law} <= set(FLOORED):
                changes["law"] = own
        return changes

    def _go(self, state: State, *, remember: bool = True) -> None:
        """Put a state on the desk if it can be shown; else keep the one that is there."""
        if state == self.state:
            self.message = ""
            self._tell()
            return
        old = vars(self).copy()
        try:
            with self._at_work(state):
                shown = Shown(state, self.source, previous=self.shown)
                if shown.why and self.shown.fit is not None:
                    raise BadInput(shown.why)
                if remember:
                    self._remember(self.state, state)
                self.state, self.shown, self.message = state, shown, ""
                self._show()
        except Exception as error:  # whatever went wrong, the last good state stays
            kept = ("state", "shown", "_past", "_future", "_dragging")
            vars(self).update({name: old[name] for name in kept})
            self._refuse(_sentence(error))

    def _remember(self, old: State, new: State) -> None:
        changed = [name for name, value in vars(new).items() if value != getattr(old, name)]
        if all(name in VIEW for name in changed):
            return
        drag = changed[0] if len(changed) == 1 and changed[0] in DRAGGED else None
        if drag is None or drag != self._dragging or not self._past:
            self._past = [*self._past, old][-REMEMBERED:]
        self._dragging = drag
        self._future = []

    def _refuse(self, sentence: str) -> None:
        self.message = sentence
        self._tell()

    # ---- points ----

    def exclude(self, rows: Iterable[int], reason: str = "") -> None:
        """Leave rows out, with a reason; a row that is out already takes the new reason."""
        reasons = self.state.reasons | {int(row): reason for row in rows}
        self.dispatch(excluded=tuple(reasons.items()))

    def include(self, rows: Iterable[int]) -> None:
        """Take rows back."""
        back = {int(row) for row in rows}
        self.dispatch(excluded=tuple((row, why) for row, why in self.state.excluded if row not in back))

    def toggle(self, row: int, reason: str = "") -> None:
        """Leave a row out, or take it back."""
        if int(row) in self.state.reasons:
            self.include([row])
        else:
            self.exclude([row], reason)

    # ---- back and forth ----

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._future)

    def undo(self) -> None:
        """Go back a step; the open tab stays."""
        self._step(self._past, self._future)

    def redo(self) -> None:
        """Do the step again that was undone."""
        self._step(self._future, self._past)

    def _step(self, source: list[State], target: list[State]) -> None:
        if self._quiet or not source:
            return
        here, goal = self.state, source[-1].but(tab=self.state.tab)
        dragging, self._dragging = self._dragging, None
        target.append(here)  # before it is shown: panels tell what can be undone
        left = source.pop()
        self._go(goal, remember=False)
        if self.state != goal:
            source.append(left)
            target.pop()
            self._dragging = dragging
            self._tell()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the snapshots."""
        return tuple(self._saved)

    def save(self, name: str) -> None:
        """Keep the state under a name; an older one of that name is replaced."""
        if not name.strip():
            self._refuse("A snapshot needs a name.")
            return
        self._saved[name.strip()] = self.state
        self.message = ""
        self._tell()

    def load(self, name: str) -> None:
        """Go to a snapshot."""
        if self._quiet:
            return
        if name not in self._saved:
            there = ", ".join(self._saved) or "none"
            self._refuse(f"There is no snapshot {name!r}; there are: {there}.")
            return
        self._go(self._saved[name])

    def restore(self, text: str) -> None:
        """Go to a state that was written as YAML."""
        if self._quiet:
            return
        try:
            state = State.from_yaml(text)
        except BadInput as error:
            self._refuse(str(error))
            return
        self._go(state)

    def open(self, source: Source, state: State | None = None) -> None:
        """Put other points on the desk; steps and snapshots of the old ones are dropped."""
        if self._quiet:
            return
        old = vars(self).copy()
        try:
            self._start(source, state or opening(source))
            self._show()
        except Exception as error:
            vars(self).update(old)
            self._refuse(_sentence(error))

    # ---- panels ----

    def watch(self, panel: Panel) -> None:
        """Show every state to a panel while its tab is open (`tab` None: always), and this one at once."""
        self._panels.append(panel)
        if panel.tab in (None, self.state.tab):
            with self.quiet():
                panel.show(self.shown)

    def forget(self) -> None:
        """Show nothing to anybody any more."""
        self._panels.clear()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let widgets be set without their events changing the state."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _show(self) -> None:
        with self.quiet():
            for panel in self._panels:
                if panel.tab in (None, self.state.tab):
                    panel.show(self.shown)

    def _tell(self) -> None:
        """Show the state that stays, with its message; a panel that fails keeps what it has."""
        with self.quiet():
            for panel in self._panels:
                if panel.tab in (None, self.state.tab):
                    try:
                        panel.show(self.shown)
                    except Exception as error:
                        self.message = self.message or _sentence(error)

    @contextmanager
    def _at_work(self, state: State) -> Iterator[None]:
        """Say what takes long to those panels that have a `wait(text)`."""
        slow = ""
        if state.bootstrap:
            slow = f"resampling the points {state.bootstrap:,} times"
        elif len(get_law(state.law).nonlinear) > 1:
            slow = f"searching the law: {in_sentence(get_law(state.law).title)}"
        elif state.objective in ROBUST:
            slow = f"searching the least {state.objective} loss"
        elif self._took.get(_kind(state), 0.0) > LONG:
            slow = "working"
        waiting = [panel for panel in self._panels if slow and hasattr(panel, "wait")]
        self.busy = slow
        began = time.perf_counter()
        try:
            for panel in waiting:
                panel.wait(slow)
            yield
        finally:
            self._took[_kind(state)] = time.perf_counter() - began
            self.busy = ""
            for panel in waiting:
                panel.wait("")


def _kind(state: State) -> tuple[str, str, str]:
    """Tell what takes about as long each time."""
    return state.tab, state.law, state.objective


def _sentence(error: Exception) -> str:
    """Tell an error in one sentence."""
    if isinstance(error, BadInput):
        return str(error)
    told = " ".join(str(error).split())[:200] or "no more is known"
    return f"This could not be shown ({type(error).__name__}: {told}); the last state stays."
