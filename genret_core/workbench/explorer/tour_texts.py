"""What the guided tours say: two or three sentences a step, every number computed from points and fits."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from genret_core.scaling import Fit, fit, published
from genret_core.scaling.laws import JOINT_EXCHANGED
from genret_core.scaling.laws.law import Nonlinear
from genret_core.scaling.published import PublishedLaw, hold
from genret_core.scaling.published.judging import times
from genret_core.scaling.wording import number, value_text
from genret_core.workbench.figures import style
from genret_core.workbench.tables import significant

if TYPE_CHECKING:
    from genret_core.workbench.explorer.shown import Shown

HELD = 1e-9  # a parameter within this share of a value is held at it


def printed(identifier: str) -> PublishedLaw:
    """Give a law as printed."""
    (law,) = published.find(identifier)
    return law


@lru_cache(maxsize=1)
def noise() -> float:
    """Give a standard deviation between runs: the scatter of the codebook T5 points, which are at chance."""
    rows = published.points(study="model_size", method="codebook", family="t5")
    return float(rows["cgl"].std(ddof=1))


def fitted(shown: Shown) -> Fit:
    """Give the fit of a step; there is one in each."""
    found = shown.fit
    if found is None:
        raise LookupError(f"there is no fit of {shown.state.focus}: {shown.fits[shown.state.focus]}")
    return found


def another(shown: Shown, law: str) -> Fit:
    """Fit another law to the points that are shown."""
    f = fitted(shown)
    return fit(law, f.x, f.y, f.x2, **{**f.options, "chance": None})


@lru_cache(maxsize=4)
def released(identifier: str, law: str) -> Fit:
    """Fit a law to all points behind a printed one."""
    points = published.behind(printed(identifier))
    assert points is not None  # asked only of laws whose points were released
    return fit(law, points.x, points.y, intervals=False)


def R2(f: Fit) -> str:
    """Write R² with as many digits as tell it from 1."""
    return f"{f.R2:.7f}" if f.R2 > 0.9999 else f"{f.R2:.4f}"


def farthest(f: Fit) -> str:
    """Write the largest residual."""
    return significant(float(np.abs(f.residuals).max()), 1)


def as_times(ratio: float) -> str:
    """Write a ratio, however large."""
    return times(ratio) if ratio < 1e6 else significant(ratio)


def exponent(f: Fit) -> str:
    """Write the first exponent of a fit with its interval."""
    p = f.law.with_role("exponent")[0]
    interval = f.intervals.get(p.name)
    if interval is not None and interval.hi is None and interval.lo is not None:
        return f"{p.symbol} above {number(interval.lo)}, without an upper limit"
    return f"{p.symbol} = {value_text(f.params[p.name], interval)}"


# ---- three points are not a law ----------------------------------------------------------------------------


def through_all(shown: Shown) -> str:
    """Say that a curve through every point shows nothing."""
    f, law = fitted(shown), printed("table1:llama")
    return (
        f"The paper reports R² {law.printed_R2} for LLaMA-2, and here the law passes through all {f.n} "
        f"points: no residual is larger than {farthest(f)}. That is no success. {f.n} points and "
        f"{len(f.law.parameters)} parameters leave {f.dof} degrees of freedom, so the curve could not have "
        "missed: R² and every interval are undefined, and the line of verdicts says so."
    )


def another_law(shown: Shown) -> str:
    """Set another law beside it that does as well."""
    f, power = fitted(shown), another(shown, "model_size")
    between = float(np.sqrt(f.x[-2] * f.x[-1]))
    return (
        f"An exponential passes through the same {f.n} points (no residual above {farthest(f)}). Between "
        f"the last two, at P = {style.short(between)}, it says {float(f.predict(between)):.6f}, and the "
        f"power law {float(power.predict(between)):.6f}. Nothing in the points tells which is right."
    )


def with_noise(shown: Shown) -> str:
    """Give the interval that a stated noise leaves."""
    f, sd = fitted(shown), shown.state.sd
    law = printed("table1:llama")
    return (
        f"Intervals need a measure of the noise. Say that a CGL scatters by {significant(sd, 2)} between "
        f"runs, as the codebook points do, which are at chance. Then {exponent(f)}: the printed "
        f"{law.printed['alpha']} is one of many exponents that these points allow. The band shows what "
        "that does to the curve."
    )


def five_points(shown: Shown) -> str:
    """Set five points beside the three."""
    f = fitted(shown)
    span = float(f.x.max() / f.x.min())
    return (
        f"T5 has {f.n} sizes over a factor of {span:.0f}, which leaves {f.dof} degrees of freedom: now "
        f"{exponent(f)}, and R² {R2(f)} is a statement that could have failed. Two more sizes, well apart, "
        "are worth more than any number of digits on three."
    )


# ---- the stalled joint fit ---------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def beta_held(shown_points: tuple[tuple[float, ...], ...]) -> Fit:
    """Fit the exchanged law with β held at its printed value, which is where a solver stalled."""
    x, y, x2 = (np.array(column) for column in shown_points)
    beta = printed("eq8").params["beta"]
    held = Nonlinear("beta", beta * (1 - HELD), beta * (1 + HELD))
    alpha, _, balance = JOINT_EXCHANGED.nonlinear
    law = replace(JOINT_EXCHANGED, name="joint_exchanged_held", nonlinear=(alpha, held, balance))
    return fit(law, x, y, x2, intervals=False)


def _columns(f: Fit) -> tuple[tuple[float, ...], ...]:
    assert f.x2 is not None  # the joint law has two arguments
    return tuple(tuple(float(v) for v in column) for column in (f.x, f.y, f.x2))


def as_printed(shown: Shown) -> str:
    """Put the printed coefficients into the printed equation."""
    f, law = fitted(shown), printed("eq8")
    held = hold(f, law)
    row = int(np.argmax(f.x))
    assert f.x2 is not None
    said = float(law.predict(f.x[row], f.x2[row], as_printed=True))
    return (
        f"Eqs 9-10 give the coefficients of Eq. 8. Put in as printed, they say {said:.2f} for the largest "
        f"model, where {f.y[row]:.5f} was measured. With P and D exchanged the squared error is "
        f"{as_times(held.sse_as_printed / held.sse)} times less (dotted): γ and α belong to the data, and η "
        f"to the model size. The best that Eq. 8 as it stands can do is shown: R² {R2(f)}."
    )


def stalled(shown: Shown) -> str:
    """Hold them against the optimum, and say where they stalled."""
    f, law = fitted(shown), printed("eq8")
    held, at_beta = hold(f, law), beta_held(_columns(f))
    return (
        f"With P and D exchanged the law fits: R² {R2(f)}, at β = {number(f.params['beta'])}. The printed "
        f"coefficients, drawn beside it, have β = {law.printed['beta']} and leave {as_times(held.ratio)} "
        f"times the squared error. With β held there the best R² is {R2(at_beta)}, and {law.printed_R2} "
        "was printed: that is what a solver reports that stalls at this β, far from the optimum."
    )


def two_arms(shown: Shown) -> str:
    """Say what the optimum does not test."""
    f = fitted(shown)
    told = [verdict.message for verdict in shown.verdicts if verdict.code == "no_interaction_tested"]
    llama = released("table1:llama", "model_size")
    return (
        f"{' '.join(told)} The better optimum proves nothing either: its β, {number(f.params['beta'])}, is "
        f"the exponent of the three model sizes alone ({number(llama.params['alpha'])}). One model at "
        "another size and another amount of data would test the law; none is among the released points."
    )


# ---- one point makes the exponent --------------------------------------------------------------------------


def all_five(shown: Shown) -> str:
    """Give the exponent, and where the drop lies."""
    f = fitted(shown)
    order = np.argsort(f.x)
    y = f.y[order]
    first = (y[0] - y[1]) / (y[0] - y[-1])
    return (
        f"R² is {R2(f)} and {exponent(f)}: a steep and certain law, it seems. But {first:.0%} of the whole "
        "drop lies between the first point and the second. What is the exponent read from?"
    )


def without_first(shown: Shown) -> str:
    """Give the exponent without the first point."""
    f = fitted(shown)
    every = released("table2:ngram", "data_size")
    return (
        f"Without the first point β is {number(f.params['beta'])} in place of "
        f"{number(every.params['beta'])}. The other {f.n} points hold {np.ptp(f.y) / np.ptp(every.y):.0%} "
        "of the drop; the exponent was made by the one that is left out. Click the hollow point to take "
        "it back."
    )


def noise_known(shown: Shown) -> str:
    """Hold the residuals against the noise."""
    f, sd = fitted(shown), shown.state.sd
    unknown = fit("data_size", f.x, f.y)
    return (
        f"The residuals have a root mean square of {significant(f.rmse, 2)}, and runs scatter by about "
        f"{significant(sd, 2)}, {float(sd or 0) / f.rmse:.0f} times more. Agreement so much closer than "
        f"the noise cannot measure the noise. With it stated, {exponent(f)}; judged by the residuals it "
        f"was {exponent(unknown)}."
    )


def exponential(shown: Shown) -> str:
    """Set a law beside it that has no exponent."""
    f, power = fitted(shown), another(shown, "data_size")
    return (
        f"An exponential, which has no exponent at all, leaves R² {R2(f)} on the same points, the power "
        f"law {R2(power)}. A law in data may be true; these {f.n} points cannot show it, nor how steep it "
        "is. Points with less data, and repeated runs, would."
    )
