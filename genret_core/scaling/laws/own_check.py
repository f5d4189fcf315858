"""Whether a law of one's own is what its declaration says; refusals are one sentence each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array, Nonlinear

if TYPE_CHECKING:
    from genret_core.scaling.laws.own import RawBasis

TAKEN = ("x", "x2", "self", "clip", "centre", "centre_2", "amplitude_at_centre", "R2")  # keys of a fit
TRIED = np.array([0.1, 0.5, 2.0, 10.0, 1e3, 1e6, 1e9])  # at which arguments a function is tried
LINEAR = 1e-9  # relative departure from a straight line that rounding explains
SAMPLES = 256  # of the nonlinear parameters, at which points are checked


def declaration(
    name: str,
    function: Callable[..., npt.ArrayLike],
    parameters: Mapping[str, Any],
    amplitude: str | None,
    floor: str | None,
    exponents: Sequence[str],
    x2: str | None,
    meanings: Mapping[str, str],
) -> None:
    """Refuse names that clash, roles of unknown parameters, and parameters that the function has not."""
    if not name.isidentifier():
        raise _bad(f"The name of a law is one word of letters, digits and _, not {name!r}.")
    if amplitude is None:
        raise _bad(
            f"The law {name} has no amplitude; name the parameter that multiplies the term that moves "
            "(write A * g(x) where there is none)."
        )
    if amplitude == floor:
        raise _bad(f"The law {name} has {amplitude} as its amplitude and as its floor; name two parameters.")
    for role, names in (
        ("amplitude", [amplitude]),
        ("floor", [floor] if floor is not None else []),
        ("exponents", exponents),
        ("meanings", meanings),
    ):
        for key in names:
            if key not in parameters:
                there = ", ".join(parameters)
                raise _bad(f"{role} names {key}, but the parameters of the law {name} are {there}.")
    for key in exponents:
        if key in (amplitude, floor):
            raise _bad(f"{key} of the law {name} is linear, so it is no exponent; leave it out of exponents.")
    for key in parameters:
        if key in TAKEN or not key.isidentifier():
            raise _bad(f"A parameter cannot be called {key!r}; choose another word of letters, digits and _.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a compiled function does not tell: trying it will
        return
    positional = ["x"] if x2 is None else ["x", "x2"]
    try:
        signature.bind(*positional, **dict.fromkeys(parameters))
    except TypeError as error:
        wanted = ", ".join((*positional, *parameters))
        raise _bad(f"The function of the law {name} does not take ({wanted}): {error}.") from None


def ranges(
    parameters: Mapping[str, Any], amplitude: str, floor: str | None
) -> dict[str, tuple[float, float]]:
    """Read the ranges of the nonlinear parameters, and refuse what is none."""
    found = {}
    for key, value in parameters.items():
        if key in (amplitude, floor):
            if not (value is ... or value is None or value in ("positive", "free")):
                raise _bad(
                    f'{key} is linear and needs no range; give ..., "positive" or "free", not {value!r}.'
                )
            continue
        try:
            low, high = (float(end) for end in value)
        except (TypeError, ValueError):
            raise _bad(f"{key} is searched: give its range (low, high), not {value!r}.") from None
        if not (np.isfinite([low, high]).all() and low < high):
            raise _bad(
                f"The range of {key} is ({low:g}, {high:g}); give two finite numbers, the lower first."
            )
        found[key] = (low, high)
    return found


def behaviour(name: str, basis: RawBasis, unknowns: tuple[Nonlinear, ...], n_arguments: int) -> None:
    """Refuse a function that cannot take arrays, or is not L + A g(x; theta).

    Amplitudes are tried that make both terms of a size, so that neither hides what the other does.
    """
    theta = sampled(unknowns, 8)
    arguments = [TRIED, np.roll(TRIED, 2)][:n_arguments]
    try:
        g = basis.term(arguments, theta)
    except Exception as error:  # whatever a user's function may raise
        raise _bad(
            f"The function of the law {name} cannot be called with arrays ({type(error).__name__}: {error}); "
            "write it with numpy operations, so that x [n] and parameters [m, 1] give [m, n]."
        ) from error
    usable = np.isfinite(g) & (np.abs(g) > 1e-290) & (np.abs(g) < 1e290)
    if not usable.any():
        raise _bad(f"The function of the law {name} gives no number other than 0 anywhere in its ranges.")
    A = 2.5 / np.where(usable, np.abs(g), 1.0)
    for factor, L in ((1.0, 0.75), (3.0, 0.75), (1.0, 4.0)):
        values: dict[str, Any] = {key: theta[:, j : j + 1] for j, key in enumerate(basis.nonlinear)}
        values[basis.amplitude] = factor * A
        expected = factor * A * g
        if basis.floor is not None:
            values[basis.floor], expected = L, expected + L
        with np.errstate(all="ignore"):
            got = np.asarray(basis.function(*arguments, **values), dtype=np.float64)
        off = ~(np.abs(got - expected) <= LINEAR * (np.abs(expected) + L)) & usable
        if off.any():
            of = basis.amplitude if basis.floor is None else f"{basis.amplitude} and {basis.floor}"
            shape = f"{basis.amplitude} g(x)" + ("" if basis.floor is None else f" + {basis.floor}")
            raise _bad(
                f"The function of the law {name} is not linear in {of}; it must have the form {shape}, with "
                "g free of both."
            )


def points(
    name: str,
    basis: RawBasis,
    unknowns: tuple[Nonlinear, ...],
    symbols: tuple[str, ...],
    x: Array,
    x2: Array | None,
) -> None:
    """Refuse points at which the law is no finite number somewhere in its ranges.

    Raises
    ------
    BadInput
        Naming the argument, and the values of the parameters.
    """
    theta = sampled(unknowns, SAMPLES)
    arguments = [x] if x2 is None else [x, x2]
    bad = np.argwhere(~np.isfinite(basis.term(arguments, theta)))
    if len(bad):
        row, point = bad[0]
        at = " and ".join(f"{s} = {a[point]:g}" for s, a in zip(symbols, arguments, strict=True))
        values = ", ".join(
            f"{key} = {value:g}" for key, value in zip(basis.nonlinear, theta[row], strict=True)
        )
        where = f"{at} with {values}" if values else at
        advice = "narrow the range, or leave that point out" if values else "leave that point out"
        raise BadInput(f"The law {name} is not a finite number at {where}; {advice}.", code="bad_rows")


def sampled(unknowns: tuple[Nonlinear, ...], n: int) -> Array:
    """Spread values over the ranges, corners first; [m, k]."""
    k = len(unknowns)
    if k == 0:
        return np.empty((1, 0))
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * min(k, 6), indexing="ij"), axis=-1).reshape(-1, min(k, 6))
    corners = np.concatenate([corners, np.full((len(corners), k - corners.shape[1]), 0.5)], axis=1)
    # multiples of the square roots of primes fill a cube evenly (Kronecker)
    roots = np.sqrt([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37])
    inner = (0.5 + np.arange(1, n + 1)[:, None] * roots[np.arange(k) % len(roots)]) % 1
    unit = np.concatenate([corners, inner])
    low = np.array([float(u.to_t(u.low)) for u in unknowns])
    high = np.array([float(u.to_t(u.high)) for u in unknowns])
    t = low + unit * (high - low)
    return np.stack([u.from_t(t[:, j]) for j, u in enumerate(unknowns)], axis=-1)


def _bad(sentence: str) -> BadInput:
    return BadInput(sentence, code="bad_law")
