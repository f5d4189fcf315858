"""A fit as lmfit has it: its reports, correlations and confidence intervals, on the optimum that `fit` found.

lmfit walks downhill from one start, so it is started beside the optimum: exactly at it MINPACK would divide
by residuals that may be 0. It varies what is well conditioned (the logarithm of the amplitude at the centre,
the nonlinear parameters, the floor); gamma and its like follow as expressions. Residuals are divided by the
span of y, or by its known standard deviation, because the tolerance of MINPACK on the gradient is absolute.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.intervals.interval import Interval, from_ends
from genret_core.scaling.laws import assembly
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.points import Points

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.model import ModelResult

    from genret_core.scaling.results import Fit

DISPLACEMENT = 1e-3  # of the start: of every logarithm, and in spans of y
# lmfit differentiates by steps of 1e-5, which leave slowly curved optima visibly off; these are of 1e-7
PRECISION = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-15, "epsfcn": 1e-14}
LOG_AMPLITUDE, AMPLITUDE = "log_amplitude", "amplitude"
WITHIN = 1e3  # a nonlinear parameter stays within this factor of the optimum
LARGEST_LOG = 700.0  # e to the power of more is not a float


def to_lmfit(f: Fit) -> ModelResult:
    """Fit the points of `f` again with lmfit, from beside its optimum.

    Parameters
    ----------
    f : Fit
        By least squares: `ols` (with known standard deviations or weights) or `relative`.

    Returns
    -------
    lmfit.model.ModelResult
        Of a model in x (and x2, in the law's order), with the parameters

        - `log_amplitude`: of the falling term's height at the centre of the data (`amplitude`, the height
          itself, where it may be negative);
        - the law's nonlinear parameters, within a factor 1,000 and the search range of `fit` (joint laws:
          `balance`, the logit of the first term's share at the centre);
        - the floor under the law's own name, in units of y;
        - the law's other parameters and `amplitude_at_centre`, as expressions of those.

        A parameter at a search edge and a floor at 0 do not vary, and count as known in `nfree`. `chisqr` is
        in squares of the span of y, or of the known standard deviations, which then set the errors
        (`scale_covar` False). Exact repetitions of a row are one row of a larger weight, as in `Fit.dof`.

        Without a degree of freedom or known noise, `errorbars` is False, every `stderr` None and
        `conf_interval` refuses, where lmfit by itself would report errors near 0. The intervals of lmfit know
        nothing of replicates.

    Raises
    ------
    BadInput
        For an objective other than `ols` and `relative`, and for a fit without a falling part.
    """
    from lmfit import Model

    points = f.points
    if points.objective.name not in ("ols", "relative"):
        raise BadInput(
            f"lmfit minimises squared residuals of {points.names['y']}, not the objective "
            f"{points.objective.name}; fit with objective='ols' or 'relative' to hand it to lmfit.",
            code="bad_option",
        )
    if f.law.amplitude != "none" and f.best.sign[0] == 0:
        raise BadInput(
            f"The law {f.law.name} has amplitude 0 in these points, so lmfit has nothing to vary; "
            "fit the law constant.",
            code="bad_option",
        )
    law = points.law.at(points.centres)
    varied = _varied(law)
    rows, weights = _distinct_rows(points)
    arguments = {"x": points.x[rows]} | ({} if points.x2 is None else {"x2": points.x2[rows]})
    model = Model(_curve(law, points, varied), [*arguments], param_names=varied, name=law.name)
    start = _start(f, law, varied)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = model.fit(
            points.y[rows],
            start,
            weights=weights,
            scale_covar=points.sd is None,
            fit_kws=dict(PRECISION),
            **arguments,
        )
    if points.sd is None and min(f.dof, result.nfree) < 1:
        _without_errors(result)
    return result


def lmfit_intervals(f: Fit, level: float = 0.95) -> dict[str, Interval]:
    """Give the intervals of lmfit's `conf_interval`, of every parameter that it varies.

    Parameters
    ----------
    f : Fit
        See `to_lmfit`.
    level : float

    Returns
    -------
    dict of Interval
        Profiles with the F threshold, or that of chi-square where standard deviations are known; an end that
        lmfit does not find is open.

    Raises
    ------
    BadInput
        Without a degree of freedom or known noise, and where fewer than two parameters vary.
    """
    from lmfit import MinimizerException

    result = to_lmfit(f)
    threshold = {} if f.points.sd is None else {"prob_func": _chi_square}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = result.conf_interval(sigmas=[level], **threshold)
    except (MinimizerException, ValueError) as error:
        raise BadInput(
            f"lmfit has no intervals for the law {f.law.name} at these {f.n} points with {f.dof} degrees of "
            f"freedom ({str(error).strip()}); use the intervals of the fit.",
            code="bad_option",
        ) from None
    return {name: from_ends(ends[0][1], ends[-1][1], level) for name, ends in found.items()}


def _chi_square(best: Any, other: Any) -> float:
    """Give the probability of a smaller rise of chi-square, for known noise."""
    from scipy.special import chdtr

    return float(chdtr(best.nvarys - other.nvarys, max(other.chisqr - best.chisqr, 0.0)))


def _varied(law: Law) -> list[str]:
    """Name what lmfit varies: amplitude, nonlinear unknowns, floor."""
    names = [unknown.name for unknown in law.nonlinear]
    if law.amplitude != "none":
        names.insert(0, LOG_AMPLITUDE if law.amplitude == "positive" else AMPLITUDE)
    if law.floor != "none":
        own = law.with_role("floor") or (law.parameters if len(law.parameters) == 1 else ())
        names.append(own[0].name if own else "value_at_centre")
    return names


def _curve(law: Law, points: Points, varied: list[str]) -> Callable[..., Array]:
    """Give the law as a function of x (and x2) and of what is varied, under those names."""
    k = len(law.nonlinear)
    arguments = ["x"] if points.x2 is None else ["x", "x2"]

    def curve(x: npt.ArrayLike, x2: npt.ArrayLike | None = None, **values: float) -> Array:
        given = [values[name] for name in varied]
        floor = given.pop() if law.floor != "none" else 0.0
        amplitude = given.pop(0) if law.amplitude != "none" else 0.0
        u, v = points.centred(np.ravel(x), None if x2 is None else np.ravel(x2))
        if law.amplitude == "none":
            return np.full(np.shape(x), floor)
        phi, log_scale = law.basis(u, v, np.array([given]).reshape(1, k))
        if law.amplitude == "positive":
            height = np.exp(np.clip(amplitude + log_scale[0], -LARGEST_LOG, LARGEST_LOG))
        else:
            height = amplitude * np.exp(log_scale[0])
        return np.asarray((floor + height * phi[0]).reshape(np.shape(x)))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    curve.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # lmfit reads names from it
        [inspect.Parameter(name, kind) for name in (*arguments, *varied)]
    )
    curve.__name__ = law.name
    return curve


def _start(f: Fit, law: Law, varied: list[str]) -> Parameters:
    """Give the parameters, a little off the optimum, and those that follow from them."""
    from lmfit import Parameters

    points, best = f.points, f.best
    symbols, expressions = _expressions(law, points.centres, varied)
    start = Parameters(usersyms=symbols)
    for name in varied:
        if name == LOG_AMPLITUDE:
            start.add(name, float(best.log_amplitude[0]) + DISPLACEMENT)
        elif name == AMPLITUDE:
            start.add(name, float(best.amplitude[0]) + DISPLACEMENT * points.scale)
    for j, unknown in enumerate(law.nonlinear):
        value, edge = float(best.theta[0, j]), int(best.edge[0, j])
        low, high, size = unknown.low, unknown.high, 1.0
        if unknown.scale == "log":  # the sine of a range of many decades has no digits left at its low end
            low, high, size = max(low, value / WITHIN), min(high, value * WITHIN), value
        moved = value if edge else float(np.clip(value + DISPLACEMENT * size, low, high))
        start.add(unknown.name, moved, vary=not edge, min=low, max=high)
    if law.floor != "none":
        value = float(best.floor[0])
        if law.floor == "free":
            start.add(varied[-1], value + DISPLACEMENT * points.scale)
        elif value <= 0:
            start.add(varied[-1], 0.0, vary=False)
        else:
            # between two bounds lmfit walks on a sine of their width; at one alone, in units of 1
            highest = max(float(points.y.max()), value) + points.scale
            start.add(varied[-1], value + DISPLACEMENT * points.scale, min=0.0, max=highest)
    with np.errstate(all="ignore"):
        for name, expression in expressions.items():
            start.add(name, expr=expression)
    return start


def _expressions(
    law: Law, centres: tuple[float, ...], varied: list[str]
) -> tuple[dict[str, Callable[..., float]], dict[str, str]]:
    """Write the parameters that are not varied in terms of those that are; functions that this needs."""
    written = _written(law, centres)
    symbols: dict[str, Callable[..., float]] = {}
    expressions = {}
    for name in law.names:
        if name in varied:
            continue
        if name not in written:
            symbols[f"{name}_of"] = _assembled(law, centres, name)
            written[name] = f"{name}_of({', '.join(varied)})"
        expressions[name] = written[name]
    if law.amplitude == "positive":
        expressions["amplitude_at_centre"] = f"exp({LOG_AMPLITUDE})"
    return symbols, expressions


def _written(law: Law, centres: tuple[float, ...]) -> dict[str, str]:
    """Write scale parameters as expressions, for laws whose way of assembling them is known."""
    assemble = getattr(law.assemble, "func", law.assemble)
    if assemble is assembly.power_parameters:
        return {law.names[0]: f"exp({centres[0]!r} + log_amplitude/{law.names[1]})"}
    first, second = "-log1p(exp(-balance))", "-log1p(exp(balance))"
    if assemble in (assembly.joint_parameters, assembly.exchanged_parameters):
        of_gamma, of_eta = centres if assemble is assembly.joint_parameters else centres[::-1]
        return {
            "gamma": f"exp({of_gamma!r} + (log_amplitude + beta*({first}))/alpha)",
            "eta": f"exp({of_eta!r} + log_amplitude/beta + ({second}))",
        }
    if assemble is assembly.surface_parameters:
        return {
            "A": f"exp(log_amplitude + ({first}) + alpha*{centres[0]!r})",
            "B": f"exp(log_amplitude + ({second}) + beta*{centres[1]!r})",
        }
    if assemble is assembly.linear_parameters:
        return {"a": f"value_at_centre + amplitude*{centres[0]!r}", "b": "amplitude"}
    return {}


def _assembled(law: Law, centres: tuple[float, ...], wanted: str) -> Callable[..., float]:
    """Give a parameter as a function of what is varied, in that order."""

    def parameter(*values: float) -> float:
        given = list(values)
        floor = given.pop() if law.floor != "none" else 0.0
        amplitude = given.pop(0)
        positive = law.amplitude == "positive"
        with np.errstate(all="ignore"):
            found = law.assemble(
                np.array([1.0 if positive else np.sign(amplitude)]),
                np.array([amplitude if positive else np.log(abs(amplitude))]),
                np.array([floor]),
                np.array([given]).reshape(1, len(law.nonlinear)),
                centres,
            )
        return float(found[wanted][0])

    return parameter


def _distinct_rows(points: Points) -> tuple[npt.NDArray[np.intp], Array]:
    """Give the first of every group of exactly equal rows, and the root weight that stands for all of it."""
    whole = np.column_stack([points.design, points.y])
    _, first, group = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    weight = np.bincount(group.ravel(), weights=points.weight)
    order = np.argsort(first)
    return first[order], np.sqrt(weight[order]) / points.scale


def _without_errors(result: ModelResult) -> None:
    """Take away the errors that lmfit makes up where nothing tells the scatter."""
    result.errorbars, result.covar = False, None
    for parameter in result.params.values():
        parameter.stderr = parameter.correl = None
