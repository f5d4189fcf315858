"""What a reader must be told about a fit: codes for programs, sentences for people, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.scaling.intervals import AMPLITUDE
from genret_core.scaling.intervals.draws import Draws
from genret_core.scaling.laws.law import Parameter
from genret_core.scaling.points import Points

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

# The thresholds. Those of single rows stand in `influence`: outlier, influential.
LEVEL = 0.95  # of the intervals that verdicts are read from
NO_TREND = 0.05  # p of the F test (chi-square for known noise) against a constant, above which there is none
LACK_OF_FIT = 0.05  # p of pure error, of runs, or of chi-square for known noise, below which the law misses
NEAR_CHANCE = 0.005  # |rho - 1| below which a point is at chance
COLLINEAR = 0.99  # |correlation| of ln x and ln x2 above which their effects cannot be told apart
SCALE_SPAN = 10.0  # a scale (gamma, eta, mu) is identified if its interval spans less than this factor


@dataclass(frozen=True)
class Verdict:
    """A finding about a fit.

    Attributes
    ----------
    code : str
        Stable, for programs.
    message : str
        One plain sentence.
    help : str
        What would help.
    rows : tuple of int
        The rows that it is about.
    param : str or None
        The parameter that it is about.
    factor : float or None
        How far beyond the data.
    """

    code: str
    message: str
    help: str = ""
    rows: tuple[int, ...] = ()
    param: str | None = None
    factor: float | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" {self.help}" if self.help else "")

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-ready; `rows`, `param` and `factor` only where there are any."""
        told: dict[str, Any] = {"code": self.code, "message": self.message, "help": self.help}
        if self.rows:
            told["rows"] = list(self.rows)
        return told | {key: value for key in ("param", "factor") if (value := getattr(self, key)) is not None}


def on_the_fit(fit: Fit) -> Iterator[Verdict]:
    """Write every verdict on the fit as a whole that applies, the gravest first."""
    for check in (
        _saturated, _trend, _edges, _open_exponents, _floors, _arms, _lack_of_fit, _bounds, _chance,
        _dropped, _duplicates, _criterion,
    ):  # fmt: skip
        yield from check(fit)


def on_rows(fit: Fit) -> Iterator[Verdict]:
    """Write the verdicts on single rows, from refits without each."""
    from genret_core.scaling.influence.rows import influence, influential, outliers, watched_parameters

    table = influence(fit)
    far, pulling = tuple(outliers(table)), tuple(influential(table))
    if far:
        yield Verdict(
            "outlier",
            f"{_rows(far)} {'lies' if len(far) == 1 else 'lie'} farther from the law than chance allows "
            "among so many points.",
            "Look at how it was measured; fit with and without it, or with the objective huber.",
            rows=far,
        )
    if pulling:
        p = watched_parameters(fit.law)[0]
        what = f"the exponent {p.symbol}" if p.role == "exponent" else p.symbol
        yield Verdict(
            "influential",
            f"Without {_rows(pulling, capital=False)} {what} moves by more than half its interval: the law "
            "rests on so few rows.",
            "Measure a point near it, or repeat it.",
            rows=pulling,
            param=p.name,
        )


def arguments(points: Points) -> str:
    """Name what the law is a function of: "P", or "P and D"."""
    return " and ".join(points.names[key] for key in ("x", "x2") if key in points.names)


def identified(fit: Fit, name: str) -> bool:
    """Whether the data hold a parameter: its 95 % interval is closed, off the bounds, and of some use.

    A floor's interval must not reach 0, nothing that hangs on an exponent at its search edge is identified,
    and a scale's interval must span less than a factor of 10.
    """
    interval = fit.interval(name, LEVEL)
    role = next((p.role for p in fit.law.parameters if p.name == name), "amplitude")
    if interval is None or interval.open or (role not in ("floor", "level") and any(_edges(fit))):
        return False
    assert interval.lo is not None and interval.hi is not None
    if role == "scale":
        return interval.lo > 0 and interval.hi / interval.lo < SCALE_SPAN
    if (role == "floor" and fit.law.floor == "positive") or (role == "amplitude" and name == AMPLITUDE):
        return interval.lo > 0 or interval.hi < 0
    return True


def floor_open(fit: Fit, p: Parameter) -> bool:
    """Whether a floor has no lower limit: pinned at its bound, or compatible with it."""
    interval = fit.interval(p.name, LEVEL)
    return fit.params[p.name] <= p.low or (interval is not None and interval.lo is None)


def _rows(rows: tuple[int, ...], *, capital: bool = True) -> str:
    told = f"row{'s' if len(rows) > 1 else ''} {', '.join(str(row) for row in rows)}"
    return told.capitalize() if capital else told


