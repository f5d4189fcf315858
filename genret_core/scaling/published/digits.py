"""Printed digits: how much a printed number leaves open, and what another number becomes when so written."""

from __future__ import annotations

from decimal import Decimal


def unit(printed: str) -> float:
    """Give one unit in the last printed digit: 1e-4 of "2.26e-2", 0.01 of "0.40"."""
    return float(Decimal(1).scaleb(_exponent(Decimal(printed))))


def rounded(value: float, like: str) -> float:
    """Round `value` as the number `like` is written.

    A power of ten ("1.24e8") keeps its count of significant digits, a plain number ("0.40") its count of
    decimals.
    """
    pattern, exact = Decimal(like), Decimal(float(value))
    last = _exponent(pattern)
    if "e" in like.lower() and exact:
        last = exact.adjusted() - len(pattern.as_tuple().digits) + 1
    return float(round(exact.scaleb(-last)) * Decimal(1).scaleb(last))


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # a printed coefficient is finite
    return exponent
