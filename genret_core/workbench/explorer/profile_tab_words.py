"""What a profile says, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genret_core.scaling.wording import number

if TYPE_CHECKING:
    from genret_core.scaling import Fit, Parameter
    from genret_core.scaling.intervals.maps import ProfileCurve

WORDS = {"exponent": "exponent", "floor": "floor", "shape": "shape", "scale": "scale"}


def profiled(f: Fit) -> list[tuple[Parameter, str]]:
    """Give the parameters that a fit has a profile of, and what they are called."""
    unknowns = {unknown.name for unknown in f.law.nonlinear}
    return [
        (p, WORDS.get(p.role, p.role))
        for p in f.law.parameters
        if p.name in unknowns or (p.role == "floor" and f.law.floor != "none")
    ]


def curve_told(f: Fit, curve: ProfileCurve) -> str:
    """Say where the 95 % interval ends, and where the profile is flat: any value fits."""
    p = next(p for p in f.law.parameters if p.name == curve.name)
    low, high = (bool(curve.excess[i] > curve.threshold95) for i in (0, -1))
    inside = curve.values[curve.excess <= curve.threshold95]
    ends = (number(float(inside.min())), number(float(inside.max()))) if len(inside) else ("", "")
    best = f"The points are fitted best at {p.symbol} = {number(curve.best)}"
    if not low and not high:
        return f"{best}, but the profile is flat: any value fits, so that {p.symbol} is not identified."
    if low and high:
        interval = f.interval(p.name, 0.95)
        if interval is not None and interval.lo is not None and interval.hi is not None:
            ends = number(interval.lo), number(interval.hi)
        return f"{best}; values from {ends[0]} to {ends[1]} fit within the 95 % line."
    side, end = ("below", ends[1]) if high else ("above", ends[0])
    return f"{best}, but the profile is flat on one side: any value {side} {end} fits."


def spread(values: np.ndarray) -> float:
    """Give the largest over the smallest of positive values, infinite where one is not positive."""
    low, high = float(np.min(values)), float(np.max(values))
    return high / low if low > 0 else float("inf")
