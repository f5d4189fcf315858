"""Profile intervals of a law with at most one nonlinear unknown: all parameters that fit well enough.

At a fixed exponent they fill an ellipse in (amplitude, floor), cut at the bounds, so that its extremes are
known in closed form; what is left is one dimension, the exponent, which is cut into fine slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genret_core.scaling.intervals import AMPLITUDE, Interval, from_ends
from genret_core.scaling.intervals.from_noise import FromNoise
from genret_core.scaling.laws.law import Array, Law, Role
from genret_core.scaling.solver.projection import (
    Index,
    Moments,
    amplitude_only,
    floor_only,
    moments,
    project,
    weigh,
)
from genret_core.scaling.solver.search import grid, grid_objective
from genret_core.scaling.solver.solutions import Solutions

CROSS_CUTS, CROSS_ROUNDS = 64, 5
SLICES = 801  # exponents across the region
RING = 16  # points on each slice's ellipse, beside its extremes
RING_ALONE = 1440  # the same, where there is one slice only
OCTAVE = float(np.log(2))  # a limit that lies this close to the end of an open search is not a limit,
SETTLED = 0.01  # unless it moved by less than this share of the interval there (a floor under a steep law)


@dataclass(frozen=True)
class Region(FromNoise):
    """All parameters whose objective is at most `threshold`; intervals are its extremes."""

    @property
    def flat(self) -> bool:
        """Whether a constant is in the region."""
        law = self.points.law_here
        if law.amplitude == "none" or law.floor == "none":
            return False
        return float(self._slices.m.y_y[0]) <= self.threshold

    def intervals(self) -> dict[str, Interval]:
        """Give the extremes of every parameter and of the amplitude over the region."""
        law, slices = self.points.law_here, self._slices
        at, amplitude, floor = slices.boundary()
        with np.errstate(divide="ignore"):
            log_amplitude = np.log(np.abs(amplitude)) - slices.log_scale[at]
        sign, scale = np.sign(amplitude), self.points.scale
        solutions = Solutions(
            law,
            slices.theta[at],
            sign,
            log_amplitude,
            floor,
            floor,
            np.zeros(slices.theta[at].shape, dtype=int),
        ).rescaled(scale)
        values = solutions.parameters(self.points.centres)
        if law.nonlinear:
            values[AMPLITUDE] = solutions.amplitude
        roles = {p.name: p.role for p in law.parameters}
        searched = {unknown.name for unknown in law.nonlinear}
        return {
            name: self._exponent()
            if name in searched
            else self._extremes(value, at, roles.get(name, "scale"))
            for name, value in values.items()
        }

    def band(self, u: Array, v: Array | None) -> tuple[Array, Array]:
        """Give the extremes of the curve over the region, in units of y."""
        law, slices = self.points.law_here, self._slices
        phi, log_scale = law.basis(u, v, slices.theta)
        with np.errstate(over="ignore", invalid="ignore"):
            height = phi * np.exp(log_scale - slices.log_scale)[:, None]  # [slices, arguments]
            low, high = slices.curve_limits(height)
        return low * self.points.scale, high * self.points.scale

    @property
    def _best_t(self) -> float:
        return float(self._task.law.nonlinear[0].to_t(self.best.theta[0, 0]))

    @cached_property
    def _ends(self) -> tuple[float, float, bool, bool]:
        """Find the outermost exponents of the region, and whether they are the search's ends."""
        t = grid(self._task.law, self.points.n)
        inside = t[grid_objective(self._task, t)[:, 0] <= self.threshold]
        reached = np.append(inside, self._best_t) if np.isfinite(self._best_t) else inside
        first, last = float(reached.min()), float(reached.max())
        below, above = t[t < first], t[t > last]
        low = self._cross(float(below[-1]), first) if len(below) else float(t[0])
        high = self._cross(float(above[0]), last) if len(above) else float(t[-1])
        return low, high, not len(below), not len(above)

    def _cross(self, outside: float, inside: float) -> float:
        """Narrow a bracket to where the profile passes the threshold; 5 rounds leave 1e-9 of it."""
        for _ in range(CROSS_ROUNDS):
            t = np.linspace(inside, outside, CROSS_CUTS + 2)
            phi, _ = self._task.law.basis(self._task.u, self._task.v, self._task.theta(t[:, None]))
            out = weigh(project(self._task, phi)[2] ** 2, self._task.w) > self.threshold
            out[0], out[-1] = False, True
            first = int(out.argmax())
            inside, outside = float(t[first - 1]), float(t[first])
        return inside

    @cached_property
    def _slices(self) -> Slices:
        t = np.empty((1, 0))
        if self.points.law_here.nonlinear:
            low, high, _, _ = self._ends
            t = np.linspace(low, high, SLICES)
            t = (np.unique(np.append(t, self._best_t)) if np.isfinite(self._best_t) else t)[:, None]
        theta = self._task.theta(t)
        phi, log_scale = self._task.law.basis(self._task.u, self._task.v, theta)
        m = moments(phi, np.broadcast_to(self._task.Y, phi.shape), self._task.w)
        return Slices(self.points.law_here, self.threshold, t, theta, log_scale, m)

    def _exponent(self) -> Interval:
        low, high, open_low, open_high = self._ends
        unknown = self._task.law.nonlinear[0]
        ends = unknown.from_t(np.array([low, high]))
        return Interval(
            None if open_low else float(ends[0]), None if open_high else float(ends[1]), self.level
        )

    def _extremes(self, value: Array, at: Index, role: Role) -> Interval:
        """Take the least and the largest value; a bound, or one met only where the search ends, is none."""
        t = self._slices.t[at, 0] if self.points.law_here.nonlinear else np.zeros(len(at))
        low, high, open_low, open_high = (
            self._ends if self.points.law_here.nonlinear else (0.0, 0.0, False, False)
        )
        inner = ~((open_low & (t < low + OCTAVE)) | (open_high & (t > high - OCTAVE)))
        width = np.nanmax(value) - np.nanmin(value)
        limits = []
        for extreme in (np.nanmin, np.nanmax):
            end = float(extreme(value))
            within = float(extreme(value[inner])) if inner.any() else np.nan
            stands = end == within or (role == "floor" and abs(end - within) <= SETTLED * width)
            limits.append(end if stands else np.nan)
        if role in ("floor", "scale") and limits[0] <= 0 and self.points.law_here.amplitude == "positive":
            limits[0] = np.nan
        return from_ends(limits[0], limits[1], self.level)


