"""Bases of the laws on centred log arguments, with their derivatives by the nonlinear parameters."""

from __future__ import annotations

import numpy as np

from genret_core.scaling.laws.law import Array, scaled

# The functions below share the signatures of `Law.basis` and `Law.gradient` (u, v, theta); theta is an array
# over fits: a thousand draws are one call. A positive basis is exp(log basis), so that its derivative is the
# basis times the derivative of its logarithm.


def power_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give exp(-alpha u), for theta = (alpha)."""
    return scaled(-theta[..., :1] * u)


def power_gradient(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array, Array]:
    """Give `power_basis` and its derivative."""
    phi, log_scale = power_basis(u, v, theta)
    return phi, log_scale, (-u * phi)[..., None, :]


def joint_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give (w exp(-(alpha / beta) u) + (1 - w) exp(-v))^beta, for theta = (alpha, beta, logit w).

    The share w of the first term at the centre replaces gamma and eta, which are hardly identified.
    """
    first, second = _joint_terms(u, v, theta)
    return scaled(theta[..., 1:2] * np.logaddexp(first, second))


def joint_gradient(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array, Array]:
    """Give `joint_basis` and its derivative."""
    alpha, beta = theta[..., 0:1], theta[..., 1:2]
    first, second = _joint_terms(u, v, theta)
    total = np.logaddexp(first, second)
    phi, log_scale = scaled(beta * total)
    of_first, of_second = np.exp(first - total), np.exp(second - total)
    w, rest = np.exp(log_share(theta[..., 2:3])), np.exp(log_share(-theta[..., 2:3]))
    by_balance = beta * (of_first * rest - of_second * w)
    by_theta = np.stack([-u * of_first, total + of_first * (alpha / beta) * u, by_balance], axis=-2)
    return phi, log_scale, by_theta * phi[..., None, :]


def exchanged_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give `joint_basis` with its two arguments exchanged."""
    assert v is not None  # a law of two arguments is never given one (points.read_points)
    return joint_basis(v, u, theta)


def exchanged_gradient(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array, Array]:
    """Give `exchanged_basis` and its derivative."""
    assert v is not None
    return joint_gradient(v, u, theta)


def _joint_terms(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give the logarithms of the two terms in the bracket of Eq. 8."""
    assert v is not None
    alpha, beta, balance = theta[..., 0:1], theta[..., 1:2], theta[..., 2:3]
    return log_share(balance) - alpha / beta * u, log_share(-balance) - v


def surface_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give w exp(-alpha u) + (1 - w) exp(-beta v), for theta = (alpha, beta, logit w)."""
    return scaled(np.logaddexp(*_surface_terms(u, v, theta)))


def surface_gradient(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array, Array]:
    """Give `surface_basis` and its derivative."""
    assert v is not None
    first, second = _surface_terms(u, v, theta)
    phi, log_scale = scaled(np.logaddexp(first, second))
    of_first, of_second = np.exp(first - log_scale[..., None]), np.exp(second - log_scale[..., None])
    w, rest = np.exp(log_share(theta[..., 2:3])), np.exp(log_share(-theta[..., 2:3]))
    by_theta = np.stack([-u * of_first, -v * of_second, of_first * rest - of_second * w], axis=-2)
    return phi, log_scale, by_theta


def _surface_terms(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    assert v is not None
    alpha, beta, balance = theta[..., 0:1], theta[..., 1:2], theta[..., 2:3]
    return log_share(balance) - alpha * u, log_share(-balance) - beta * v


def log_share(balance: Array) -> Array:
    """Give ln w from logit w (ln (1 - w) from its negative), with all digits at both ends; NaN stays NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(-np.logaddexp(0.0, -balance))


def exponential_basis(
    u: Array, v: Array | None, theta: Array, *, log_centre: float = 0.0
) -> tuple[Array, Array]:
    """Give exp(-(x - centre) / tau), for theta = (tau)."""
    return scaled(-np.exp(log_centre) / theta[..., :1] * np.expm1(u))


def exponential_gradient(
    u: Array, v: Array | None, theta: Array, *, log_centre: float = 0.0
) -> tuple[Array, Array, Array]:
    """Give `exponential_basis` and its derivative."""
    phi, log_scale = exponential_basis(u, v, theta, log_centre=log_centre)
    tau = theta[..., :1]
    return phi, log_scale, (np.exp(log_centre) / tau**2 * np.expm1(u) * phi)[..., None, :]


def broken_basis(u: Array, v: Array | None, theta: Array, *, log_centre: float = 0.0) -> tuple[Array, Array]:
    """Give x^-c0 (1 + (x / d1)^(1 / f1))^(-c1 f1), 1 at the centre, for theta = (c0, c1, d1, f1)."""
    c0, c1, d1, f1 = (theta[..., j : j + 1] for j in range(4))
    from_break = log_centre - np.log(d1)
    bend = np.logaddexp(0.0, (from_break + u) / f1) - np.logaddexp(0.0, from_break / f1)
    return scaled(-c0 * u - c1 * f1 * bend)


def broken_gradient(
    u: Array, v: Array | None, theta: Array, *, log_centre: float = 0.0
) -> tuple[Array, Array, Array]:
    """Give `broken_basis` and its derivative."""
    c1, d1, f1 = (theta[..., j : j + 1] for j in range(1, 4))
    phi, log_scale = broken_basis(u, v, theta, log_centre=log_centre)
    there, middle = (log_centre - np.log(d1) + u) / f1, (log_centre - np.log(d1)) / f1
    bend = np.logaddexp(0.0, there) - np.logaddexp(0.0, middle)
    past_there, past_middle = np.exp(log_share(there)), np.exp(log_share(middle))
    by_theta = np.stack(
        [
            np.broadcast_to(-u, phi.shape),
            -f1 * bend,
            c1 / d1 * (past_there - past_middle),
            c1 * (past_there * there - past_middle * middle - bend),
        ],
        axis=-2,
    )
    return phi, log_scale, by_theta * phi[..., None, :]


def linear_basis(u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
    """Give -u: the falling straight line in ln x."""
    shape = theta.shape[:-1]
    return np.broadcast_to(-u, (*shape, u.size)), np.zeros(shape)
