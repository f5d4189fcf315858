"""What a solver found: a batch of fits of one law, and the certificate of the search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.solver.projection import Index, Task, project, weigh

EDGE = 1e-6  # closer than this to a search edge, on the solver's scale, is at the edge


@dataclass(frozen=True)
class Solutions:
    """Fits of one law, an array entry each.

    Attributes
    ----------
    law : Law
    theta : array [fits, k]
        Nonlinear unknowns; NaN where the amplitude is 0, as then nothing depends on them.
    sign, log_amplitude, floor : array [fits]
        The linear parts at the centre of the data; a logarithm, since steep laws leave the range of floats.
    objective : array [fits]
        Weighted sum of squared residuals.
    edge : int array [fits, k]
        -1 or 1 where an unknown lies at its lower or upper search edge.
    """

    law: Law
    theta: Array
    sign: Array
    log_amplitude: Array
    floor: Array
    objective: Array
    edge: npt.NDArray[np.int_]

    @property
    def amplitude(self) -> Array:
        """Height of the falling term at the centre of the data."""
        return self.sign * np.exp(self.log_amplitude)

    def rescaled(self, scale: float) -> Solutions:
        """Give the solutions in units of y, where `scale` is one unit of the task."""
        log_amplitude, floor = self.log_amplitude + np.log(scale), self.floor * scale
        return Solutions(self.law, self.theta, self.sign, log_amplitude, floor, self.objective, self.edge)

    def predict(self, u: Array, v: Array | None) -> Array:
        """Evaluate every solution at centred log arguments [n]; [fits, n], not clipped."""
        theta = np.where(np.isnan(self.theta), 1.0 if self.law.x2 is None else 0.5, self.theta)
        phi, log_scale = self.law.basis(u, v, theta)
        with np.errstate(over="ignore", invalid="ignore"):
            term = np.exp(self.log_amplitude + log_scale)[:, None] * phi
        term = np.where(self.sign[:, None] == 0, 0.0, self.sign[:, None] * term)
        return np.asarray(self.floor[:, None] + term)

    def parameters(self, centres: tuple[float, ...]) -> dict[str, Array]:
        """Give the parameters as the equation names them, [fits] each; `centres`: mean logs of x and x2."""
        return self.law.assemble(self.sign, self.log_amplitude, self.floor, self.theta, centres)


@dataclass(frozen=True)
class Certificate:
    """What was searched, and how the optimum stands against the next best one.

    Attributes
    ----------
    method : str
    searched : int
        Places looked at, or starts walked from.
    minima : tuple of float
        Objectives of all distinct local minima, the best first.
    gradient : float
        Largest derivative of the objective by an unknown that is at no edge, over the spread of y.
    """

    method: str
    searched: int
    minima: tuple[float, ...]
    gradient: float

    @property
    def objective(self) -> float:
        """The objective at the optimum."""
        return self.minima[0]

    @property
    def runner_up(self) -> float | None:
        """The objective at the second best minimum, None where there is one minimum only."""
        return self.minima[1] if len(self.minima) > 1 else None

    def rescaled(self, unit: float) -> Certificate:
        """Give the objectives times `unit`."""
        return replace(self, minima=tuple(objective * unit for objective in self.minima))


def finish(task: Task, t: Array) -> Solutions:
    """Project at `t` [fits, k] and tell what was found."""
    phi, log_scale = task.law.basis(task.u, task.v, task.theta(t))
    amplitude, floor, residuals = project(task, phi)
    return solutions(task, t, amplitude, floor, log_scale, weigh(residuals**2, task.w))


def solutions(
    task: Task, t: Array, amplitude: Array, floor: Array, log_scale: Array, objective: Array
) -> Solutions:
    """Put a batch of fits together; `amplitude` is that of the basis over exp(log_scale)."""
    low, high = task.limits()
    edge = (t >= high - EDGE).astype(int) - (t <= low + EDGE).astype(int)
    flat = amplitude == 0
    with np.errstate(divide="ignore"):
        log_amplitude = np.log(np.abs(amplitude)) - log_scale
    return Solutions(
        task.law,
        np.where(flat[:, None], np.nan, task.theta(t)),
        np.sign(amplitude),
        log_amplitude,
        np.asarray(floor, dtype=np.float64),
        objective,
        np.where(flat[:, None], 0, edge),
    )


def take(s: Solutions, rows: Index) -> Solutions:
    """Give some of the solutions."""
    linear = (s.sign[rows], s.log_amplitude[rows], s.floor[rows])
    return Solutions(s.law, s.theta[rows], *linear, s.objective[rows], s.edge[rows])
