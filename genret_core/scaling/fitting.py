"""`fit`: points and a law in, the fit with intervals and verdicts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.intervals import ROUNDING, Noise, NoSpread, Spread
from genret_core.scaling.intervals import bootstrap as resamples
from genret_core.scaling.intervals.draws import Draws
from genret_core.scaling.intervals.profile import Profiles
from genret_core.scaling.intervals.region import Region
from genret_core.scaling.laws.law import Array, Law, get_law
from genret_core.scaling.points import Points, read_points
from genret_core.scaling.results import Fit
from genret_core.scaling.solver.objective import DELTA, Objective
from genret_core.scaling.solver.resampled import solve_draws
from genret_core.scaling.solver.search import solve
from genret_core.scaling.solver.solutions import Solutions


def fit(
    law: str | Law,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x2: npt.ArrayLike | None = None,
    *,
    sd: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    trials: npt.ArrayLike | None = None,
    objective: str = "ols",
    delta: float = DELTA,
    replicates: npt.ArrayLike | None = None,
    bootstrap: int | None = None,
    seed_sd: float | None = None,
    seed_source: str | None = None,
    level: float = 0.95,
    names: Mapping[str, str] | None = None,
    rows: Sequence[int] | None = None,
    chance: float | None = None,
    n_negatives: int | None = None,
    n_queries: int | None = None,
    bounds: tuple[float, float] | None = None,
    seed: int = 0,
    drop_bad: bool = False,
    intervals: bool = True,
) -> Fit:
    """Fit a law and say how sure it is.

    Parameters
    ----------
    law : str or Law
        `model_size` (Eq. 6), `data_size` (Eq. 7), `inference` (Eq. 12), `joint` (Eq. 8), `joint_exchanged`,
        `surface`, a rival (`constant`, `log_linear`, `power`, `exponential`, `broken`), or one that you
        registered.
    x, y : array [n]
        Argument (P, D or C; positive) and value (CGL or a miss rate).
    x2 : array [n], optional
        Second argument of a law of two. Mind the order: these take P, then D.
    sd : float or array [n], optional
        Known standard deviation of y: weights of the fit, and the noise of its intervals.
    weights : array [n], optional
        Relative weights of the squared residuals (or losses); the noise is judged by the residuals.
    trials : int or array [n], optional
        Number of queries behind each rate y: its binomial standard deviation is known noise.
    objective : {"ols", "relative", "huber", "lad", "logit"}
        What is minimised: see `solver.objective.Objective`.
    delta : float
        Of the Huber loss on log residuals.
    replicates : array [n, draws], optional
        y recomputed on resampled queries, one resampling (column) shared by all points. The law is refitted
        to each column.
    bootstrap : int, optional
        Resamples of the points (pairs bootstrap) behind the intervals. Default: 2,000 from 20 points on, and
        for the objectives `huber`, `lad` and `logit`; else, and with 0, profiles (which these objectives do
        not have).
    seed_sd : float, optional
        Standard deviation of y between training seeds, added to every replicate; without replicates it is
        known noise, added to `sd`.
    seed_source : str, optional
        Where `seed_sd` is from, told in `Fit.covers`.
    level : float
        Confidence level of `Fit.intervals` and of the printed table.
    names : mapping, optional
        What `x`, `y` and `x2` are called in sentences; default the law's symbols.
    rows : sequence of int, optional
        Row numbers that verdicts and complaints name; default 1, 2, …
    chance, n_negatives : float, int, optional
        y of a model that knows nothing, or the N of the CGL (chance is ln(1 + 1/N)): points near it are told.
    n_queries : int, optional
        Number of queries that were resampled, told in `Fit.covers`.
    bounds : (low, high), optional
        Range of y, in place of the law's own; predictions are clipped to it.
    seed : int
        Of the bootstrap, and of the seed noise that is added to replicates.
    drop_bad : bool
        Leave out rows that cannot be used (and say so) instead of refusing them.
    intervals : bool
        False leaves the intervals out.

    Returns
    -------
    Fit
        With intervals from the replicates; else from the known noise (profile, chi-square); else from
        resamples of the points, or from the residuals (profile, F), both of which take the points as
        independent; else none, without a degree of freedom.

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
    if bounds is not None:
        law = replace(law, bounds=_ordered(bounds))
    _check_options(level, seed_sd)
    goal = Objective(objective, delta)
    points = read_points(
        law,
        x,
        y,
        x2,
        sd=sd,
        weights=weights,
        trials=trials,
        objective=goal,
        names=names,
        rows=rows,
        drop_bad=drop_bad,
    )
    if seed_sd is not None and replicates is None:
        if not goal.projects or weights is not None or objective == "relative":
            raise BadInput("seed_sd is known noise, the weight of ordinary least squares; choose ols.")
        points = replace(
            points, sd=np.hypot(0.0 if points.sd is None else points.sd, np.full(points.n, seed_sd))
        )
    optima, certificate = solve(points.task(), goal)
    seed_noise = (
        None if seed_sd is None else f"seed noise (SD {seed_sd:.2g}, {seed_source or 'source not stated'})"
    )
    stated = [("the stated standard deviation of the points", sd), ("the sampling of queries", trials)]
    sources = [told for told, value in stated if value is not None]
    spread: Spread
    if not intervals:
        spread = NoSpread("No intervals: none were asked for.")
    elif replicates is not None:
        Y = _read_replicates(replicates, points, level)
        if seed_sd is not None:
            Y = Y + np.random.default_rng(seed).normal(0.0, seed_sd, size=Y.shape)
        draws = solve_draws(points.task(Y), optima, goal).rescaled(points.scale)
        spread = Draws(points, Y, draws, level, _covers_draws(len(Y), n_queries, seed_noise))
    elif bootstrap or (bootstrap is None and _resampled(points)):
        spread = _bootstrapped(points, optima, bootstrap or resamples.DRAWS, seed, level)
    elif not goal.projects:
        spread = NoSpread(f"No intervals: the objective {goal.name} has no profile; ask for a bootstrap.")
    else:
        spread = _from_noise(points, optima, level, [*sources, *([seed_noise] if seed_noise else [])])
    return Fit(
        law=law,
        points=points,
        level=level,
        certificate=certificate.rescaled(points.unit),
        optima=optima,
        spread=spread,
        chance=_chance_level(chance, n_negatives),
        seed=seed,
    )


