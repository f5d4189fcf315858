"""The main figure: points that can be clicked out, the law through them, and what it says beyond them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from genret_core.workbench.explorer import view_ahead, view_axes, view_parts, view_traces
from genret_core.workbench.explorer.live_figure import LiveFigure
from genret_core.workbench.explorer.view_traces import Height, Look, Values
from genret_core.workbench.figures import style

SLOTS = 6  # series that are there from the beginning; more are added when they are shown


class View:
    """The figure; always visible.

    Parameters
    ----------
    desk : Desk
    height : int
        In pixels.
    reason : callable, optional
        Gives the reason that an exclusion by click is recorded with.
    """

    tab = None

    def __init__(self, desk: Any, height: int = 560, reason: Callable[[], str] = str) -> None:
        self.desk = desk
        self.reason = reason
        self.take_back = False
        self._look: tuple[Any, Look] | None = None
        self._home: dict[str, list[float]] = {}
        self._kind: Any = None
        self._drawn: dict[Any, Any] = {}
        singles, slots = view_parts.singles(), [view_parts.slot() for _ in range(SLOTS)]
        traces = [*singles.values(), *(trace for slot in slots for trace in slot.values())]
        self.widget = LiveFigure(data=traces, layout=view_parts.layout(height))
        self.widget._config = view_parts.CONFIG
        drawn = iter(self.widget.data)
        self._single = {name: next(drawn) for name in singles}
        self._slots = [{part: next(drawn) for part in slot} for slot in slots]
        self.points = self._single["points"]
        self.points.on_click(self._clicked)
        self.points.on_selection(self._selected)

    def look(self, source: Any) -> Look:
        """Give the colours and marks of a source."""
        if self._look is None or self._look[0] is not source:
            self._look = (source, Look(source))
        return self._look[1]

    def show(self, shown: Any) -> None:
        """Draw what is shown, in place."""
        look, height = self.look(shown.source), Height(shown)
        while len(self._slots) < len(shown.state.shown):
            self._slots.append(self._new_slot())
        drawn = picture(shown, look, height)
        with self.widget.batch_update():
            for name, values in drawn["single"].items():
                self._set(self._single[name], name, values)
            for i, slot in enumerate(self._slots):
                here = drawn["series"][i] if i < len(drawn["series"]) else _EMPTY
                for part, values in here.items():
                    self._set(slot[part], (i, part), values)
            state = shown.state
            self._lay_out(drawn["layout"], (shown.source, state.axes, state.shown, state.ahead))

    def _set(self, part: Any, name: Any, values: Values) -> None:
        """Give a part of the figure those values that are new: plotly takes long over every one."""
        before = self._drawn.setdefault(name, {})
        new = {
            key: value for key, value in values.items() if key not in before or not same(before[key], value)
        }
        if new:
            part.update(new)
            before.update(new)

    def _lay_out(self, layout: dict[str, Any], kind: Any) -> None:
        """Set the axes; a range that the reader chose stays while the figure shows the same things."""
        for axis in ("xaxis", "yaxis"):
            new = [float(end) for end in layout[axis]["range"]]
            now = self.widget.layout[axis].range
            zoomed = now is not None and not np.allclose(now, self._home.get(axis, now), rtol=1e-6, atol=0)
            if zoomed and kind == self._kind:
                layout[axis] = {k: v for k, v in layout[axis].items() if k != "range"}
                if axis == "yaxis":
                    layout["yaxis2"].pop("range", None)
            else:
                self._home[axis] = new
                self._drawn.get(axis, {}).pop("range", None)
        self._kind = kind
        for part in ("shapes", "annotations"):  # an update would keep those that are gone
            if not same(self._drawn.get(part), layout[part]):
                setattr(self.widget.layout, part, layout[part])
                self._drawn[part] = layout[part]
        for axis in ("xaxis", "yaxis", "yaxis2"):
            self._set(self.widget.layout[axis], axis, layout[axis])

    def _new_slot(self) -> dict[str, Any]:
        return {part: self.widget.add_trace(trace).data[-1] for part, trace in view_parts.slot().items()}

    def drag(self, how: str) -> None:
        """Choose what dragging over the figure does: "zoom", "leave out" or "take back"."""
        self.take_back = how == "take back"
        self.widget.layout.dragmode = "zoom" if how == "zoom" else "select"

    def _rows(self, indices: Sequence[int]) -> list[int]:
        return [int(self.points.customdata[i]) for i in indices]

    def _clicked(self, _: Any, points: Any, __: Any) -> None:
        for row in self._rows(points.point_inds):
            self.desk.toggle(row, self.reason())

    def _selected(self, _: Any, points: Any, __: Any) -> None:
        rows = self._rows(points.point_inds)
        # The page drew the selection on its own: plotly's Python side does not know of it.
        self.widget._send_relayout_msg({"selections": []})
        if rows and self.take_back:
            self.desk.include(rows)
        elif rows:
            self.desk.exclude(rows, self.reason())


def same(one: Any, other: Any) -> bool:
    """Whether two values of a trace or of the layout are the same, NaN like NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    return bool(one == other)


