"""From the solver's unknowns to the parameters as the equations name them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genret_core.scaling.laws.bases import log_share
from genret_core.scaling.laws.law import Array

Centres = tuple[float, ...]

# The functions below share the signature of `Law.assemble` (sign, log_amplitude, floor, theta, centres): all
# but the centres, the mean logarithms of x (and x2), are arrays over fits. The amplitude is the centre's.


def power_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres, *, names: Sequence[str]
) -> dict[str, Array]:
    """Give the scale gamma from amplitude = (gamma / centre)^alpha, the exponent and the floor."""
    alpha = theta[..., 0]
    with np.errstate(over="ignore"):
        values = (np.exp(centres[0] + log_amplitude / alpha), alpha, floor)
    return dict(zip(names, values, strict=False))  # a law without a floor has two names


def joint_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres
) -> dict[str, Array]:
    """Give gamma and eta of Eq. 8 from the amplitude and the share of the first term at the centre."""
    alpha, beta, balance = theta[..., 0], theta[..., 1], theta[..., 2]
    with np.errstate(over="ignore"):
        gamma = np.exp(centres[0] + (log_amplitude + beta * log_share(balance)) / alpha)
        eta = np.exp(centres[1] + log_amplitude / beta + log_share(-balance))
    return {"gamma": gamma, "alpha": alpha, "beta": beta, "eta": eta, "delta": floor}


def exchanged_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres
) -> dict[str, Array]:
    """Give the same where gamma belongs to the second argument and eta to the first."""
    return joint_parameters(sign, log_amplitude, floor, theta, centres[::-1])


def surface_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres
) -> dict[str, Array]:
    """Give E, A and B from the amplitude and the share of the first term at the centre."""
    alpha, beta, balance = theta[..., 0], theta[..., 1], theta[..., 2]
    with np.errstate(over="ignore"):
        A = np.exp(log_amplitude + log_share(balance) + alpha * centres[0])
        B = np.exp(log_amplitude + log_share(-balance) + beta * centres[1])
    return {"E": floor, "A": A, "B": B, "alpha": alpha, "beta": beta}


def exponential_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres, *, placed: bool
) -> dict[str, Array]:
    """Give the term at x = 0 and tau; unless the law is `placed` (`Law.at`), theta is tau over the centre."""
    tau = theta[..., 0] if placed else theta[..., 0] * np.exp(centres[0])
    with np.errstate(over="ignore"):
        A = np.exp(log_amplitude + np.exp(centres[0]) / tau)
    return {"A": A, "tau": tau, "L": floor}


def broken_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres, *, placed: bool
) -> dict[str, Array]:
    """Give A of the first branch, A x^-c0, and the rest; unless `placed`, theta holds d1 over the centre."""
    c0, c1, d1, f1 = (theta[..., j] for j in range(4))
    d1 = d1 if placed else d1 * np.exp(centres[0])
    with np.errstate(over="ignore", invalid="ignore"):  # NaN, unknown, stays NaN
        bend = np.logaddexp(0.0, (centres[0] - np.log(d1)) / f1)
        A = np.exp(log_amplitude + c0 * centres[0] + c1 * f1 * bend)
    return {"A": A, "c0": c0, "c1": c1, "d1": d1, "f1": f1, "L": floor}


def linear_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres
) -> dict[str, Array]:
    """Give the value at x = 1 and the fall for each factor e of x."""
    slope = sign * np.exp(log_amplitude)
    return {"a": floor + slope * centres[0], "b": slope}


def constant_parameters(
    sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: Centres
) -> dict[str, Array]:
    """Give the level."""
    return {"level": floor}
