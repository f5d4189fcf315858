"""The shown fit as a short cell of code, without widgets, that gives the same digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling import get_law
from genret_core.scaling.points import read_points
from genret_core.scaling.solver.objective import Objective
from genret_core.workbench.explorer.calls import Call, call, left_out, targets
from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.state import State

INLINE = 200  # points that are written into the cell; more are read from where they are
WIDTH = 100


def code(shown: Shown) -> str:
    """Give the code of the fit in focus."""
    return as_code(shown.state, shown.source)


def as_code(state: State, source: Source) -> str:
    """Give code that makes the fit in focus and prints its parameters.

    Parameters
    ----------
    state : State
    source : Source

    Returns
    -------
    str
        A cell; run, it leaves the fit in `found`.
    """
    asked = call(state, source, state.focus)
    lines = [f"# {_plain(source.label(state.focus))} ({_plain(source.name)})", *_apart(state, source)]
    imports, points = _points(asked, state, source)
    lines += ["", *imports, "", *points, "", *_call(asked, state)]
    lines += [
        "print(found)",
        "for name, value in found.params.items():",
        "    print(name, repr(value), found.interval(name))",
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Keep a text of the user on its line of a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _apart(state: State, source: Source) -> list[str]:
    """Say as comments what the fit does not see."""
    rows = source.rows(state.focus)
    own = set(rows["row"][left_out(state, rows)])
    told = [
        f"# left out: row {row}" + (f", {_plain(why)}" if why.strip() else "")
        for row, why in state.excluded
        if row in own
    ]
    held = rows["row"][targets(state, rows)]
    return told + ([f"# held out as targets: rows {', '.join(map(str, held))}"] if len(held) else [])


def _points(asked: Call, state: State, source: Source) -> tuple[list[str], list[str]]:
    """Give imports, and lines that define x, y (x2, sd, replicates)."""
    two = get_law(asked.law).x2 is not None
    kind = str(source.origin.get("kind"))
    if asked.noise != "replicates" and kind == "published":
        return _published(asked, state, source, two)
    if asked.noise == "replicates" or (kind == "file" and len(asked.rows) > INLINE):
        return _reopened(asked, state, source, two)
    names = ["x", "y", *(["x2"] if two else []), *(["sd"] if asked.noise == "column" else [])]
    lists = {name: asked.rows[name].tolist() for name in names}
    lines = [_assigned(name, [_digits(value) for value in values]) for name, values in lists.items()]
    return ["from genret_core.scaling import fit"], lines


def _published(asked: Call, state: State, source: Source, two: bool) -> tuple[list[str], list[str]]:
    chosen = source.origin["series"][state.focus]
    columns = source.origin["columns"][state.focus]
    where = ", ".join(f"{key}={value!r}" for key, value in chosen.items() if value is not None)
    lines = [f"points = published.points({where})"]
    if len(asked.places) < len(source.rows(state.focus)):
        lines.append(f"points = points.iloc[{asked.places.tolist()}]")
    names = ["x", "y", *(["x2"] if two else [])]
    lines += [f"{name} = points[{columns[name]!r}].to_numpy(float)" for name in names]
    return ["from genret_core.scaling import fit, published"], lines


def _reopened(asked: Call, state: State, source: Source, two: bool) -> tuple[list[str], list[str]]:
    origin, focus = source.origin, state.focus
    if origin["kind"] == "study":
        opener, options = "study_source", {"split": origin["split"], "draws": origin["draws"]}
    else:
        opener, options = "csv_source", dict(origin["columns"])
    told = "".join(f", {key}={value!r}" for key, value in options.items())
    lines = [f"source = {opener}({origin['path']!r}{told})", f"points = source.rows({focus!r})"]
    places = asked.places.tolist()
    whole = len(places) == len(source.rows(focus))
    if not whole:
        lines += [_assigned("kept", [str(place) for place in places]), "points = points.iloc[kept]"]
    names = ["x", "y", *(["x2"] if two else []), *(["sd"] if asked.noise == "column" else [])]
    lines += [f"{name} = points[{name!r}].to_numpy()" for name in names]
    if asked.noise == "replicates":
        lines.append(f"replicates = source.replicates[{focus!r}]{'' if whole else '[kept]'}")
    imports = [
        "from genret_core.scaling import fit",
        f"from genret_core.workbench.explorer.sources import {opener}",
    ]
    return imports, lines


def _call(asked: Call, state: State) -> list[str]:
    law, options = get_law(asked.law), dict(asked.options)
    if options["objective"] == "ols":
        options.pop("objective")
    if not _holds_bad_rows(asked):
        options.pop("drop_bad")
    if state.level != 0.95:
        options["level"] = state.level
    arguments = [repr(asked.law), "x", "y", *(["x2"] if law.x2 else [])]
    written = [f"{key}={_value(key, value)}" for key, value in options.items()]
    return ["found = fit(", f"    {', '.join(arguments)},", *(f"    {one}," for one in written), ")"]


def _holds_bad_rows(asked: Call) -> bool:
    """Whether there are rows that cannot be used, so that the fit has to drop them."""
    x, y, x2 = (asked.rows[name].to_numpy() for name in ("x", "y", "x2"))
    law, goal = get_law(asked.law), Objective(asked.options["objective"])
    try:
        read_points(law, x, y, x2 if law.x2 else None, objective=goal)
    except BadInput as error:
        return error.code == "bad_rows"
    return False


def _value(key: str, value: Any) -> str:
    if key in ("sd", "replicates") and np.ndim(value):
        return key
    if isinstance(value, (float, np.floating)):
        return _digits(float(value))
    return repr(value)


def _digits(value: float) -> str:
    """Write a number so that it is read as the same one."""
    return repr(float(value)) if np.isfinite(value) else f'float("{float(value)}")'


def _assigned(name: str, values: list[str]) -> str:
    """Write a list, broken into lines."""
    line = f"{name} = [{', '.join(values)}]"
    if len(line) <= WIDTH:
        return line
    lines, current = [f"{name} = ["], "   "
    for value in values:
        if len(current) + len(value) + 2 > WIDTH:
            lines.append(current)
            current = "   "
        current += f" {value},"
    return "\n".join([*lines, current, "]"])
