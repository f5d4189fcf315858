"""The items of the checklist, each filled in from what is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genret_core.scaling import Fit, get_law
from genret_core.scaling.beyond.extrapolation import factor_beyond
from genret_core.scaling.influence.rows import influential, outliers
from genret_core.scaling.layout import times
from genret_core.scaling.wording import number
from genret_core.workbench.explorer.prose import in_sentence, with_titles

if TYPE_CHECKING:
    from genret_core.workbench.explorer.shown import Shown

FEW = 5  # distinct sizes below which a law is hardly tested
NARROW = 10.0  # a range of x of less than this factor says little of a power
STEEP = 1e-6  # gradient, over the spread of y, above which a search did not end at a minimum
FAR = 10.0  # times beyond the data

ASK = "Press the button above: it takes seconds."
WHY = {
    "Other objectives": "How much of the answer is the choice of a loss.",
    "Single rows": "A law that rests on one point is that point.",
    "Held out": "A law is tested by points that it did not see.",
    "Rival laws": "Many laws fit few points.",
}


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes
    ----------
    name, why : str
        What is to be told, and why a reader needs it.
    told : str
        What the state says.
    do : str
        What would close the gap; empty where there is none.
    """

    name: str
    why: str
    told: str
    do: str = ""

    @property
    def gap(self) -> bool:
        """Whether something is missing."""
        return bool(self.do)


Maker = Callable[["Shown", Fit], Item]


def checklist(shown: Shown, *, refits: bool = True, objectives: bool = True) -> tuple[Item, ...]:
    """Fill in every item; those that need a fit are left out without one.

    Parameters
    ----------
    shown : Shown
    refits, objectives : bool
        Whether to work out what takes refits without rows, and other objectives; else these are gaps.
    """
    if shown.fit is None:
        return (
            _data(shown),
            Item("Fit", "Without one there is no law.", "There is no fit.", shown.why or "Add points."),
        )
    f = shown.fit
    quick: tuple[Maker, ...] = (_rows, _noise, _objective, _optimiser, _starts, _intervals, _identified)
    items = [_law(shown, f), _data(shown), *(make(shown, f) for make in quick)]
    slow: tuple[tuple[Maker, bool, str], ...] = (
        (_objectives, objectives, "Other objectives"),
        (_influence, refits, "Single rows"),
        (_held_out, refits, "Held out"),
        (_rivals, refits, "Rival laws"),
    )
    for make, worked_out, name in slow:
        items.append(make(shown, f) if worked_out else Item(name, WHY[name], "Not worked out yet.", ASK))
    return (*items, _extrapolation(shown, f))


def _law(shown: Shown, f: Fit) -> Item:
    own = shown.source.law(shown.state.focus)
    why = (
        f"the law that {shown.source.label(shown.state.focus)} opens with"
        if f.law.name == own
        else "chosen by hand"
    )
    told = f"{f.law.title}: {f.law.equation} ({len(f.law.parameters)} parameters; {why})."
    floor = any(p.role == "floor" for p in f.law.parameters)
    told += "" if floor else " It has no floor: it falls to 0, or below."
    return Item("Law", "Every conclusion holds only if the form does.", told)


def _data(shown: Shown) -> Item:
    rows = shown.points()
    used = rows[rows["used"]]
    names = shown.source.called(shown.state.focus)
    x = used["x"].to_numpy()
    told = (
        f"{len(used)} of {len(rows)} points of {shown.source.label(shown.state.focus)} ({shown.source.name})"
    )
    do = ""
    if len(x):
        factor = float(x.max() / x.min())
        told += f", {names['x']} from {number(float(x.min()))} to {number(float(x.max()))} ({times(factor)})"
        distinct = len(used[["x", "x2"]].drop_duplicates())
        if distinct < FEW:
            do = f"Only {distinct} distinct sizes: add points."
        elif factor < NARROW and get_law(shown.state.law).x2 is None:
            do = f"The range of {names['x']} is narrow: add smaller or larger ones."
    negatives = shown.source.negatives(shown.state.focus)
    told += f"; N = {negatives} negatives." if negatives is not None else "."
    if "cgl" in names["y"].lower() and negatives is None:
        do = (do + " Say how many negatives the CGL has (column n_negatives).").strip()
    return Item("Data", "How many points, over what range.", told, do)