def _saturated(f: Fit) -> Iterator[Verdict]:
    if f.dof > 0:
        return
    k = len(f.law.parameters)
    yield Verdict(
        "saturated",
        f"{f.dof + k} distinct points and {k} parameters leave no degree of freedom: the curve passes "
        "through every point, so R² says nothing.",
        "Add points, or state the noise of these.",
    )


def _trend(f: Fit) -> Iterator[Verdict]:
    y, x = f.points.names["y"], arguments(f.points)
    if f.law.amplitude == "positive" and f.best.sign[0] == 0:
        rising = np.corrcoef(np.log(f.x), f.y)[0, 1] > 0 if np.ptp(f.y) else False
        how = f"{y} rises with {x}" if rising else f"{y} does not fall with {x}"
        yield Verdict(
            "wrong_sign",
            f"{how}: the law can only fall, so its amplitude is 0 and it has no exponent.",
            "Check which column is which, and whether these models learned anything.",
        )
    elif _flat(f):
        yield Verdict(
            "no_trend",
            f"{y} shows no trend in {x} that stands out of the noise: a constant fits as well.",
            f"Widen the range of {x}, or measure with less noise.",
        )


def _flat(f: Fit) -> bool:
    if f.law.amplitude == "none":
        return False
    if isinstance(f.spread, Draws) and f.spread.counts is None:
        return f.spread.flat
    p = p_of_trend(f)
    return p is not None and p > NO_TREND


def p_of_trend(f: Fit) -> float | None:
    """Test the law against a constant: p of F, or of chi-square for known noise; None without freedom."""
    from scipy import special

    more = len(f.law.parameters) - 1
    w = np.ones(f.n) if f.points.sd is None else f.points.sd**-2.0
    total = float(w @ (f.y - (w @ f.y) / w.sum()) ** 2)
    left = float(w @ f.residuals**2)
    if more < 1 or total == 0:
        return None if total else 1.0
    if f.points.sd is not None:
        return float(special.chdtrc(more, max(total - left, 0.0)))
    if f.dof <= 0:
        return None
    if left <= 0:
        return 0.0
    return float(special.fdtrc(more, f.dof, max(total - left, 0.0) / more / (left / f.dof)))


def _edges(f: Fit) -> Iterator[Verdict]:
    for j, unknown in enumerate(f.law.nonlinear):
        side = int(f.best.edge[0, j])
        if side:
            end = f"upper edge of the search, {unknown.high:g}"
            if side < 0:
                end = f"lower edge of the search, {unknown.low:g}"
            what = next((p.symbol for p in f.law.parameters if p.name == unknown.name), unknown.name)
            yield Verdict(
                "at_edge",
                f"{what} lies at the {end}: the data do not hold it, and it is no estimate.",
                "Add points where the curve bends, or choose a law with fewer parameters.",
                param=unknown.name,
            )


def _open_exponents(f: Fit) -> Iterator[Verdict]:
    for p in f.law.with_role("exponent"):
        interval = f.interval(p.name, LEVEL)
        if interval is not None and interval.open:
            sides = " or ".join({"low": "lower", "high": "upper"}[side] for side in interval.open)
            yield Verdict(
                "exponent_open",
                f"The exponent {p.symbol} has no {sides} limit in these data.",
                "Add points between those where the curve falls most, or measure with less noise.",
                param=p.name,
            )


def _floors(f: Fit) -> Iterator[Verdict]:
    for p in f.law.with_role("floor"):
        if floor_open(f, p):
            at = "; least squares puts it at 0, its bound" if f.params[p.name] <= p.low else ""
            yield Verdict(
                "floor_not_identified",
                f"The floor {p.symbol} is not identified: the data are compatible with 0{at}.",
                f"Add points at larger {arguments(f.points)}, where the curve should flatten.",
                param=p.name,
            )


def _arms(f: Fit) -> Iterator[Verdict]:
    if f.x2 is None:
        return
    x, x2 = f.points.names["x"], f.points.names["x2"]
    correlation = float(np.corrcoef(np.log(f.x), np.log(f.x2))[0, 1])
    if abs(correlation) > COLLINEAR:
        yield Verdict(
            "collinear",
            f"{x} and {x2} move together (correlation {correlation:.3f} of their logarithms), so their "
            "effects cannot be told apart.",
            "Vary one with the other held.",
        )
    if any(bool(((f.x == a) | (f.x2 == b)).all()) for a in np.unique(f.x) for b in np.unique(f.x2)):
        yield Verdict(
            "no_interaction_tested",
            f"All points lie on two arms, one in {x} and one in {x2}: nothing tests how the two combine.",
            f"Add one point or more with both {x} and {x2} off these arms.",
        )


