"""`fit`: points and a law in, the fit with intervals and verdicts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.intervals import AMPLITUDE, ROUNDING, NoSpread, Spread
from genret_core.scaling.intervals.draws import Draws
from genret_core.scaling.intervals.profile import Profiles
from genret_core.scaling.intervals.region import Region
from genret_core.scaling.laws.law import Array, Law, get_law
from genret_core.scaling.points import Points, read_points
from genret_core.scaling.results import Fit
from genret_core.scaling.solver.resampled import solve_draws
from genret_core.scaling.solver.search import solve
from genret_core.scaling.solver.solutions import Certificate, Solutions
from genret_core.scaling.verdicts import Facts, judge


def fit(
    law: str | Law,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x2: npt.ArrayLike | None = None,
    *,
    sd: npt.ArrayLike | None = None,
    replicates: npt.ArrayLike | None = None,
    seed_sd: float | None = None,
    seed_source: str | None = None,
    level: float = 0.95,
    names: Mapping[str, str] | None = None,
    n_negatives: int | None = None,
    n_queries: int | None = None,
    seed: int = 0,
    drop_missing: bool = False,
) -> Fit:
    """Fit a law by least squares and say how sure it is.

    Parameters
    ----------
    law : str or Law
        `model_size` (Eq. 6), `data_size` (Eq. 7), `inference` (Eq. 12), `joint` (Eq. 8), `power`,
        `log_linear`, `constant`, or one that you registered.
    x, y : array [n]
        Argument (P, D or C; positive) and value (CGL or a miss rate).
    x2 : array [n], optional
        Second argument of a joint law. Mind the order: `joint` takes P, then D, as Eq. 8 is printed.
    sd : float or array [n], optional
        Known standard deviation of y: weights of the fit, and the noise of its intervals.
    replicates : array [n, draws], optional
        y recomputed on resampled queries, one resampling (column) shared by all points. The law is refitted
        to each column.
    seed_sd : float, optional
        Standard deviation of y between training seeds, added to every replicate; without replicates it is
        known noise, added to `sd`.
    seed_source : str, optional
        Where `seed_sd` is from, told in `Fit.covers`.
    level : float
        Confidence level of the intervals.
    names : mapping, optional
        What `x`, `y` and `x2` are called in sentences; default the law's symbols.
    n_negatives : int, optional
        N of the CGL, so that points near chance are told.
    n_queries : int, optional
        Number of queries that were resampled, told in `Fit.covers`.
    seed : int
        Of the seed noise that is added to replicates.
    drop_missing : bool
        Leave out rows without a value (and say so) instead of refusing them.

    Returns
    -------
    Fit
        With intervals from the replicates; else from the known noise (profile, chi-square); else from the
        residuals (profile, F), which takes the points as independent; else none, without a degree of freedom.

    Raises
    ------
    BadInput
        For points that cannot be fitted: see `points.read_points`.

    Examples
    --------
    >>> from genret_core.scaling import fit, published
    >>> t5 = published.points(study="model_size", method="ngram", family="t5")
    >>> round(fit("model_size", t5["n_params"], t5["cgl"]).params["alpha"], 5)
    0.40215
    """
    law = get_law(law)
    if not 0 < level < 1:
        raise BadInput(f"level is {level}, but a confidence level lies between 0 and 1, e.g. 0.95.")
    if seed_sd is not None and not (np.isfinite(seed_sd) and seed_sd > 0):
        raise BadInput(
            f"seed_sd is {seed_sd}, but a standard deviation must be positive; leave it out if unknown."
        )
    points = read_points(law, x, y, x2, sd=sd, names=names, drop_missing=drop_missing)
    if seed_sd is not None and (sd is not None or replicates is None):
        points = replace(
            points, sd=np.hypot(0.0 if points.sd is None else points.sd, np.full(points.n, seed_sd))
        )
    optima, certificate = solve(points.task())
    seed_noise = (
        None if seed_sd is None else f"seed noise (SD {seed_sd:.2g}, {seed_source or 'source not stated'})"
    )
    spread: Spread
    if replicates is None:
        spread = _from_noise(points, optima, level, seed_noise, stated=sd is not None)
    else:
        Y = _read_replicates(replicates, points, level)
        if seed_sd is not None:
            Y = Y + np.random.default_rng(seed).normal(0.0, seed_sd, size=Y.shape)
        draws = solve_draws(points.task(Y), optima).rescaled(points.scale)
        spread = Draws(points, Y, draws, level, _covers_draws(len(Y), n_queries, seed_noise))
    best = optima.rescaled(points.scale)
    return _result(points, best, certificate.rescaled(points.unit), spread, level, n_negatives)


def _read_replicates(replicates: npt.ArrayLike, points: Points, level: float) -> Array:
    """Check the resampled values and give them a draw per row, [draws, n]."""
    try:
        values = np.asarray(replicates, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(
            "replicates holds something that is not a number; give a matrix [points, draws]."
        ) from None
    given = points.n + len(points.dropped)
    if values.ndim != 2 or len(values) != given:
        raise BadInput(
            f"replicates has shape {values.shape}, but there are {given} points: give a row per point and "
            "a column per draw."
        )
    fewest = int(np.ceil(2 / (1 - level)))
    if values.shape[1] < fewest:
        raise BadInput(
            f"replicates has {values.shape[1]} draws; intervals at {level:.0%} need {fewest} or more."
        )
    values = values[points.rows - 1]
    if not np.isfinite(values).all():
        row, draw = np.argwhere(~np.isfinite(values))[0]
        raise BadInput(
            f"Row {points.rows[row]}: replicates holds no number in draw {draw + 1}; resample again."
        )
    return values.T


def _from_noise(
    points: Points, optima: Solutions, level: float, seed_noise: str | None, *, stated: bool
) -> Spread:
    """Choose the source of intervals where there are no replicates: stated noise, residuals, or nothing."""
    if points.sd is None and points.dof <= 0:
        return NoSpread("No intervals: no degree of freedom is left to judge the scatter by.")
    if optima.sign[0] == 0 and len(points.law.nonlinear) > 1:
        return NoSpread("No intervals: the law has no falling part in these data.", flat=True)
    covers = _covers_noise(points, level, seed_noise, stated)
    least = float(optima.objective[0])
    quantile = _quantile(level, None if points.sd is not None else points.dof)
    noise = 1.0 if points.sd is not None else least / points.dof
    # sums of squares carry rounding: a perfect fit has intervals of that width, not none
    task = points.task()
    threshold = least + max(noise * quantile**2, ROUNDING * float(task.w.sum() * np.var(task.Y)))
    if len(points.law.nonlinear) <= 1:
        return Region(points, optima, threshold, level, covers)
    return Profiles(points, optima, threshold, noise, quantile, level, covers)


def _quantile(level: float, dof: int | None) -> float:
    """Give the two-sided quantile of Student's t, or of the normal distribution for known noise."""
    from scipy import special  # slow to import, and not needed with replicates

    tail = (1 + level) / 2
    return float(special.ndtri(tail) if dof is None else special.stdtrit(dof, tail))