def picture(shown: Any, look: Look, height: Height) -> dict[str, Any]:
    """Give everything that the figure draws: values of its traces by name and by series, and its layout."""
    state = shown.state
    points = view_traces.points(shown, look, height)
    series = [_series(shown, one, look, height) for one in state.shown]
    ahead = view_ahead.prediction(shown, height)
    laid_over, called = view_traces.overlay(shown, height)
    picked = view_traces.picked(shown, height)
    rings = view_traces.rings(shown, height)
    out = any(shown.points(one)["left_out"].any() for one in state.shown)
    strands = view_traces.strands(shown, height)
    single = {
        "points": points,
        "rings": rings | {"showlegend": bool(len(rings["x"]))},
        "strands": strands | {"line": {"color": style.faded(look.colours[state.focus], 0.10)}},
        "overlay": laid_over | {"name": called, "showlegend": bool(called)},
        "picked": picked | {"showlegend": bool(len(picked["x"]))},
        "left out": {"x": [None], "y": [None], "showlegend": out},
        **ahead,
    }
    single["prediction"] = single["prediction"] | {"marker": {"color": look.colours[state.focus]}}
    across = [points, *(one[part] for one in series for part in ("inside", "beyond"))]
    up = [points, *(one["inside"] for one in series), ahead["prediction"]]
    if not height.above_floor:
        up.append(ahead["spread"])
    layout = view_axes.axes(shown, height, across, up)
    layout |= _chance(shown, view_axes.chance_at(shown, height))
    return {"single": single, "series": series, "layout": layout}


def _series(shown: Any, one: str, look: Look, height: Height) -> dict[str, Values]:
    parts = view_traces.curve(shown, one, height)
    colour, dash, focus = look.colours[one], look.dashes[one], one == shown.state.focus
    line = {"color": colour, "width": 2.4 if focus else 1.6}
    parts["inside"] = parts["inside"] | {"line": line | {"dash": dash}}
    parts["beyond"] = parts["beyond"] | {"line": line | {"dash": "dot"}}
    parts["band"] = parts["band"] | {"fillcolor": style.faded(colour, 0.16 if focus else 0.09)}
    marker = {"color": colour, "symbol": look.symbols[one], "size": 10}
    name = f"<b>{look.names[one]}</b>" if focus and len(shown.state.shown) > 1 else look.names[one]
    beside = shown.beside(one)
    if beside is not None:
        name += f", curve at {escape(shown.source.called(one)['x2'])} = {style.short(beside)}"
    parts["key"] = {
        "name": name,
        "showlegend": True,
        "line": {"color": colour, "dash": dash},
        "marker": marker,
    }
    return parts


_EMPTY: dict[str, Values] = {
    "inside": view_traces.NOTHING,
    "beyond": view_traces.NOTHING,
    "band": view_traces.NOTHING,
    "key": {"showlegend": False},
}


def _chance(shown: Any, at: float | None) -> dict[str, Any]:
    if at is None:
        return {"shapes": [], "annotations": []}
    log = shown.state.axes == "log_log"
    line = {
        "type": "line",
        "xref": "x domain",
        "x0": 0,
        "x1": 1,
        "yref": "y",
        "y0": at,
        "y1": at,
        "line": {"color": style.GREY, "width": 1.2, "dash": "dot"},
        "layer": "below",
    }
    told = {
        "text": f"chance, ln(1 + 1/{shown.source.negatives(shown.state.focus)})",
        "font": {"size": 12, "color": "#6a737c"},
        "xref": "x domain",
        "x": 0.995,
        "xanchor": "right",
        "yref": "y",
        "y": float(np.log10(at)) if log else at,
        "yanchor": "bottom",
        "showarrow": False,
    }
    return {"shapes": [line], "annotations": [told]}