def _lack_of_fit(f: Fit) -> Iterator[Verdict]:
    from scipy import special

    from genret_core.scaling.comparison.residual_tests import runs_of

    found: list[str] = []
    help_ = "Try another law, or leave out the region that departs."
    if f.points.sd is not None and f.dof > 0:
        chi_square = float(((f.residuals / f.points.sd) ** 2).sum())
        p = float(special.chdtrc(f.dof, chi_square))
        if p < LACK_OF_FIT:
            found.append(
                "the points scatter about it more than their stated noise allows "
                f"(chi-square {chi_square:.1f}, {f.dof} degrees of freedom, p = {p:.2g})"
            )
    pure = pure_error(f)
    if pure is not None and pure < LACK_OF_FIT:
        found.append(f"it misses the means of repeated measurements (pure error, F test, p = {pure:.2g})")
    if f.dof > 0:
        p_runs = runs_of(f.points, f.fitted).p
        if p_runs is not None and p_runs < LACK_OF_FIT:
            found.append(f"the signs of the residuals come in too few runs (p = {p_runs:.2g})")
    if found:
        yield Verdict("lack_of_fit", f"The law does not follow the points: {'; '.join(found)}.", help_)


def pure_error(f: Fit) -> float | None:
    """Test the law against the means of repeated measurements: p of F; None without repetitions."""
    from scipy import special

    rows = np.unique(np.column_stack([f.points.design, f.y]), axis=0)  # an exact copy repeats nothing
    places, at = np.unique(rows[:, :-1], axis=0, return_inverse=True)
    y, at = rows[:, -1], at.ravel()
    free, left = len(y) - len(places), len(places) - len(f.law.parameters)
    if free <= 0 or left <= 0:
        return None
    means = np.bincount(at, y) / np.bincount(at)
    within = float(((y - means[at]) ** 2).sum())
    curve = f.predict(*places.T, clip=False)
    between = float((np.bincount(at) * (means - curve) ** 2).sum())
    if within == 0:
        return None if between == 0 else 0.0
    return float(special.fdtrc(left, free, between / left / (within / free)))


def _bounds(f: Fit) -> Iterator[Verdict]:
    if f.law.bounds is None:
        return
    low, high = f.law.bounds
    outside = np.flatnonzero((f.fitted < low) | (f.fitted > high))
    if len(outside):
        i = int(outside[0])
        yield Verdict(
            "outside_bounds",
            f"The fitted {f.points.names['y']} leaves [{low:g}, {high:g}] at {len(outside)} of {f.n} "
            f"points ({f.fitted[i]:.4g} at {f.points.names['x']} = {f.x[i]:.4g}); it is clipped.",
            "Fit rates with the objective logit, or leave out the points where the law does not hold.",
            rows=tuple(int(row) for row in f.points.rows[outside]),
        )


def _chance(f: Fit) -> Iterator[Verdict]:
    if f.chance is None:
        return
    near = np.abs(np.expm1(f.y) / np.expm1(f.chance) - 1) < NEAR_CHANCE
    if near.any():
        yield Verdict(
            "near_chance",
            f"{int(near.sum())} of {f.n} points lie within {NEAR_CHANCE:.1%} of chance ({f.chance:.5g}): "
            "their differences are noise rather than a law.",
            "Train longer, on more data, or larger models, until the loss leaves chance.",
            rows=tuple(int(row) for row in f.points.rows[near]),
        )


def _dropped(f: Fit) -> Iterator[Verdict]:
    if f.points.dropped:
        rows = tuple(row for row, _ in f.points.dropped)
        reasons = "; ".join(f"row {row}: {reason}" for row, reason in f.points.dropped[:5])
        yield Verdict(
            "rows_dropped", f"{_rows(rows)} left out ({reasons}).", "Correct what is wrong.", rows=rows
        )


def _duplicates(f: Fit) -> Iterator[Verdict]:
    table = np.column_stack([f.points.design, f.y])
    _, first = np.unique(table, axis=0, return_index=True)
    repeated = np.setdiff1d(np.arange(f.n), first)
    if len(repeated):
        rows = tuple(int(row) for row in f.points.rows[repeated])
        yield Verdict(
            "duplicates",
            f"{_rows(rows)} {'repeats' if len(rows) == 1 else 'repeat'} another row exactly; "
            f"{'it adds' if len(rows) == 1 else 'they add'} no degree of freedom.",
            "Keep one of them, unless they were measured anew.",
            rows=rows,
        )


def _criterion(f: Fit) -> Iterator[Verdict]:
    k = len(f.law.parameters) + 1
    if f.n - k - 1 <= 0:
        yield Verdict(
            "aicc_undefined",
            f"AICc is undefined for {f.n} points and {k} parameters (the variance is one of them).",
            "Rank laws by what they predict of points held out.",
        )