def _covers_draws(n_draws: int, n_queries: int | None, seed_noise: str | None) -> str:
    of = "" if n_queries is None else f" of {n_queries:,} queries"
    queries = f"({n_draws:,} joint resamplings{of})"
    if seed_noise is None:
        return f"The intervals cover query sampling only {queries}: seed noise is not included."
    return f"The intervals cover query sampling {queries} and {seed_noise}."


def _covers_noise(points: Points, level: float, seed_noise: str | None, stated: bool) -> str:
    if points.sd is None:
        freedom = "1 degree" if points.dof == 1 else f"{points.dof} degrees"
        return (
            f"The intervals cover the scatter of the points about the law (profile, F with {freedom} of "
            "freedom), taking the points as independent; errors that points share are not included."
        )
    sources = [
        s for s in ("the stated standard deviation of the points" if stated else None, seed_noise) if s
    ]
    told = (
        f"The intervals cover {' and '.join(sources)} (profile, chi-square), taking the points as independent"
    )
    return told + ("." if stated else "; query sampling is not included.")


def _result(
    points: Points,
    best: Solutions,
    certificate: Certificate,
    spread: Spread,
    level: float,
    n_negatives: int | None,
) -> Fit:
    params = {name: float(value[0]) for name, value in best.parameters(points.centres).items()}
    fitted = best.predict(*points.centred(points.x, points.x2))[0]
    residuals = points.y - fitted
    sse, total = float(residuals @ residuals), float(((points.y - points.y.mean()) ** 2).sum())
    tested = points.dof > 0 and total > 0
    R2 = 1 - sse / total if tested else float("nan")
    intervals = spread.intervals()
    if not tested:
        intervals.pop("R2", None)
    derived = {"centre": float(np.exp(points.centres[0]))}
    if len(points.centres) > 1:
        derived["centre_2"] = float(np.exp(points.centres[1]))
    if points.law.nonlinear:
        derived[AMPLITUDE] = float(best.amplitude[0])
    facts = Facts(points, best, params, intervals, fitted, spread.flat, n_negatives)
    return Fit(
        law=points.law,
        points=points,
        params={name: params[name] for name in points.law.names},
        derived=derived,
        R2=0.0 if abs(R2) < ROUNDING else R2,
        sse=sse,
        rmse=float(np.sqrt(sse / points.n)),
        intervals=intervals,
        level=level,
        covers=spread.covers,
        notes=judge(facts),
        certificate=certificate,
        best=best,
        spread=spread,
    )