def _chance_level(chance: float | None, n_negatives: int | None) -> float | None:
    """Give y of a model that knows nothing: as stated, or ln(1 + 1/N) of a CGL with N negatives.

    Raises
    ------
    BadInput
        If both are given, or either is not positive.
    """
    if chance is not None and n_negatives is not None:
        raise BadInput("Give either the chance level or the number of negatives.", code="bad_option")
    for name, value in (("chance", chance), ("n_negatives", n_negatives)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise BadInput(f"{name} is {value}, but it must be positive.", code="bad_option")
    return float(np.log1p(1 / n_negatives)) if n_negatives is not None else chance


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(end) for end in bounds)
    if not low < high:
        raise BadInput(f"bounds are {low:g} and {high:g}; give the lower one first.", code="bad_option")
    return low, high


def _check_options(level: float, seed_sd: float | None) -> None:
    if not 0 < level < 1:
        raise BadInput(
            f"level is {level}, but a confidence level lies between 0 and 1, e.g. 0.95.", code="bad_option"
        )
    if seed_sd is not None and not (np.isfinite(seed_sd) and seed_sd > 0):
        raise BadInput(
            f"seed_sd is {seed_sd}, but a standard deviation must be positive; leave it out if unknown.",
            code="bad_option",
        )


def _resampled(points: Points) -> bool:
    """Whether points are resampled without being asked to: many of them, or a loss without a profile."""
    if points.sd is not None or points.dof <= 0:
        return False
    return points.n >= resamples.FROM or not points.objective.projects


def _bootstrapped(points: Points, optima: Solutions, draws: int, seed: int, level: float) -> Draws:
    counts, redrawn = resamples.draw_counts(points, draws, seed)
    found = solve_draws(points.task(W=counts), optima, points.objective).rescaled(points.scale)
    again = f"; {redrawn:.0%} of the resamples could not hold the law and were drawn again" if redrawn else ""
    covers = (
        f"The intervals cover the scatter of the points about the law (pairs bootstrap, {draws:,} resamples"
        f"{again}), taking the points as independent; errors that points share are not included."
    )
    return Draws(points, points.y[None], found, level, covers, "pairs bootstrap", counts)


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
    values = values[points.taken]
    if not np.isfinite(values).all():
        row, draw = np.argwhere(~np.isfinite(values))[0]
        raise BadInput(
            f"Row {points.rows[row]}: replicates holds no number in draw {draw + 1}; resample again."
        )
    return values.T


def _from_noise(points: Points, optima: Solutions, level: float, sources: Sequence[str]) -> Spread:
    """Choose the source of intervals where there are no draws: stated noise, residuals, or nothing."""
    if points.sd is None and points.dof <= 0:
        return NoSpread("No intervals: no degree of freedom is left to judge the scatter by.")
    if optima.sign[0] == 0 and len(points.law.nonlinear) > 1:
        return NoSpread("No intervals: the law has no falling part in these data.", flat=True)
    task, least = points.task(), float(optima.objective[0])
    known = points.sd is not None
    noise = Noise(
        least,
        1.0 if known else least / points.dof,
        None if known else points.dof,
        ROUNDING * float(task.w.sum() * np.var(task.Y)),
    )
    law, covers = points.law, _covers_noise(points, sources)
    if len(law.nonlinear) <= 1:
        return Region(points, optima, noise, level, covers)
    return Profiles(points, optima, noise, level, covers)


def _covers_draws(n_draws: int, n_queries: int | None, seed_noise: str | None) -> str:
    of = "" if n_queries is None else f" of {n_queries:,} queries"
    queries = f"({n_draws:,} joint resamplings{of})"
    if seed_noise is None:
        return f"The intervals cover query sampling only {queries}: seed noise is not included."
    return f"The intervals cover query sampling {queries} and {seed_noise}."


def _covers_noise(points: Points, sources: Sequence[str]) -> str:
    if points.sd is None:
        freedom = "1 degree" if points.dof == 1 else f"{points.dof} degrees"
        return (
            f"The intervals cover the scatter of the points about the law (profile, F with {freedom} of "
            "freedom), taking the points as independent; errors that points share are not included."
        )
    told = (
        f"The intervals cover {' and '.join(sources)} (profile, chi-square), taking the points as independent"
    )
    seeds_alone = len(sources) == 1 and sources[0].startswith("seed noise")
    return told + ("; query sampling is not included." if seeds_alone else ".")
