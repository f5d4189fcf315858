"""A second solver: another method from other starts, so that an optimum is not its finder's word alone.

`fit` projects the linear parts out and searches what is left. Here all unknowns are walked at once, by the
trust-region reflective least squares of scipy (Branch, Coleman and Li 1999) from starts that know nothing of
the optimum of `fit`; losses that are no squares are brought to their last digits by other methods again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.scaling import wording
from genret_core.scaling.laws.law import Array
from genret_core.scaling.second_opinion.unknowns import Unknowns

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

STARTS = 4  # for every unknown
SAME = 1e-6  # objectives that differ by a smaller share are one
SPARE = 1e-12  # two perfect fits are one as well: both below this share of a constant's objective
ROUNDING = 1e-13  # of y, which no objective tells apart
FLOATS = (1e-300, 1e300)
TOLERANCE = 1e-14
EVALUATIONS = 100  # the longest walk from one start; the best are walked on
ROUGH_TOLERANCE, ROUGH_EVALUATIONS = 1e-9, 80  # of walks that another method completes
BESIDE = 0.1  # nearer to an edge than this share of the search range, the edge itself is tried
SMOOTHING = (1e-2, 1e-3)  # Huber deltas through which absolute values are approached
COMPLETED = 3  # so many of the best walks are
LINEARISATIONS = 40


@dataclass(frozen=True)
class SecondOpinion:
    """What the second solver found. Prints as a sentence.

    Attributes
    ----------
    objective : float
        The lowest objective that it reached, in the units of `Fit.objective_value`; NaN if it was not run.
    ours : float
        The objective of the fit, evaluated anew from the printed equation and its parameters where those are
        within the range of floats, else from the fitted curve.
    excess : float
        How far `objective` lies above `ours`, as a share of `ours` (of a constant's objective where `ours` is
        below 1e-12 of it); negative where the second solver found a better optimum.
    starts : int
    reached : float or None
        Share of the starts that ended within 1e-6 of the lower of the two objectives; None for the objectives
        huber and lad, where only the best walks are followed to their end.
    agrees : bool
        Whether both objectives are the same within 1e-6.
    reason : str
        Why it was not run; empty if it was.
    """

    objective: float
    ours: float
    excess: float
    starts: int
    reached: float | None
    agrees: bool
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"Second solver: not run: {self.reason}"
        told = f"trust-region least squares from {self.starts} other starts"
        if self.agrees:
            share = "" if self.reached is None else f"; {self.reached:.0%} of the starts end there"
            objective = wording.number(self.objective)
            return f"Second solver: {told} finds the same optimum (objective {objective}){share}."
        objectives = f"{self.objective:.6g} against {self.ours:.6g}"
        if self.excess < 0:
            return f"Second solver: {told} finds a lower objective, {objectives}: the fit is not the optimum."
        return f"Second solver: {told} ends above the fit, {objectives}: the fit is better, and unconfirmed."

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"

    def to_dict(self) -> dict[str, Any]:
        """Give JSON-ready values; null for what is undefined."""
        values = {**asdict(self), "reason": self.reason or None}
        for name in ("objective", "ours", "excess"):
            values[name] = values[name] if np.isfinite(values[name]) else None
        return values


def second_solver(f: Fit, *, starts: int | None = None, seed: int = 0) -> SecondOpinion:
    """Search the points of a fit again, with the same law and objective.

    Parameters
    ----------
    f : Fit
    starts : int, optional
        Default four for every parameter of the law.
    seed : int
        Of the starts; the same seed gives the same digits.

    Returns
    -------
    SecondOpinion
        Odd data (no degree of freedom, a flat y, an optimum at a search edge) give an answer like any other;
        a law that has no value at any start gives one with a `reason`. Never raises for data.
    """
    unknowns, starts = Unknowns(f.points), starts or STARTS * len(f.law.parameters)
    with np.errstate(all="ignore"):
        ours, spread = unknowns.losses.of_curve(_curve(f)), unknowns.losses.spread()
        rounding = unknowns.losses.of_curve(f.points.y * (1 + ROUNDING))
        walks = _walks(unknowns, unknowns.starts(starts, seed))
    if not walks:
        reason = "the law has no value at any of its starts."
        return SecondOpinion(np.nan, ours, np.nan, starts, 0.0, False, reason)
    objectives = np.array([walk[1] for walk in walks])
    best, spare = float(objectives.min()), max(SPARE * spread, rounding)
    lowest = min(best, ours)
    reached = float((objectives <= lowest * (1 + SAME) + spare).sum()) / starts
    return SecondOpinion(
        best,
        ours,
        (best - ours) / (ours if ours > spare else spread or rounding or 1.0),
        starts,
        None if unknowns.losses.robust else reached,
        bool(abs(best - ours) <= SAME * lowest + spare),
    )


def _curve(f: Fit) -> Array:
    """Evaluate the printed equation with the fit's parameters, if floats hold them: gamma can be e^-9999."""
    scales = np.abs([f.params[p.name] for p in f.law.with_role("scale")])
    if not ((scales > FLOATS[0]) & (scales < FLOATS[1])).all():
        return f.fitted
    arguments = (f.points.x,) if f.points.x2 is None else (f.points.x, f.points.x2)
    try:
        with np.errstate(all="ignore"):
            curve = np.asarray(f.law.function(*arguments, *(f.params[name] for name in f.law.names)))
    except ArithmeticError:
        return f.fitted
    return curve if np.isfinite(curve).all() else f.fitted


Mask = npt.NDArray[np.bool_]
Walk = tuple[Array, float]  # unknowns [m] and their objective