@dataclass(frozen=True)
class Slices:
    """The region at fixed exponents, a row each: where its ellipse and its bounds lie.

    With centred sums the objective is y_y - phi_y² / phi_phi + phi_phi (A - A_best)² + weight (L - L(A))².
    """

    law: Law
    threshold: float
    t: Array
    theta: Array
    log_scale: Array
    m: Moments

    def on_ellipse(self, angle: Array) -> tuple[Array, Array]:
        """Give amplitude and floor [slices, angles] on the ellipse; NaN where a bound cuts it off."""
        m = self.m
        if self.law.amplitude == "none" or self.law.floor == "none":
            nothing = np.full(angle.shape, np.nan)
            return nothing, nothing
        with np.errstate(invalid="ignore", divide="ignore"):
            best = m.phi_y / m.phi_phi
            radius = np.sqrt(self.threshold - np.maximum(m.y_y - best * m.phi_y, 0.0))
            amplitude = (best + radius / np.sqrt(m.phi_phi) * np.cos(angle).T).T
            floor = (m.y_mean - amplitude.T * m.phi_mean + radius / np.sqrt(m.weight) * np.sin(angle).T).T
            outside = np.zeros(angle.shape, dtype=bool)
            if self.law.amplitude == "positive":
                outside |= amplitude < 0
            if self.law.floor == "positive":
                outside |= floor < 0
        return np.where(outside, np.nan, amplitude), np.where(outside, np.nan, floor)

    def on_bounds(self) -> tuple[Array, Array]:
        """Give amplitude and floor [slices, ends] where the region ends on a bound; NaN where it does not."""
        m, law = self.m, self.law
        nothing = np.full((len(self.t), 2), np.nan)
        along_floor, along_amplitude = nothing, nothing
        side = np.array([-1.0, 1.0])
        with np.errstate(invalid="ignore"):
            if law.floor != "free":
                best, _, objective = amplitude_only(law, m)
                reach = np.sqrt((self.threshold - objective) / (m.phi_phi + m.weight * m.phi_mean**2))
                along_amplitude = best[:, None] + reach[:, None] * side
            if law.amplitude != "free":
                _, best, objective = floor_only(law, m)
                reach = np.sqrt((self.threshold - objective) / m.weight)
                along_floor = best[:, None] + reach[:, None] * side
        if law.amplitude == "positive":
            along_amplitude = np.maximum(along_amplitude, 0.0)
        if law.floor == "positive":
            along_floor = np.maximum(along_floor, 0.0)
        zero = np.zeros_like(nothing)
        amplitude = np.concatenate([along_amplitude, np.where(np.isnan(along_floor), np.nan, zero)], axis=1)
        floor = np.concatenate([np.where(np.isnan(along_amplitude), np.nan, zero), along_floor], axis=1)
        return amplitude, floor

    def boundary(self) -> tuple[Index, Array, Array]:
        """Give points all around the region: slice, amplitude and floor of each."""
        m = self.m
        ring = np.linspace(0, 2 * np.pi, RING if self.law.nonlinear else RING_ALONE, endpoint=False)
        steepest = self.angle(np.zeros((len(self.t), 1)))  # where the floor alone is extreme
        around = np.broadcast_to(ring, (len(self.t), len(ring)))
        ellipse = self.on_ellipse(np.concatenate([around, steepest, steepest + np.pi], axis=1))
        amplitude, floor = (
            np.concatenate(pair, axis=1) for pair in zip(ellipse, self.on_bounds(), strict=True)
        )
        at = np.broadcast_to(np.arange(len(m.phi_mean))[:, None], amplitude.shape)
        there = ~np.isnan(amplitude)
        return at[there], amplitude[there], floor[there]

    def angle(self, height: Array) -> Array:
        """Give where floor + amplitude * height [slices, k] is largest on the ellipse."""
        m = self.m
        with np.errstate(invalid="ignore", divide="ignore"):
            along = (height - m.phi_mean[:, None]) / np.sqrt(m.phi_phi)[:, None]
        return np.arctan2(1 / np.sqrt(m.weight), along)

    def curve_limits(self, height: Array) -> tuple[Array, Array]:
        """Give the least and the largest floor + amplitude * height over the region; height [slices, k]."""
        angle = self.angle(height)
        values = []
        for amplitude, floor in (self.on_ellipse(angle), self.on_ellipse(angle + np.pi)):
            values.append(floor + amplitude * height)
        ends_amplitude, ends_floor = self.on_bounds()
        for j in range(ends_amplitude.shape[1]):
            values.append(ends_floor[:, j : j + 1] + ends_amplitude[:, j : j + 1] * height)
        stacked = np.concatenate(values)
        return np.nanmin(stacked, axis=0), np.nanmax(stacked, axis=0)
