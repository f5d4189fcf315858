"""Families of points that share one number: their sum of squares at it, and where that is least."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np

from genret_core.scaling.laws.law import Array
from genret_core.scaling.results import Fit
from genret_core.scaling.solver.descent import descend, slope
from genret_core.scaling.solver.projection import project, weigh
from genret_core.scaling.solver.search import grid, objective_at
from genret_core.scaling.solver.solutions import Solutions, finish, solutions

FLOORS, FINER, ROUNDS = 25, 9, 3  # floors looked at, then around the best of them, so many times,
VERTICES = 3  # and then the vertex of the parabola through the best and its neighbours, each time closer
LEVEL = 1e-9  # share by which sums of squares are alike
EXPONENTS = 300  # looked at for each held floor; the best is descended from


class Sharing(ABC):
    """A number that all families share, and the sum of squares of all of them at it."""

    def __init__(self, fits: list[Fit]) -> None:
        self.fits = fits
        self.tasks = [f.points.task() for f in fits]
        self.units = [f.points.unit for f in fits]

    @abstractmethod
    def objective(self, places: Array) -> Array:
        """Give the sum over families at each place, [places]."""

    @abstractmethod
    def best(self) -> tuple[float, float]:
        """Give the best place and the sum there."""

    @abstractmethod
    def solutions(self, place: float) -> list[Solutions]:
        """Give the fit of each family at a place, in units of y."""

    @abstractmethod
    def places(self) -> Array:
        """Give the grid that intervals are looked for on."""

    @abstractmethod
    def told(self, place: float) -> float:
        """Give a place as the parameter."""


class OneExponent(Sharing):
    """A common exponent, on the solver's logarithmic scale: amplitude and floor follow in closed form."""

    def objective(self, places: Array) -> Array:
        """Give the sum over families at each place, [places]."""
        t = places[:, None]
        found = [objective_at(task.repeated(len(t)), t) for task in self.tasks]
        return np.asarray(sum(one * unit for one, unit in zip(found, self.units, strict=True)))

    def best(self) -> tuple[float, float]:
        """Give the best place and the sum there."""
        from scipy.optimize import brentq  # slow to import

        t = self.places()
        profile = self.objective(t)
        i = int(profile.argmin())
        place = float(t[i])
        if 0 < i < len(t) - 1:
            ends = float(t[i - 1]), float(t[i + 1])
            if self._slope(ends[0]) < 0 < self._slope(ends[1]):
                place = float(brentq(self._slope, *ends, xtol=1e-13))
        reached = float(self.objective(np.array([place]))[0])
        return (place, reached) if reached <= profile[i] else (float(t[i]), float(profile[i]))

    def _slope(self, place: float) -> float:
        found = (slope(task, np.array([[place]]))[0, 0] for task in self.tasks)
        return float(sum(one * unit for one, unit in zip(found, self.units, strict=True)))

    def solutions(self, place: float) -> list[Solutions]:
        """Give the fit of each family at a place, in units of y."""
        found = (finish(task, np.array([[place]])) for task in self.tasks)
        return [s.rescaled(f.points.scale) for s, f in zip(found, self.fits, strict=True)]

    def places(self) -> Array:
        """Give the grid that intervals are looked for on."""
        return grid(self.tasks[0].law)

    def told(self, place: float) -> float:
        """Give a place as the parameter."""
        return float(self.tasks[0].law.nonlinear[0].from_t(np.array(place)))