def _walks(unknowns: Unknowns, starts: Array) -> list[Walk]:
    """Walk from every start and complete what is promising."""
    walk = _absolute if unknowns.losses.name == "lad" else _descend
    walks = [found for found in (walk(unknowns, start) for start in starts) if found is not None]
    walks.sort(key=lambda found: found[1])
    complete = {"lad": _by_linear_programs, "huber": _by_quasi_newton}.get(unknowns.losses.name, _settled)
    return [complete(unknowns, found) for found in walks[:COMPLETED]] + walks[COMPLETED:]


def _descend(
    unknowns: Unknowns, start: Array, *, delta: float = 0.0, still: Mask | None = None
) -> Walk | None:
    """Walk downhill from one start; None where the law has no value there.

    `delta` replaces that of the Huber loss; unknowns that are `still` [m] stay where they are.
    """
    from scipy.optimize import least_squares

    low, high = unknowns.limits()
    z = start.copy()
    free = np.ones(z.size, dtype=bool) if still is None else ~still

    def whole(moving: Array) -> Array:
        z[free] = moving
        return z

    robust = unknowns.losses.robust
    tolerance = ROUGH_TOLERANCE if robust else TOLERANCE
    huber = {"loss": _huber(unknowns.losses.weight), "f_scale": delta or unknowns.losses.delta}
    try:
        found = least_squares(
            lambda moving: unknowns.residuals(whole(moving)),
            np.clip(start[free], low[free] + 1e-9, high[free] - 1e-9),
            lambda moving: unknowns.jacobian(whole(moving))[:, free],
            bounds=(low[free], high[free]),
            ftol=tolerance,
            xtol=tolerance,
            gtol=1e-15,
            max_nfev=ROUGH_EVALUATIONS if robust else EVALUATIONS,
            **(huber if robust else {}),
        )
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    end = whole(found.x).copy()
    value = unknowns.value(end)
    return (end, value) if np.isfinite(value) else None


def _absolute(unknowns: Unknowns, start: Array) -> Walk | None:
    """Walk on Huber losses that come near to absolute values."""
    walk: Walk | None = (start, np.inf)
    for delta in SMOOTHING:
        walk = None if walk is None else _descend(unknowns, walk[0], delta=delta)
    return walk


def _settled(unknowns: Unknowns, walk: Walk) -> Walk:
    """Walk on; then with unknowns beside a search edge put on it, which walks within bounds reach slowly."""
    low, high = unknowns.limits()
    further = _descend(unknowns, walk[0])
    z, value = walk = further if further is not None and further[1] < walk[1] else walk
    width = BESIDE * np.where(np.isfinite(high - low), high - low, 0.0)
    at_low, at_high = z <= low + width, z >= high - width
    still = at_low | at_high
    if not still.any() or still.all():
        return walk
    found = _descend(unknowns, np.where(at_low, low, np.where(at_high, high, z)), still=still)
    return found if found is not None and found[1] < value else walk


def _huber(weight: Array) -> Callable[[Array], Array]:
    """Give the weighted Huber loss as scipy asks for it: of (r / delta)², with two derivatives, [3, n]."""

    def loss(squares: Array) -> Array:
        far = squares > 1
        root = np.sqrt(np.where(far, squares, 1.0))
        return weight * np.stack(
            [np.where(far, 2 * root - 1, squares), 1 / root, np.where(far, -0.5 / root**3, 0.0)]
        )

    return loss


def _slope(unknowns: Unknowns, z: Array) -> Array:
    """Give the derivative of the Huber sum by each unknown, [m]."""
    delta = unknowns.losses.delta
    pull = unknowns.losses.weight * np.clip(unknowns.residuals(z), -delta, delta)
    return np.asarray(pull @ unknowns.jacobian(z))


def _by_quasi_newton(unknowns: Unknowns, walk: Walk) -> Walk:
    """Minimise the smooth Huber sum itself (L-BFGS-B, Byrd et al. 1995)."""
    from scipy.optimize import minimize

    low, high = unknowns.limits()
    unit = walk[1] or 1.0
    found = minimize(
        lambda z: (unknowns.value(z) / unit, _slope(unknowns, z) / unit),
        walk[0],
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 2_000, "maxfun": 4_000, "maxcor": 20},
    )
    value = unknowns.value(found.x)
    return (found.x, value) if value < walk[1] else walk


def _by_linear_programs(unknowns: Unknowns, walk: Walk) -> Walk:
    """Minimise the sum of absolute residuals, linearised anew about each best point within a shrinking box.

    A minimum of absolute values passes exactly through as many points as it has unknowns, where no derivative
    exists; the linearised problem has the same corners and is solved exactly (Osborne and Watson 1971).
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack

    z, value = walk
    low, high = unknowns.limits()
    reach, weight = 0.3, unknowns.losses.weight
    for _ in range(LINEARISATIONS):
        residual, jacobian = unknowns.residuals(z), unknowns.jacobian(z)
        n, m = jacobian.shape
        found = linprog(
            np.concatenate([np.zeros(m), weight, weight]),
            A_eq=hstack([csr_array(jacobian), -eye_array(n), eye_array(n)]),
            b_eq=-residual,
            bounds=[(max(a - p, -reach), min(b - p, reach)) for a, b, p in zip(low, high, z, strict=True)]
            + [(0, None)] * (2 * n),
            method="highs",
        )
        if found.x is None:
            break
        trial = z + found.x[:m]
        reached = unknowns.value(trial)
        if reached < value:
            small = value - reached <= 1e-14 * value
            z, value = trial, reached
            reach *= 2
            if small:
                break
        else:
            reach /= 4
            if reach < 1e-13:
                break
    return z, value