def _rows(shown: Shown, f: Fit) -> Item:
    rows = shown.points()
    out = rows[~rows["used"] & ~rows["target"]]
    if not len(out):
        return Item("Rows left out", "A law can be made by leaving points out.", "None.")
    silent = [row for row, reason in shown.state.reasons.items() if not reason and row in set(out["row"])]
    told = (
        "; ".join(f"row {row}: {reason}" for row, reason in zip(out["row"], out["reason"], strict=True)) + "."
    )
    do = "" if not silent else f"Give a reason for {'row' if len(silent) == 1 else 'rows'} {_listed(silent)}."
    return Item("Rows left out", "A law can be made by leaving points out.", told, do)


def _noise(shown: Shown, f: Fit) -> Item:
    why = "Intervals and tests stand on it."
    name = shown.calls[shown.state.focus].noise
    told = {
        "typed": f"Known: a standard deviation of {shown.state.sd} was typed in.",
        "column": "Known: a column of standard deviations.",
        "replicates": "From replicates: all points recomputed on resampled queries.",
        "residuals": "Judged by the scatter of the points about the law itself.",
    }[name]
    do = "" if name != "residuals" else "Repeat runs with other seeds, or state the noise of a point."
    if name == "residuals" and f.dof > 0:
        told += f" {f.dof} degrees of freedom." if f.dof > 1 else " 1 degree of freedom."
    return Item("Noise", why, told, do)


def _objective(shown: Shown, f: Fit) -> Item:
    words = {
        "ols": "Least squares in y"
        + (", weighted by the known noise." if f.points.sd is not None else ", unweighted."),
        "relative": "Least squares of relative residuals.",
        "huber": f"Huber loss of logarithmic residuals, delta = {shown.state.delta:g}.",
        "lad": "Absolute logarithmic residuals.",
        "logit": "Least squares on the logit scale.",
    }
    told = f"{words.get(f.objective, f.objective)} Value {number(f.objective_value)}."
    return Item("Objective", "Another loss is another fit.", told)


def _optimiser(shown: Shown, f: Fit) -> Item:
    found = f.certificate
    told = f"Variable projection, {found.method}; {len(found.minima)} distinct "
    told += "minimum" if len(found.minima) == 1 else "minima"
    told += (
        f", the next best {found.runner_up / found.objective:.3g} times the best"
        if (found.runner_up is not None and found.objective > 0)
        else ""
    )
    told += f"; gradient {found.gradient:.1g} of the spread of y." if np.isfinite(found.gradient) else "."
    steep = np.isfinite(found.gradient) and found.gradient > STEEP
    edges = [u.name for j, u in enumerate(f.law.nonlinear) if f.best.edge[0, j]]
    do = "The search did not end at a minimum: state fewer parameters." if steep else ""
    if edges:
        do = f"{_listed(edges)} lies at an edge of the search, and is no estimate: add points."
    return Item("Optimiser", "A stalled search has been printed as a law before.", told, do)


def _starts(shown: Shown, f: Fit) -> Item:
    found = f.certificate
    told = {
        "closed form": "None needed: the optimum is known in closed form.",
        "grid": f"No random starts: {found.searched:,} exponents over the whole range, the best polished.",
    }.get(
        found.method,
        f"{found.searched:,} spread starts, no random numbers: the same points give the same digits.",
    )
    ranges = ", ".join(f"{u.name} {u.low:g} to {u.high:g}" for u in f.points.law_here.nonlinear)
    return Item(
        "Starts",
        "Results must not hang on a lucky start.",
        told + (f" Searched: {ranges}." if ranges else ""),
    )


def _intervals(shown: Shown, f: Fit) -> Item:
    none = not f.intervals
    do = "State the noise of the points, or add points: nothing tells how sure this is." if none else ""
    return Item(
        "Intervals",
        "A number without one cannot be compared.",
        f"{f.level:.0%}. {f.covers}",
        do,
    )


