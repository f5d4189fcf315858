"""What the paper claims, judged from our own numbers: holds here, does not, or cannot be told.

Each judgement counts joint replicates: the queries are resampled once for all cells together (and a seed's
noise added where it is known), the statement is looked at in every replicate, and the share in which it is
true is its probability. At 95 % it holds, at 5 % it does not, in between it cannot be told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from genret_core.workbench.replicates.series import Series, common_places, interpolate, pearson, slope

Verdict = Literal["holds here", "does not hold here", "cannot be told"]
LEVEL = 0.95


@dataclass(frozen=True)
class Claim:
    """A statement, where it stands, and the words for its short name in a table."""

    code: str
    statement: str
    source: str


@dataclass(frozen=True)
class Outcome:
    """What the replicates say of a statement.

    Attributes
    ----------
    probability : float or None
        Share of the replicates in which the statement is true; None when it could not be looked at.
    evidence : str
        The numbers it rests on, or why there are none.
    """

    probability: float | None
    evidence: str


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict."""

    claim: Claim
    verdict: Verdict
    probability: float | None
    evidence: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


Comparison = tuple[tuple[str, Series], Mapping[str, Series]]


def decide(probability: float | None, *, level: float = LEVEL) -> Verdict:
    """Turn a probability into a verdict; None and everything between 1 - level and level stay open."""
    if probability is None or np.isnan(probability):
        return "cannot be told"
    if probability >= level:
        return "holds here"
    return "does not hold here" if probability <= 1 - level else "cannot be told"


def judge(claim: Claim, outcome: Outcome, *, level: float = LEVEL) -> Judgement:
    """Give the verdict on a claim."""
    return Judgement(claim, decide(outcome.probability, level=level), outcome.probability, outcome.evidence)


def unknown(why: str) -> Outcome:
    """Say why a statement could not be looked at."""
    return Outcome(None, why)


def share(true: np.ndarray) -> float:
    """Give the share of replicates in which a statement is true; NaN replicates count as false."""
    return float(np.mean(np.asarray(true, dtype=bool)))


def _enough(series: Mapping[str, Series], least: int) -> tuple[dict[str, Series], list[str]]:
    """Split off the series with too few sizes for a trend, and say which these are."""
    sizes = {name: len(np.unique(one.x)) for name, one in series.items()}
    kept = {name: one for name, one in series.items() if sizes[name] >= least}
    few = [
        f"{name} has {sizes[name]} of the {least} sizes that a trend needs"
        for name in series
        if name not in kept
    ]
    return kept, few


def falls(series: Mapping[str, Series], *, unit: str = "", least: int = 3) -> Outcome:
    """Judge "y falls with x", in all series at once: the slope on ln x is below zero.

    Parameters
    ----------
    series : mapping from a name to Series
    unit : str
        What y is, for the evidence.
    least : int
        Distinct values of x that a trend needs.
    """
    kept, few = _enough(series, least)
    if not kept:
        return unknown("; ".join(few) or "no finished cells to look at")
    slopes = {name: slope(one.x, one.columns()) for name, one in kept.items()}
    every = np.all([s[1:] < 0 for s in slopes.values()], axis=0)
    told = [
        f"{name} {_change(series[name], s[0])} (in {_percent(share(s[1:] < 0))} of the replicates it falls)"
        for name, s in slopes.items()
    ]
    return Outcome(share(every), _sentence(unit, told + few))


def trend(series: Series, *, level: float = LEVEL) -> Literal["falls", "rises", "unclear"]:
    """Say which way y goes with ln x; replicates in which it does not move speak for neither way."""
    slopes = slope(series.x, series.columns())[1:]
    if share(slopes < 0) >= level:
        return "falls"
    return "rises" if share(slopes > 0) >= level else "unclear"


def no_improvement(
    series: Mapping[str, Series],
    reference: Mapping[str, Series],
    *,
    part: float = 0.1,
    unit: str = "",
    least: int = 3,
) -> Outcome:
    """Judge "y does not fall with x" in any series.

    That nothing is there cannot be shown, that it is small can: true in a replicate when each series falls by
    less than `part` of what its reference falls, per ln x.

    Parameters
    ----------
    series, reference : mapping from a name to Series
        The same names in both (the families), e.g. codebooks and n-grams.
    """
    both, few = _enough({name: series[name] for name in series if name in reference}, least)
    known, lacking = _enough({name: reference[name] for name in both}, least)
    shared = {name: both[name] for name in known}
    if not shared:
        return unknown("; ".join(few + lacking) or "no finished cells to look at")
    true, told = [], []
    for name, one in shared.items():
        own, other = (slope(s.x, s.columns()) for s in (one, reference[name]))
        true.append(own[1:] > part * np.minimum(other[1:], 0.0))
        fell = f"in {_percent(share(own[1:] < 0))} of the replicates it falls"
        told.append(
            f"{name} {_change(one, own[0])} ({fell}; the reference {_change(reference[name], other[0])})"
        )
    return Outcome(share(np.all(true, axis=0)), _sentence(unit, told + few + lacking))


def falls_faster(*comparisons: Comparison, unit: str = "", least: int = 3) -> Outcome:
    """Judge "the first falls more steeply on ln x than each of the others", in all comparisons at once.

    Parameters
    ----------
    *comparisons : (name, Series), mapping from a name to Series
        The one that is said to be steeper, and those it is compared with.
    """
    true, told = [], []
    for (name, one), slow in comparisons:
        few = _enough({name: one, **slow}, least)[1]
        if few or not slow:
            return unknown("; ".join(few) or "nothing to compare with")
        slopes = {n: slope(s.x, s.columns()) for n, s in {name: one, **slow}.items()}
        true += [slopes[name][1:] < slopes[other][1:] for other in slow]
        told += [f"{n} {s[0] * np.log(10):+.3g} per decade" for n, s in slopes.items()]
    return Outcome(share(np.all(true, axis=0)), _sentence(unit, told))


