"""What a reader must be told about a fit: codes for programs, sentences for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genret_core.scaling.intervals import Interval
from genret_core.scaling.laws.law import Array, Parameter
from genret_core.scaling.points import Points
from genret_core.scaling.solver.solutions import Solutions

NEAR_CHANCE = 0.01  # rho, the loss over the mean loss of the negatives, closer to 1 than this is chance
LACK_OF_FIT = 0.01  # significance of chi-square against stated standard deviations


@dataclass(frozen=True)
class Verdict:
    """A finding about a fit: a stable code and a sentence."""

    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


@dataclass(frozen=True)
class Facts:
    """What the verdicts are written from."""

    points: Points
    best: Solutions  # in units of y
    params: dict[str, float]
    intervals: dict[str, Interval]
    fitted: Array  # not clipped
    flat: bool
    n_negatives: int | None


def judge(facts: Facts) -> tuple[Verdict, ...]:
    """Write every verdict that applies, the gravest first."""
    checks = (_trend, _saturated, _edges, _open_exponents, _floor, _lack_of_fit, _bounds, _chance, _rows)
    return tuple(verdict for check in checks for verdict in check(facts))


def arguments(points: Points) -> str:
    """Name what the law is a function of: "P", or "P and D"."""
    return " and ".join(points.names[key] for key in ("x", "x2") if key in points.names)


def _trend(f: Facts) -> Iterator[Verdict]:
    p, y, x = f.points, f.points.names["y"], arguments(f.points)
    if p.law.amplitude == "positive" and f.best.sign[0] == 0:
        rising = np.corrcoef(np.log(p.x), p.y)[0, 1] > 0 if np.ptp(p.y) else False
        how = f"{y} rises with {x}" if rising else f"{y} does not fall with {x}"
        yield Verdict(
            "wrong_sign", f"{how}: the law can only fall, so its amplitude is 0 and it has no exponent."
        )
    elif f.flat and p.law.amplitude != "none":
        yield Verdict(
            "no_trend", f"{y} shows no trend in {x} that stands out of the noise: a constant fits as well."
        )


def _saturated(f: Facts) -> Iterator[Verdict]:
    if f.points.dof > 0:
        return
    k = len(f.points.law.parameters)
    yield Verdict(
        "saturated",
        f"{f.points.dof + k} distinct points and {k} parameters leave no degree of freedom: the curve passes "
        "through every point, so R² says nothing; add points.",
    )


def _edges(f: Facts) -> Iterator[Verdict]:
    for j, unknown in enumerate(f.points.law.nonlinear):
        side = int(f.best.edge[0, j])
        if side:
            end = f"upper edge of the search, {unknown.high:g}"
            if side < 0:
                end = f"lower edge of the search, {unknown.low:g}"
            what = next((p.symbol for p in f.points.law.parameters if p.name == unknown.name), unknown.name)
            yield Verdict(
                "at_edge", f"{what} lies at the {end}: the data do not hold it, and it is no estimate."
            )


def _open_exponents(f: Facts) -> Iterator[Verdict]:
    for p in f.points.law.with_role("exponent"):
        interval = f.intervals.get(p.name)
        if interval is not None and interval.open:
            sides = " or ".join({"low": "lower", "high": "upper"}[side] for side in interval.open)
            yield Verdict("exponent_open", f"The exponent {p.symbol} has no {sides} limit in these data.")


def _floor(f: Facts) -> Iterator[Verdict]:
    for p in f.points.law.with_role("floor"):
        if floor_open(p, f.params[p.name], f.intervals.get(p.name)):
            at = "; least squares puts it at 0, its bound" if f.params[p.name] <= p.low else ""
            yield Verdict(
                "floor_not_identified",
                f"The floor {p.symbol} is not identified: the data are compatible with 0{at}.",
            )


def floor_open(parameter: Parameter, value: float, interval: Interval | None) -> bool:
    """Whether a floor has no lower limit: pinned at its bound, or compatible with it."""
    return value <= parameter.low or (interval is not None and interval.lo is None)


def _lack_of_fit(f: Facts) -> Iterator[Verdict]:
    if f.points.sd is None or f.points.dof <= 0:
        return
    from scipy import special

    chi_square = float((((f.points.y - f.fitted) / f.points.sd) ** 2).sum())
    chance = float(special.chdtrc(f.points.dof, chi_square))
    if chance < LACK_OF_FIT:
        yield Verdict(
            "lack_of_fit",
            "The points scatter about the law more than their stated noise allows "
            f"(chi-square {chi_square:.1f}, {f.points.dof} degrees of freedom, p = {chance:.2g}): "
            "the law or the noise is wrong.",
        )


def _bounds(f: Facts) -> Iterator[Verdict]:
    if f.points.law.bounds is None:
        return
    low, high = f.points.law.bounds
    outside = np.flatnonzero((f.fitted < low) | (f.fitted > high))
    if len(outside):
        i = int(outside[0])
        yield Verdict(
            "outside_bounds",
            f"The fitted {f.points.names['y']} leaves [{low:g}, {high:g}] at {len(outside)} of {f.points.n} "
            f"points ({f.fitted[i]:.4g} at {f.points.names['x']} = {f.points.x[i]:.4g}); it is clipped.",
        )


def _chance(f: Facts) -> Iterator[Verdict]:
    if f.n_negatives is None:
        return
    rho = f.n_negatives * np.expm1(f.points.y)
    near = int((np.abs(rho - 1) < NEAR_CHANCE).sum())
    if near:
        level = np.log1p(1 / f.n_negatives)
        yield Verdict(
            "near_chance",
            f"{near} of {f.points.n} points lie within {NEAR_CHANCE:.0%} of chance "
            f"(ln(1 + 1/N) = {level:.4g} for N = {f.n_negatives}): "
            "their differences are noise rather than a law.",
        )


def _rows(f: Facts) -> Iterator[Verdict]:
    if f.points.dropped:
        rows = ", ".join(str(row) for row in f.points.dropped)
        yield Verdict("rows_dropped", f"Left out for want of a value: row {rows}.")
    repeated = f.points.n - f.points.dof - len(f.points.law.parameters)
    if repeated:
        yield Verdict(
            "duplicates",
            f"{repeated} of {f.points.n} rows repeat another exactly; they add no degree of freedom.",
        )
