"""What is said of printed coefficients that were held against points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from genret_core.scaling.verdicts import Verdict

if TYPE_CHECKING:
    from genret_core.scaling.published.held import Held

BETTER = (
    0.05  # better_than_published: the fit's squared error is lower by more than this share of the printed
)
WORSE = 1e-6  # worse_than_published: the printed one is lower than the fit's by more than this share
SWAPPED = 10.0  # swapped_arguments: exchanged, the squared error is lower by this factor or more
NOTHING = 1e-24  # of the spread of y: squared errors below it are rounding of the machine

DIGITS = 10  # of a floor, to be worth quoting: the falling term is a small difference from it
MOSTLY = 0.5  # rounding that explains more than this share of the excess is worth a word of advice


def judge(held: Held) -> tuple[Verdict, ...]:
    """Write every verdict that applies, the gravest first."""
    return tuple(verdict for check in (_swapped, _better, _worse) for verdict in check(held))


def _swapped(held: Held) -> Iterator[Verdict]:
    if not held.swapped or held.sse_exchanged is None:
        return
    factor = held.sse_as_printed / max(held.sse_exchanged, held.nothing)
    yield Verdict(
        "swapped_arguments",
        f"The coefficients of {held.law.where} leave {times(factor)} times less squared error with "
        f"{held.arguments} exchanged than in the equation as printed: they belong to the other order.",
        help="The law fitted here has them in that order."
        if held.fit.law.name == "joint_exchanged"
        else "Fit the law joint_exchanged, or exchange the two columns.",
        factor=factor,
    )


def _better(held: Held) -> Iterator[Verdict]:
    if not (held.sse_fit < (1 - BETTER) * held.sse and held.sse > held.nothing):
        return
    perfect = math.isinf(held.ratio)
    rest = f"this fit leaves {held.sse_fit:.3g}, {times(held.ratio)} times less"
    yield Verdict(
        "better_than_published",
        f"The coefficients printed in {held.law.where} leave a squared error of {held.sse:.3g} on these "
        f"points, and {'this fit passes through every point' if perfect else rest}; "
        f"{_explains(held.rounding_share)}.",
        help=f"Quote {DIGITS} digits of a floor or more." if held.rounding_share > MOSTLY else "",
        factor=None if perfect else held.ratio,
    )


def _worse(held: Held) -> Iterator[Verdict]:
    if not held.sse < (1 - WORSE) * held.sse_fit - held.nothing:
        return
    factor = held.sse_fit / max(held.sse, held.nothing)
    yield Verdict(
        "worse_than_published",
        f"The coefficients printed in {held.law.where} leave {times(factor)} times less squared error on "
        "these points than this fit: it was held back by bounds, by another objective or weights, by rows "
        "that it did not see, or by another law.",
        help="Fit all rows by plain least squares, without bounds.",
        factor=factor,
    )


def times(factor: float) -> str:
    """Write a factor with three digits: 1.07, 28.1, 10,900, 2.92e+10."""
    return f"{float(f'{factor:.3g}'):,.0f}" if 100 <= factor < 1e9 else f"{factor:.3g}"


def _explains(share: float) -> str:
    if share > 0.99:
        return "the rounding of the printed digits explains it"
    if share < 0.01:
        return "the rounding of the printed digits explains less than 1 % of the difference"
    return f"the rounding of the printed digits explains {share:.0%} of the difference"
