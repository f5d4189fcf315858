"""Bases of the laws on centred log arguments, and the way from the solver's unknowns to the parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genret_core.scaling.laws.law import Array, scaled

# The functions below share the signatures of `Law.basis` (u, v, theta) and of `Law.assemble` (sign,
# log_amplitude, floor, theta, centres); all but u and v are arrays over fits: a thousand draws are one call.


def power_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give exp(-alpha u), for theta = (alpha)."""
    return scaled(-theta[..., :1] * u)


def joint_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give (w exp(-(alpha / beta) u) + (1 - w) exp(-v))^beta, for theta = (alpha, beta, logit w).

    The share w of the first term at the centre replaces gamma and eta, which are hardly identified.
    """
    assert v is not None  # a law of two arguments is never given one (points.read_points)
    alpha, beta, balance = theta[..., 0:1], theta[..., 1:2], theta[..., 2:3]
    first, second = _log_shares(balance)
    return scaled(beta * np.logaddexp(first - alpha / beta * u, second - v))


def _log_shares(balance: Array) -> tuple[Array, Array]:
    """Give ln w and ln (1 - w), from logit w: with all digits at both ends; unknown (NaN) stays unknown."""
    with np.errstate(invalid="ignore"):
        return -np.logaddexp(0.0, -balance), -np.logaddexp(0.0, balance)


def linear_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give -u: the falling straight line in ln x."""
    shape = theta.shape[:-1]
    return np.broadcast_to(-u, (*shape, u.size)), np.zeros(shape)


def power_parameters(
    sign: Array,
    log_amplitude: Array,
    floor: Array,
    theta: Array,
    centres: tuple[float, ...],
    *,
    names: Sequence[str],
) -> dict[str, Array]:
    """Give the scale gamma from amplitude = (gamma / centre)^alpha, the exponent and the floor."""
    alpha = theta[..., 0]
    with np.errstate(over="ignore"):
        values = (np.exp(centres[0] + log_amplitude / alpha), alpha, floor)
    return dict(zip(names, values, strict=False))  # a law without a floor has two names


def joint_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: tuple[float, ...]
) -> dict[str, Array]:
    """Give gamma and eta of Eq. 8 from the amplitude and the share of the first term at the centre."""
    alpha, beta = theta[..., 0], theta[..., 1]
    first, second = _log_shares(theta[..., 2])
    with np.errstate(over="ignore"):
        gamma = np.exp(centres[0] + (log_amplitude + beta * first) / alpha)
        eta = np.exp(centres[1] + log_amplitude / beta + second)
    return {"gamma": gamma, "alpha": alpha, "beta": beta, "eta": eta, "delta": floor}


def linear_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: tuple[float, ...]
) -> dict[str, Array]:
    """Give the value at x = 1 and the fall for each factor e of x."""
    slope = sign * np.exp(log_amplitude)
    return {"a": floor + slope * centres[0], "b": slope}


def constant_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: tuple[float, ...]
) -> dict[str, Array]:
    """Give the level."""
    return {"level": floor}
