"""What intervals from the noise of the points share: an optimum, a noise, and the misfit that they allow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from genret_core.scaling.intervals.interval import Noise
from genret_core.scaling.points import Points
from genret_core.scaling.solver.projection import Task
from genret_core.scaling.solver.solutions import Solutions


@dataclass(frozen=True)
class FromNoise:
    """All that fits well enough: whose objective is at most `threshold`.

    Attributes
    ----------
    points : Points
    best : Solutions
        The optimum, in the solver's units.
    noise : Noise
        In the solver's units.
    level : float
    covers : str
    """

    points: Points
    best: Solutions = field(repr=False)
    noise: Noise
    level: float
    covers: str

    def at(self, level: float) -> Self:
        """Give the same at another level."""
        return self if level == self.level else replace(self, level=level)

    @property
    def method(self) -> str:
        """How the intervals were found."""
        return "profile, chi-square" if self.noise.dof is None else "profile, F"

    @cached_property
    def threshold(self) -> float:
        """Largest objective that is allowed, in the solver's units."""
        return self.noise.threshold(self.level)

    @cached_property
    def _task(self) -> Task:
        return self.points.task()
