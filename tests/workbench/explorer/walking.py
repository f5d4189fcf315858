"""A walk through the explorer: whatever a person could do to it, at random, in this process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.basewidget import BaseFigureWidget

from genret_core.workbench.explorer.explorer import Explorer
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.sources import frame_source, published_source
from genret_core.workbench.explorer.tab_stage import Gate
from genret_core.workbench.explorer.tours import ToursPanel

TYPED = ("", "1.8e-6", "5e-6", "-1", "abc", "1e400", "nan", "<b>x</b>", "a name", "0.01", "nothing.csv")
DEAR = (
    "broken",
    "joint",
    "joint_exchanged",
    4000,
)  # chosen at times only: they can take seconds
UPLOADS = {
    "good.csv": b"size,loss,kind\n1e6,1.52,a\n1e7,0.698,a\n1e8,0.421,a\n1e9,0.332,a\n1e6,1.7,b\n1e8,0.6,b\n",
    "bad.csv": b"one,two\nx,y\n",
    "not text.csv": b"\xff\xfe\x00\x81",
    "view.yaml": b"focus: t5\nshown: [t5, llama]\nlaw: power\n",
    "wrong.yaml": b"law: [",
}


def source(n: int, *, seed: int = 0) -> Source:
    """Give points of two series about a power law with a floor, n in all, one of them unreadable."""
    rng = np.random.default_rng(seed)
    x = np.geomspace(1e6, 1e10, n)
    y = (0.3 + 2.0 * (x / 1e6) ** -0.35) * (1 + 0.02 * rng.normal(size=n))
    kind = np.where(np.arange(n) % 2, "wide", "deep") if n >= 12 else np.full(n, "deep")
    name = [f"<i>model</i> {i}" for i in range(n)]
    if n >= 12:
        y[3] = np.nan
    frame = pd.DataFrame({"P": x, "loss": y, "kind": kind, "model": name})
    return frame_source(frame, x="P", y="loss", by="kind", name=f"{n} points & <more>")


SOURCES = {
    "published": published_source,
    "six": lambda: source(6),
    "forty": lambda: source(40),
}


def controls(root: widgets.Widget) -> Iterator[widgets.Widget]:
    """Find every control that can be seen and used."""
    if getattr(root.layout, "display", None) == "none" or getattr(root, "disabled", False):
        return
    if isinstance(root, widgets.Box):
        for child in root.children:
            yield from controls(child)
    elif isinstance(root, (BaseFigureWidget, widgets.ValueWidget, widgets.Button)) and not isinstance(
        root, (widgets.HTML, widgets.Label)
    ):
        yield root


def called(control: Any) -> str:
    """Name a control by its kind and label."""
    label = getattr(control, "description", "") or getattr(control, "placeholder", "")
    return f"{type(control).__name__} {label}".strip()


class Walk:
    """Random actions on an explorer, from a seed.

    Parameters
    ----------
    seed : int
    source : Source, optional
        Without one, sources are opened at random too.
    """

    def __init__(self, seed: int, source: Source | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.kind = "published"
        self.fixed = source is not None
        self.explorer = Explorer(source)
        self.done: dict[str, int] = {}
        self.last, self.moves = "", 1

    def step(self) -> None:
        """Do something."""
        self.moves = 1
        draw = self.rng.random()
        if draw < 0.02 and not self.fixed:
            self.kind = str(self.rng.choice(list(SOURCES)))
            self._did(f"open {self.kind}")
            self.explorer.desk.open(SOURCES[self.kind]())
            return
        if draw < 0.2:
            self._point(self.explorer.view.widget)
            return
        if draw < 0.27:
            self._did("tab")
            tabs = [tab for _, tab in self.explorer.frame.bar.options]
            self.explorer.frame.bar.value = "fit" if self.rng.random() < 0.3 else str(self.rng.choice(tabs))
            return
        found = list(controls(self.explorer))
        rare = np.array([1 / (1 + self.done.get(called(one), 0)) for one in found])  # all get their turn
        self._use(found[int(self.rng.choice(len(found), p=rare / rare.sum()))])

    def _did(self, what: str) -> None:
        self.last = what
        self.done[what] = self.done.get(what, 0) + 1

    def _use(self, control: Any) -> None:
        self._did(called(control))
        if isinstance(control, BaseFigureWidget):
            self._point(control)
        elif isinstance(control, widgets.Button):
            press(control)
        elif isinstance(control, (widgets.Dropdown, widgets.ToggleButtons, widgets.Select)):
            values = [value for _, value in control.options] if control.options else []
            values = [value for value in values if value not in DEAR or self.rng.random() < 0.1]
            if values:
                control.value = values[int(self.rng.integers(len(values)))]
        elif isinstance(control, widgets.Checkbox):
            control.value = not control.value
        elif isinstance(control, widgets.FloatLogSlider):
            control.value = 10 ** float(self.rng.uniform(control.min, control.max))
        elif isinstance(control, (widgets.FloatSlider, widgets.BoundedFloatText)):
            self.moves = 3  # a drag
            for _ in range(self.moves):
                control.value = float(self.rng.uniform(control.min, control.max))
        elif isinstance(control, (widgets.IntSlider, widgets.BoundedIntText)):
            control.value = int(self.rng.integers(control.min, control.max + 1))
        elif isinstance(control, (widgets.FloatText, widgets.IntText)):
            control.value = self.rng.choice([0, 1, -1, 10, 1000])
        elif isinstance(control, widgets.Text):
            control.value = str(self.rng.choice(TYPED))
        elif isinstance(control, widgets.FileUpload):
            name = str(self.rng.choice(list(UPLOADS)))
            one = {"name": name, "type": "", "size": len(UPLOADS[name]), "content": memoryview(UPLOADS[name])}
            control.value = ({**one, "last_modified": pd.Timestamp("2026-01-01").to_pydatetime()},)
        elif isinstance(control, (widgets.SelectMultiple,)):
            control.value = tuple(v for v in control.options if self.rng.random() < 0.5)
        else:
            raise AssertionError(f"nobody told the walk how to use {called(control)}")

    def _point(self, figure: Any) -> None:
        """Click in a figure, or drag a box in it."""
        traces = [i for i, trace in enumerate(figure.data) if points_of(trace)]
        if not traces:
            return
        main = figure is self.explorer.view.widget
        points = self.explorer.view.points
        of = figure.data.index(points) if main and self.rng.random() < 0.9 and points_of(points) else None
        i = int(self.rng.choice(traces)) if of is None else of
        n = points_of(figure.data[i])
        if main and self.rng.random() < 0.15:
            self._did("select")
            here = sorted({int(j) for j in self.rng.integers(n, size=3)})
            send(figure, "plotly_selected", i, here)
        else:
            self._did("click")
            send(figure, "plotly_click", i, [int(self.rng.integers(n))])


def points_of(trace: Any) -> int:
    """Count the places of a trace that can be clicked."""
    if isinstance(trace, (go.Heatmap, go.Contour)):
        return 0 if trace.z is None else int(np.asarray(trace.z).size)
    return 0 if getattr(trace, "x", None) is None else len(trace.x)


def send(figure: Any, event: str, trace: int, indices: list[int]) -> None:
    """Tell a figure of a click or a selection, as the browser does."""
    drawn = figure.data[trace]
    xs, ys = places(drawn)
    figure._js2py_pointsCallback = {
        "event_type": event,
        "points": {
            "trace_indexes": [trace] * len(indices),
            "point_indexes": indices,
            "xs": [xs[i] for i in indices],
            "ys": [ys[i] for i in indices],
        },
        "device_state": None,
        "selector": None,
    }


def places(trace: Any) -> tuple[list[Any], list[Any]]:
    """Give the x and y of every place of a trace."""
    if isinstance(trace, (go.Heatmap, go.Contour)):
        x, y = np.meshgrid(np.asarray(trace.x, float), np.asarray(trace.y, float))
        return x.ravel().tolist(), y.ravel().tolist()
    return list(trace.x), list(trace.y if trace.y is not None else [0] * len(trace.x))


def press(button: widgets.Button) -> None:
    """Press a button; what goes wrong is raised, which ipywidgets would only log."""
    for act in list(button._click_handlers.callbacks):
        act(button)


# ---- what is to be seen ------------------------------------------------------------------------------------


def seen(explorer: Explorer) -> dict[str, Any]:
    """Read off everything that the explorer shows: words, numbers, choices, and what figures draw."""
    found: dict[str, Any] = {}
    for panel in explorer.desk._panels:
        if panel.tab in (None, explorer.desk.state.tab) and hasattr(panel, "widget"):
            found |= {f"{type(panel).__name__}{path}": value for path, value in _read(panel.widget, "")}
    return found | {"title": explorer.frame.title.value, "answer": explorer.frame.answer.value}


def follow(fresh: Explorer, walked: Explorer) -> None:
    """Bring what is no part of the state to where the walk left it: panes, gates, choices within a tab."""
    fresh.points.kind.value = walked.points.kind.value  # what a form holds, and what was amiss with it
    fresh.points.amiss.value = walked.points.amiss.value
    fresh.desk._saved.update(walked.desk._saved)
    left = {one.options: one.value for one in _tree(walked) if isinstance(one, widgets.ToggleButtons)}
    for one in _tree(fresh):
        if isinstance(one, widgets.ToggleButtons) and one.options in left:
            one.value = left[one.options]
    fresh.desk._show()
    if walked.points.every.value in [row for _, row in fresh.points.every.options]:
        fresh.points.every.value = walked.points.every.value
    if walked.save.saved.value in [name for _, name in fresh.save.saved.options]:  # while its pane is open
        fresh.save.saved.value = walked.save.saved.value
    tab = walked.tabs.get(walked.desk.state.tab)
    if tab is None:
        return
    own = fresh.tabs[walked.desk.state.tab]
    if isinstance(tab, ToursPanel) and tab.tour is not None:
        own.start(tab.tour)
        own.go(tab.step)
        fresh.desk.open(walked.desk.source, walked.desk.state)
    for gate in [one for one in vars(tab).values() if isinstance(one, Gate)]:
        name = next(key for key, one in vars(tab).items() if one is gate)
        shown = walked.desk.shown
        if gate._asked == (shown.key, shown.state.level):
            press(getattr(own, name).button)
    chosen = {called(one): one.value for one in _tree(tab.widget) if _can_be_set(one)}
    for one in _tree(own.widget):
        if _can_be_set(one) and called(one) in chosen:
            one.value = chosen[called(one)]


def _can_be_set(one: Any) -> bool:
    kept = (widgets.HTML, widgets.FileUpload)
    return (
        isinstance(one, widgets.ValueWidget)
        and not isinstance(one, kept)
        and not getattr(one, "disabled", False)
    )


def _tree(root: Any) -> Iterator[widgets.Widget]:
    yield root
    for child in getattr(root, "children", ()):
        yield from _tree(child)


def _read(root: Any, path: str) -> Iterator[tuple[str, Any]]:
    if getattr(root.layout, "display", None) == "none" or getattr(root, "disabled", False):
        return
    if isinstance(root, BaseFigureWidget):
        kept = [(str(trace.name), _trace(trace)) for trace in root.data if _is_drawn(trace)]
        yield f"{path}/figure", sorted(kept, key=lambda one: (one[0], len(one[1]), str(one[1])))
    elif isinstance(root, widgets.Box):
        for i, child in enumerate(root.children):
            yield from _read(child, f"{path}/{i}")
    elif isinstance(root, widgets.ValueWidget) and not isinstance(root, (widgets.Text, widgets.FileUpload)):
        yield f"{path}/{called(root)}", root.value


def _is_drawn(trace: Any) -> bool:
    """Whether a trace has any place to be drawn at."""
    if trace.visible is False or getattr(trace, "x", None) is None:
        return False
    return any(_cell(cell) == _cell(cell) for cell in np.ravel(np.asarray(trace.x, dtype=object)))


def _trace(trace: Any) -> list[Any]:
    """Give the coordinates and words that a trace draws; None as NaN."""
    values: list[Any] = []
    for name in ("x", "y", "z", "hovertext"):
        given = getattr(trace, name, None)
        if given is not None:
            cells = np.ravel(np.asarray(given, dtype=object))
            values += [_cell(cell) for cell in cells]
    return values


def _cell(value: Any) -> Any:
    if value is None:
        return math.nan
    return float(value) if isinstance(value, (int, float, np.number)) else str(value)


def differ(one: Any, other: Any) -> bool:
    """Whether two readings differ; NaN is NaN."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) != len(other) or any(differ(a, b) for a, b in zip(one, other, strict=True))
    return bool(one != other and not (one != one and other != other))
