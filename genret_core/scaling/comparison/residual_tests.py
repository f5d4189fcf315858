"""What residuals tell: the scale they are judged on, whether signs come in runs, what a parameter buys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws.law import Array
from genret_core.scaling.points import Points
from genret_core.scaling.solver.projection import Index

ULPS = 8.0  # residuals of so many units in the last place of y are rounding


def judged(points: Points, fitted: Array) -> Array:
    """Give residuals on the scale that the objective of the fit sums squares (or losses) of.

    Parameters
    ----------
    points : Points
    fitted : array [n] or [fits, n]

    Returns
    -------
    array of the shape of `fitted`
        In units of y; free of units where standard deviations are known, for `relative` residuals, and for
        logarithms and logits, which are weighted as the points are.
    """
    size = np.sqrt(points.weight * points.unit)
    objective = points.objective
    if objective.projects:
        return np.asarray(size * (points.y - fitted) / points.scale)
    return np.asarray(size * (objective.transform(points.y) - objective.transform(fitted)))


def rounding(points: Points) -> float:
    """Give the size of a residual that is the rounding of y alone, on the scale of `judged`."""
    return ULPS * float(np.abs(judged(points, points.y * (1 + np.finfo(float).eps))).max())


def sizes(points: Points) -> Array:
    """Order points by how large they are: ln x, or ln x + ln x2 (compute, up to a factor); [n].

    Rounded, so that runs of one budget are equally large.
    """
    return np.asarray(np.round(np.log(points.design).sum(axis=1), 9))


def distinct(points: Points) -> Index:
    """Give the points numbers so that exact repetitions of one share a number, [n] from 0."""
    rows = np.column_stack([points.design, points.y])
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.intp)


@dataclass(frozen=True)
class FTest:
    """A law held against a simpler one that it contains.

    Attributes
    ----------
    against : str
        The simpler law.
    F : float
        Fall of the objective for each parameter more, over the variance left; over the known variance where
        standard deviations were given.
    dof : (int, int or None)
        Parameters more, and degrees of freedom of the variance; None where that is known.
    p : float
        The chance of so large an F if the simpler law is true.
    """

    against: str
    F: float
    dof: tuple[int, int | None]
    p: float

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping."""
        return {
            "against": self.against,
            "f": self.F if math.isfinite(self.F) else None,
            "dof": list(self.dof),
            "p": self.p,
        }


def f_test(against: str, simple: float, rich: float, more: int, dof: int, *, known: bool) -> FTest | None:
    """Test whether `more` parameters buy more than chance would give them.

    Parameters
    ----------
    against : str
        Name of the simpler law.
    simple, rich : float
        Weighted sums of squares of both.
    more : int
        How many parameters the richer law has more.
    dof : int
        Degrees of freedom of the richer law.
    known : bool
        Whether the noise is known, so that the sums are chi-squares: the difference is then chi-square.

    Returns
    -------
    FTest or None
        None where nothing is left to judge by: no more parameters, or no degree of freedom.

    Notes
    -----
    Exact for linear laws. A bound (a floor that must not be negative) makes p too large by up to a factor 2,
    and an exponent that the simpler law leaves undefined makes it too small.
    """
    from scipy import special  # slow to import

    if more < 1 or (dof < 1 and not known):
        return None
    fall = max(simple - rich, 0.0)
    if known:
        return FTest(against, fall / more, (more, None), float(special.chdtrc(more, fall)))
    F = fall / more / (rich / dof) if rich > 0 else (math.inf if fall > 0 else 0.0)
    p = float(special.fdtrc(more, dof, F)) if math.isfinite(F) else 0.0
    return FTest(against, F, (more, dof), p)


class Runs(NamedTuple):
    """Stretches of residuals of one sign, along x; `p`: the chance of as few, or None without two signs."""

    runs: int
    above: int
    below: int
    p: float | None


def runs_of(points: Points, fitted: Array) -> Runs:
    """Count the runs of residual signs in order of size, points of one size taken by their mean."""
    place = np.unique(sizes(points), return_inverse=True)[1].reshape(-1)
    residuals = judged(points, fitted)
    return runs_test(np.bincount(place, residuals) / np.bincount(place))


def runs_test(residuals: npt.ArrayLike) -> Runs:
    """Test for too few runs of sign (Wald and Wolfowitz 1940), exactly.

    Parameters
    ----------
    residuals : array [n]
        In order of x. Zeros are left out.

    Returns
    -------
    Runs
        `p` is the lower tail, P(as few runs or fewer) over all arrangements of that many signs, each as
        likely as the other: a law of the wrong shape leaves long runs, and only that is looked for. Residuals
        of a fit alternate a little more than chance, which keeps p on the safe side.
    """
    values = np.asarray(residuals, dtype=np.float64)
    signs = np.sign(values[values != 0])
    above, below = int((signs > 0).sum()), int((signs < 0).sum())
    runs = int((np.diff(signs) != 0).sum()) + (1 if len(signs) else 0)
    if not above or not below:
        return Runs(runs, above, below, None)
    return Runs(runs, above, below, min(1.0, sum(_share(r, above, below) for r in range(2, runs + 1))))


def _share(runs: int, above: int, below: int) -> float:
    """Give the share of arrangements that have so many runs."""
    if runs % 2 == 0:
        half = runs // 2 - 1
        ways = 2.0 * _choose(above - 1, half, below - 1, half, above + below, above)
    else:
        half = (runs - 1) // 2
        ways = _choose(above - 1, half, below - 1, half - 1, above + below, above)
        ways += _choose(above - 1, half - 1, below - 1, half, above + below, above)
    return ways


def _choose(a: int, i: int, b: int, j: int, n: int, m: int) -> float:
    """Give C(a, i) C(b, j) / C(n, m)."""
    if not (0 <= i <= a and 0 <= j <= b):
        return 0.0
    return math.exp(_log_choose(a, i) + _log_choose(b, j) - _log_choose(n, m))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