def below(low: tuple[str, Series], high: tuple[str, Series], *, axis: str = "P") -> Outcome:
    """Judge "`low` is below `high` at every x that both cover", interpolating on ln x.

    The x looked at are the points of either series inside the common range; outside it nothing is said.
    """
    (name_low, a), (name_high, b) = low, high
    places = common_places(a.x, b.x)
    if len(places) == 0:
        return unknown(f"{name_low} and {name_high} share no range of {axis}")
    gap = interpolate(a.x, a.columns(), places) - interpolate(b.x, b.columns(), places)
    every = np.all(gap[:, 1:] < 0, axis=0)
    each = [share(row[1:] < 0) for row in gap]
    told = (
        f"{gap[0, 0]:+.3g} to {gap[-1, 0]:+.3g} at {len(places)} sizes, {axis} from {places[0]:,.0f} to "
        f"{places[-1]:,.0f}; below in {_percent(min(each))} to {_percent(max(each))} of the replicates, each"
    )
    return Outcome(share(every), _sentence(f"{name_low} minus {name_high}", [told]))


def all_above(high: Mapping[str, Series], low: Mapping[str, Series], *, unit: str = "") -> Outcome:
    """Judge "every point of `high` lies above every point of `low`"."""
    if not high or not low:
        return unknown("one side has no finished cells")
    top, bottom = (np.vstack([s.columns() for s in side.values()]) for side in (high, low))
    gap = top.min(axis=0) - bottom.max(axis=0)
    lowest, highest = top[:, 0].min(), bottom[:, 0].max()
    told = f"lowest of {' and '.join(high)} {lowest:.5g}, highest of {' and '.join(low)} {highest:.5g}"
    return Outcome(share(gap[1:] > 0), _sentence(unit, [told]))


def pairwise_below(low: np.ndarray, high: np.ndarray, names: Sequence[str], *, what: str) -> Outcome:
    """Judge "`low` is below `high` in every pair".

    Parameters
    ----------
    low, high : float array [pairs, 1 + m]
        The measured values in front of their replicates, pair by pair.
    names : sequence of str
        What the pairs are.
    what : str
        What is compared, for the evidence.
    """
    if len(names) == 0:
        return unknown("no pair of cells to compare")
    gap = low - high
    lower = int(np.sum(gap[:, 0] < 0))
    each = ", ".join(f"{value:+.3g}" for value in gap[:, 0])
    differences = "difference" if len(names) == 1 else "differences"
    if len(names) > 4:
        each = f"{gap[:, 0].min():+.3g} to {gap[:, 0].max():+.3g}"
    return Outcome(
        share(np.all(gap[:, 1:] < 0, axis=0)),
        _sentence(what, [f"lower in {lower} of {len(names)} pairs, {differences} {each}"]),
    )


def near_linear(x: np.ndarray, ys: Mapping[str, np.ndarray], *, threshold: float = 0.9) -> Outcome:
    """Judge "every metric is nearly linear in x": |Pearson r| of at least `threshold`, across the cells.

    Parameters
    ----------
    x : float array [cells, 1 + m]
        CGL of the cells, the measured values in front of the replicates.
    ys : mapping from a metric to float array [cells, 1 + m]
    """
    if not ys or len(x) < 4:
        return unknown(f"{len(x)} cells have both CGL and ranking metrics; a correlation needs 4")
    r = {name: pearson(x, y) for name, y in ys.items()}
    every = np.all([np.abs(one[1:]) >= threshold for one in r.values()], axis=0)
    told = ", ".join(f"{name} r = {one[0]:+.3f}" for name, one in r.items())
    told += f", over {len(x)} cells; nearly linear is taken as |r| ≥ {threshold:g}"
    return Outcome(share(every), _minus(told))


def lower_parameter(
    low: tuple[str, np.ndarray], high: tuple[str, np.ndarray], *, symbol: str, open_in: Sequence[str] = ()
) -> Outcome:
    """Judge "a fitted parameter is lower in one series than in another", over joint refits.

    Parameters
    ----------
    low, high : (name, float array [1 + m])
        The fitted value in front of its refits to the same replicates.
    symbol : str
        The parameter's symbol.
    open_in : sequence of str
        Names of the fits in which the parameter is not identified: then nothing can be told.
    """
    (name_low, a), (name_high, b) = low, high
    told = f"{symbol}: {name_low} {a[0]:.4g}, {name_high} {b[0]:.4g}"
    if open_in:
        return unknown(f"{told}; not identified in {' and '.join(open_in)}")
    kept = np.isfinite(a[1:]) & np.isfinite(b[1:])
    if kept.sum() < 0.9 * len(kept):
        return unknown(f"{told}; more than a tenth of the refits failed")
    return Outcome(share(a[1:][kept] < b[1:][kept]), told)


def _change(one: Series, per_log: float) -> str:
    """Say how much the fitted line changes over the series' range."""
    change = per_log * np.log(one.x.max() / one.x.min())
    return f"{change:+.3g} over a factor of {one.x.max() / one.x.min():.3g}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if 0 < value < 1 else f"{100 * value:.0f} %"


def _sentence(unit: str, told: Sequence[str]) -> str:
    return _minus((f"{unit}: " if unit else "") + "; ".join(told))


def _minus(text: str) -> str:
    """Write minus signs as such."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
