"""What every control has in common: a plain label, a hover, and a value that follows the state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets

Read = Callable[[Any], Any]
Change = Callable[[Any], Mapping[str, Any]]


class Controls:
    """Widgets bound to the state: an event dispatches a change, and `show` sets them without an event.

    Parameters
    ----------
    desk : Desk
    """

    tab: str | None = None

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self._setting = False
        self._bound: list[tuple[widgets.Widget, Read]] = []

    def bind(self, widget: widgets.Widget, read: Read, change: Change | str) -> widgets.Widget:
        """Tie a widget's value to the state.

        Parameters
        ----------
        widget : Widget
        read : callable
            Value of the widget for what is shown.
        change : callable or str
            Changes of the state for a value of the widget; or the one field that takes the value.
        """

        def moved(event: dict[str, Any]) -> None:
            if not self._setting:
                value = event["new"]
                self.desk.dispatch(**({change: value} if isinstance(change, str) else change(value)))

        widget.observe(moved, "value")
        self._bound.append((widget, read))
        return widget

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Set values without events."""
        before, self._setting = self._setting, True
        try:
            yield
        finally:
            self._setting = before

    def show(self, shown: Any) -> None:
        """Set every widget to what is shown."""
        if shown is None:
            return
        with self.quietly():
            self.prepare(shown)
            for widget, read in self._bound:
                value = read(shown)
                if widget.value != value:
                    widget.value = value

    def prepare(self, shown: Any) -> None:
        """Set ranges and options, before values are set."""


def row(*children: widgets.Widget, gap: str = "10px", **layout: Any) -> widgets.HBox:
    """Put widgets side by side."""
    return widgets.HBox(
        list(children), layout=widgets.Layout(align_items="center", grid_gap=gap, width="100%", **layout)
    )


def dropdown(label: str, hover: str, options: Any = (), **more: Any) -> widgets.Dropdown:
    """Make a list to choose one from."""
    more.setdefault("layout", widgets.Layout(width="100%", margin="0"))
    return widgets.Dropdown(options=options, description=label, tooltip=hover, **more)


def switch(label: str, hover: str, width: str = "auto") -> widgets.Checkbox:
    """Make a box to tick."""
    return widgets.Checkbox(
        description=label, tooltip=hover, indent=False, layout=widgets.Layout(width=width, margin="0")
    )


def choice(label: str, options: Mapping[str, tuple[Any, str]], width: str = "auto") -> widgets.ToggleButtons:
    """Make a row of buttons of which one is down; `options` is words to (value, hover)."""
    return widgets.ToggleButtons(
        options=[(words, value) for words, (value, _) in options.items()],
        tooltips=[hover for _, hover in options.values()],
        description=label,
        style={"button_width": "auto", "description_width": "auto" if label else "0px"},
        layout=widgets.Layout(width=width, margin="0"),
    )


def button(words: str, hover: str, press: Callable[[], Any], **layout: Any) -> widgets.Button:
    """Make a button."""
    layout = {"width": "auto", "flex": "0 0 auto"} | layout
    made = widgets.Button(description=words, tooltip=hover, layout=widgets.Layout(margin="0", **layout))
    made.on_click(lambda _: press())
    return made


def close(root: widgets.Widget) -> None:
    """Close a widget and all that it is made of: one that is open stays in memory, and in the page."""
    for part in (*getattr(root, "children", ()), getattr(root, "style", None), getattr(root, "layout", None)):
        if isinstance(part, widgets.Widget):
            close(part)
    root.unobserve_all()
    widgets.Widget.close(root)


def set_options(widget: Any, options: list[tuple[str, Any]]) -> None:
    """Give a list new options, unless they are the same; what was chosen stays where it can."""
    if list(widget.options) != options:
        value = widget.value
        widget.options = options
        if value in [one for _, one in options]:
            widget.value = value