def _identified(shown: Shown, f: Fit) -> Item:
    watched = [p for p in f.law.parameters if p.role in ("exponent", "floor", "slope", "shape")]
    held = [p.symbol for p in watched if f.identified(p.name)]
    loose = [p.symbol for p in watched if not f.identified(p.name)]
    told = f"Held by the points: {_listed(held) or 'none'}."
    if not loose:
        return Item("Identified", "Whether the points hold the numbers at all.", told)
    helps = [
        v.help
        for v in f.findings
        if v.code in ("floor_not_identified", "exponent_open", "saturated") and v.help
    ]
    do = f"Not held: {_listed(loose)}. {helps[0] if helps else 'Add points, or state their noise.'}"
    return Item("Identified", "Whether the points hold the numbers at all.", told, do)


def _objectives(shown: Shown, f: Fit) -> Item:
    name, why = "Other objectives", WHY["Other objectives"]
    found = shown.objectives
    return (
        Item(name, why, "Not known.", found) if isinstance(found, str) else Item(name, why, found.sentence())
    )


def _influence(shown: Shown, f: Fit) -> Item:
    name, why = "Single rows", WHY["Single rows"]
    found = shown.influence
    if isinstance(found, str):
        return Item(name, why, "Not known.", found)
    rows = sorted({*outliers(found), *influential(found)})
    do = f"Look at row {rows[0]}, and fit without it." if len(rows) == 1 else ""
    do = f"Look at rows {_listed(rows[:6])}, and fit without each." if len(rows) > 1 else do
    if not any(np.isfinite(row.t) or np.isfinite(row.shift) for row in found.rows):
        do = "Too few points to judge one by the others: add points."
    return Item(name, why, found.sentence(), do)


def _held_out(shown: Shown, f: Fit) -> Item:
    name, why = "Held out", WHY["Held out"]
    found = shown.comparison(whole=False)
    if isinstance(found, str):
        return Item(name, why, "Not tested.", found)
    one = found[f.law.name]
    if one.loo.rmse is None:
        return Item(name, why, "No point can be left out.", "Too few points to leave one out: add points.")
    told = f"Each point left out in turn: rmse {number(one.loo.rmse)}"
    told += f" ({one.loo.mape:.2g} %)" if one.loo.mape is not None else ""
    if one.largest.rmse is None:
        return Item(name, why, f"{told}.", "The largest cannot be predicted from the rest: add points.")
    told += f"; the largest from the smaller ones: {number(one.largest.rmse)}"
    return Item(name, why, told + (f" ({one.largest.mape:.2g} %)." if one.largest.mape is not None else "."))


def _rivals(shown: Shown, f: Fit) -> Item:
    name, why = "Rival laws", WHY["Rival laws"]
    found = shown.comparison(whole=False)
    if isinstance(found, str):
        return Item(name, why, "Not compared.", found)
    best = found.best["loo"]
    do = ""
    if best is not None and best != f.law.name:
        do = (
            f"{get_law(best).title} predicts left-out points better: say why "
            f"{in_sentence(f.law.title)} is fitted all the same."
        )
    return Item(name, why, with_titles(found.sentence()), do)


def _extrapolation(shown: Shown, f: Fit) -> Item:
    name, why = "Extrapolation", "Beyond the data a fit holds only if the law does."
    if not shown.state.ahead:
        return Item(name, why, "Nothing is predicted beyond the points.")
    factor = float(factor_beyond(shown.farthest[0], f.x))
    told = f"Predicted up to {times(factor)} beyond the points"
    place = None if shown.predictions is None else shown.predictions[0]
    if place is not None and place.spread is not None:
        told += f"; the laws say {number(place.spread[0])} to {number(place.spread[1])} there"
    return Item(
        name, why, told + ".", "Far beyond the points: run one model between." if factor > FAR else ""
    )


def _listed(names: list[str] | list[int]) -> str:
    *first, last = [str(name) for name in names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