class OneFloor(Sharing):
    """A common floor, in units of y: the exponents are refitted at each."""

    def objective(self, places: Array, *, rough: bool = True) -> Array:
        """Give the sum over families at each place, [places]; `rough`: to nine digits."""
        found = (self._held(i, places, rough=rough)[1] for i in range(len(self.fits)))
        return np.asarray(sum(one * unit for one, unit in zip(found, self.units, strict=True)))

    def _held(self, i: int, floors: Array, *, rough: bool) -> tuple[Array, Array]:
        """Refit one family with its floor held at each of `floors`: exponents and objectives."""
        task, held = self.tasks[i], floors / self.fits[i].points.scale
        return descend(task.repeated(len(held)), self._starts(i, held), fixed_floor=held, rough=rough)

    def _starts(self, i: int, held: Array) -> Array:
        """Give a start for each held floor: the best of many exponents; for several, the fit's own."""
        task, f = self.tasks[i], self.fits[i]
        if len(task.law.nonlinear) > 1:
            own = [float(u.to_t(v)) for u, v in zip(task.law.nonlinear, f.best.theta[0], strict=True)]
            return np.broadcast_to(own, (len(held), len(own)))
        t, phi_y, phi_sum, phi_phi = self._sums[i]
        along = phi_y[:, None] - phi_sum[:, None] * held
        along = np.maximum(along, 0.0) if task.law.amplitude == "positive" else along
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.nan_to_num(along**2 / phi_phi[:, None])
        return np.asarray(t[gain.argmax(axis=0)])

    @cached_property
    def _sums(self) -> list[tuple[Array, Array, Array, Array]]:
        """Give, for each family, many exponents and the sums that a held floor needs."""
        found = []
        for task in self.tasks:
            t = np.linspace(*task.limits(), EXPONENTS)
            phi, _ = task.law.basis(task.u, task.v, task.theta(t))
            weighted = phi * task.w
            found.append((t, weighted @ task.Y[0], weighted.sum(axis=1), (weighted * phi).sum(axis=1)))
        return found

    def best(self) -> tuple[float, float]:
        """Give the best place and the sum there."""
        places = self.places()
        for _ in range(ROUNDS):
            profile = self.objective(places)
            i = int(profile.argmin())
            place, reached = float(places[i]), float(profile[i])
            step = float(max(place - places[max(i - 1, 0)], places[min(i + 1, len(places) - 1)] - place))
            places = np.linspace(places[max(i - 1, 0)], places[min(i + 1, len(places) - 1)], FINER)
        lowest = self.places()[0]
        for _ in range(VERTICES):
            middle = max(place, lowest + step)
            around = middle + step * np.array([-1.0, 0.0, 1.0])
            left, reached, right = map(float, self.objective(around, rough=False))
            bend = left - 2 * reached + right
            moved = middle + step * float(np.clip((left - right) / (2 * bend), -2, 2)) if bend > 0 else middle
            moved = max(moved, float(lowest))
            value = float(self.objective(np.array([moved]), rough=False)[0])
            alike = value <= reached * (1 + LEVEL)  # the vertex knows more digits than the values there
            place, reached = (moved, value) if alike else (middle, reached)
            step /= FINER
        return place, reached

    def solutions(self, place: float) -> list[Solutions]:
        """Give the fit of each family at a place, in units of y."""
        found = []
        for i, (task, f) in enumerate(zip(self.tasks, self.fits, strict=True)):
            t, _ = self._held(i, np.array([place]), rough=False)
            phi, log_scale = task.law.basis(task.u, task.v, task.theta(t))
            amplitude, floor, left = project(task, phi, fixed_floor=np.array([place / f.points.scale]))
            one = solutions(task, t, amplitude, floor, log_scale, weigh(left**2, task.w))
            found.append(one.rescaled(f.points.scale))
        return found

    def places(self) -> Array:
        """Give the grid that intervals are looked for on."""
        own = np.array([float(f.best.floor[0]) for f in self.fits])
        low = 0.0
        if self.tasks[0].law.floor == "free":
            low = float(own.min() - max(np.ptp(f.y) for f in self.fits))
        high = max(float(f.y.max()) for f in self.fits)
        between = np.linspace(own.min(), own.max(), FLOORS)
        return np.unique(np.concatenate([np.linspace(low, high, FLOORS), between, own]))

    def told(self, place: float) -> float:
        """Give a place as the parameter."""
        return place
