"""What every tab stands on: a compact figure redrawn in place, sentences, and a button before slow work."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

import ipywidgets as widgets
import plotly.graph_objects as go

from genret_core.errors import BadInput
from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.controls import close
from genret_core.workbench.explorer.live_figure import LiveFigure
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

T = TypeVar("T")
RED = theme.TONES["bad"][1]
SHADE = style.faded(style.BLUE, 0.13)
LISTS = ("annotations", "shapes")
WIDTH = 510  # pixels that a figure is first drawn in: about its place, which it then takes
SAID = ("text", "hovertext")  # what traces say
TOLD = f"font-size:13px;line-height:1.35;color:{theme.INK};margin:2px 4px"
TABLE = "font-size:12.5px;border-collapse:collapse;margin:2px 4px"


def attempt(get: Callable[[], T]) -> tuple[T | None, str]:
    """Give what `get` gives and "", or None and the one sentence that says why there is nothing."""
    try:
        return get(), ""
    except BadInput as error:
        return None, str(error)


def either(found: T | str) -> tuple[T | None, str]:
    """Part an answer from the sentence that stands in its place where there is none."""
    return (None, found) if isinstance(found, str) else (found, "")


class Canvas:
    """A compact figure that follows the width of its tab, and is redrawn in place.

    Parameters
    ----------
    height : int
        In pixels.
    listen : callable, optional
        Called with a figure that was made anew, so that clicks on it are heard.
    """

    def __init__(self, height: int, listen: Callable[[go.FigureWidget], None] | None = None) -> None:
        self.height, self._listen = height, listen
        self.figure: go.FigureWidget | None = None
        # a column: in a row a figure takes its own width, 700 pixels, and not that of its place
        self.widget = widgets.VBox([], layout=widgets.Layout(width="100%", min_height=f"{height}px"))

    def draw(self, traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> None:
        """Draw; in place where there are as many traces of the same kinds as before."""
        traces, layout = _worded(traces, layout)
        fig = self.figure
        if fig is None or [trace.type for trace in fig.data] != [trace["type"] for trace in traces]:
            self._anew(traces, layout)
            return
        with fig.batch_update():
            for drawn, trace in zip(fig.data, traces, strict=True):
                if len(trace["x"]) or (drawn.x is not None and len(drawn.x)):  # else nothing was or is there
                    drawn.update({key: value for key, value in trace.items() if key != "type"})
            for key in LISTS:  # replaced and not merged: there may be fewer than before
                fig.layout[key] = layout.get(key, [])
            fig.update_layout({key: value for key, value in layout.items() if key not in LISTS})

    def _anew(self, traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> None:
        old = self.figure
        look = {"template": style.LIGHT, "height": self.height, "width": WIDTH, "font": {"size": 12}}
        self.figure = LiveFigure(
            list(traces), {**look, "showlegend": False, "hovermode": "closest", **layout}
        )
        self.figure._config = {**style.CONFIG, "displayModeBar": False}
        if self._listen is not None:
            self._listen(self.figure)
        self.figure.observe(self._drawn, "_js2py_layoutDelta")
        self.widget.children = (self.figure,)
        if old is not None:
            close(old)

    def _drawn(self, change: dict[str, Any]) -> None:
        """Let a figure take the width of its place: a browser draws it before it has one."""
        fig = change["owner"]
        fig.unobserve(self._drawn, "_js2py_layoutDelta")
        fig.layout.autosize = True


def _worded(
    traces: Sequence[dict[str, Any]], layout: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Write the numbers for people in everything that a figure says."""

    def said(value: Any) -> Any:
        if isinstance(value, str):
            return readable(value)
        return [said(one) for one in value] if isinstance(value, (list, tuple)) else value

    worded = [{key: said(value) if key in SAID else value for key, value in one.items()} for one in traces]
    notes = [{**one, "text": said(one["text"])} for one in layout.get("annotations", [])]
    return worded, {**layout, "annotations": notes}


def on_click(trace: Any, act: Callable[[Any, Any], None]) -> None:
    """Call `act(trace, points)` when something of this trace is clicked, and only then."""

    def clicked(of: Any, points: Any, _: Any) -> None:
        if points.point_inds:
            act(of, points)

    trace.on_click(clicked)


def line_at(
    axis: str, value: float, *, x: int | str = "", dash: str = "dot", colour: str = theme.FAINT
) -> dict[str, Any]:
    """Describe a straight line across panel `x` ("" is the first): at this `x` or this `y`."""
    ends = (
        {"x0": value, "x1": value, "y0": 0, "y1": 1}
        if axis == "x"
        else {"x0": 0, "x1": 1, "y0": value, "y1": value}
    )
    over = (
        {"xref": f"x{x}", "yref": f"y{x} domain"}
        if axis == "x"
        else {"xref": f"x{x} domain", "yref": f"y{x}"}
    )
    return {"type": "line", **ends, **over, "line": {"color": colour, "width": 1.2, "dash": dash}}


def heading(text: str, panel: int | str = "", **more: Any) -> dict[str, Any]:
    """Describe a panel's title, above its top left corner."""
    place = {"xref": f"x{panel} domain", "yref": f"y{panel} domain", "x": 0, "y": 1}
    shape = {
        "xanchor": "left",
        "yanchor": "bottom",
        "align": "left",
        "showarrow": False,
        "font": {"size": 12},
    }
    return {"text": text, **place, **shape, **more}


def told(text: str, *, amiss: bool = False) -> str:
    """Write a sentence for a tab, escaped."""
    colour = f";color:{RED}" if amiss else ""
    return f'<div style="{TOLD}{colour}">{with_indices(text)}</div>' if text else ""


def with_indices(text: str) -> str:
    """Escape a sentence, write its numbers for people, and set the index of λ_P and its like low."""
    return re.sub(r"\b([^\W\d_])_(\w)\b", r"\1<sub>\2</sub>", escape(readable(text)))


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, hover: Sequence[str] = (), strong: int = -1
) -> str:
    """Lay out cells as an HTML table, escaped; `hover` explains the columns, row `strong` stands out."""
    hints = [*hover, *[""] * (len(head) - len(hover))]
    cell = f'style="padding:1px 7px;text-align:right;white-space:nowrap;border-bottom:1px solid {theme.LINE}"'
    first = f'style="padding:1px 7px 1px 2px;text-align:left;border-bottom:1px solid {theme.LINE}"'
    top = "".join(
        f'<th {first if i == 0 else cell} title="{escape(hint, quote=True)}">{with_indices(text)}</th>'
        for i, (text, hint) in enumerate(zip(head, hints, strict=True))
    )
    body = ""
    for j, row in enumerate(rows):
        weight = ' style="font-weight:600"' if j == strong else ""
        cells = "".join(
            f"<td {first if i == 0 else cell}>{escape(readable(text))}</td>" for i, text in enumerate(row)
        )
        body += f"<tr{weight}>{cells}</tr>"
    return f'<table style="{TABLE}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def takes_seconds(f: Fit, most: int) -> bool:
    """Tell whether refits of a fit without each row take seconds: walks, several unknowns, many points."""
    return not f.points.objective.projects or len(f.law.nonlinear) > 1 or f.n > most


class Gate:
    """A button that stands before what takes seconds; it opens for the fit that is shown, not for the next.

    Parameters
    ----------
    desk : Desk
    show : callable
        Shows the tab again.
    label, hint : str
        Of the button.
    """

    def __init__(self, desk: Desk, show: Callable[[Shown], None], label: str, hint: str) -> None:
        self._desk, self._show, self._label = desk, show, label
        self._asked: tuple[Hashable, float] | None = None
        layout = widgets.Layout(width="auto", display="none", align_self="flex-start")
        self.button = widgets.Button(description=label, tooltip=hint, layout=layout)
        self.button.on_click(self._pressed)

    def open(self, shown: Shown, *, slow: bool) -> bool:
        """Tell whether to go on: the work is quick, or was asked for."""
        through = not slow or self._asked == (shown.key, shown.state.level)
        self.button.layout.display = "none" if through else ""
        return through

    def _pressed(self, _: Any) -> None:
        shown = self._desk.shown
        self._asked = (shown.key, shown.state.level)
        self.button.description, self.button.disabled = "working …", True
        try:
            self._show(shown)
        finally:
            self.button.description, self.button.disabled = self._label, False


class Stage:
    """A tab's area. Its figure comes when the tab is first looked at: figures are heavy to send to a browser.

    Parameters
    ----------
    children : sequence of Widget
    """

    def __init__(self, children: Sequence[widgets.Widget]) -> None:
        for child in children:
            child.layout.flex = "0 0 auto"  # a column that is too long scrolls, and does not squeeze
        layout = widgets.Layout(width="100%", overflow="hidden auto")
        self.widget = widgets.VBox(tuple(children), layout=layout)
        self.showing = False

    @contextmanager
    def set(self) -> Iterator[None]:
        """Mark that the tab itself sets its controls: their events are not a person's."""
        before, self.showing = self.showing, True
        try:
            yield
        finally:
            self.showing = before
