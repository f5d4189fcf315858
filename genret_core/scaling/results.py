"""What a fit gives back: numbers with all their digits, intervals, verdicts, predictions, and a sentence."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling import wording
from genret_core.scaling.intervals import Interval, Spread
from genret_core.scaling.intervals.draws import Draws
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.points import Points
from genret_core.scaling.solver.solutions import Certificate, Solutions
from genret_core.scaling.verdicts import Verdict


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted law. Prints as a table; `sentence()` is the answer in words.

    Attributes
    ----------
    law : Law
    points : Points
        What was fitted (`x`, `y`, `x2`, `n` and `dof` are also attributes of the fit).
    params : dict
        Parameters by name. NaN where the data leave one undefined (no exponent without an amplitude).
    derived : dict
        `centre` (geometric mean of x; `centre_2` of x2) and `amplitude_at_centre`, the height of the falling
        term there. Report this in place of gamma, which is hardly ever identified.
    R2 : float
        Unweighted; NaN where it says nothing (no degree of freedom, or a constant y).
    sse, rmse : float
        Sum of squared residuals and root of their mean, in units of y, unweighted.
    intervals : dict of Interval
        By parameter, `amplitude_at_centre` and (from replicates) `R2`; what is not there has none.
    level : float
    covers : str
        What the intervals cover and what they leave out.
    notes : tuple of Verdict
    certificate : Certificate
        What was searched; its objective is weighted by `sd` where that was given.
    best : Solutions
        The optimum as the solver holds it.
    spread : Spread
        Source of the intervals and of `band`.
    """

    law: Law
    points: Points = field(repr=False)
    params: dict[str, float]
    derived: dict[str, float]
    R2: float
    sse: float
    rmse: float
    intervals: dict[str, Interval]
    level: float
    covers: str
    notes: tuple[Verdict, ...]
    certificate: Certificate = field(repr=False)
    best: Solutions = field(repr=False)
    spread: Spread = field(repr=False)

    @property
    def x(self) -> Array:
        """First argument of the points."""
        return self.points.x

    @property
    def y(self) -> Array:
        """Values of the points."""
        return self.points.y

    @property
    def x2(self) -> Array | None:
        """Second argument of the points."""
        return self.points.x2

    @property
    def n(self) -> int:
        """Number of points."""
        return self.points.n

    @property
    def dof(self) -> int:
        """Degrees of freedom: distinct points minus parameters."""
        return self.points.dof

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the verdicts."""
        return frozenset(note.code for note in self.notes)

    @property
    def draws(self) -> Array:
        """Parameters of every refitted replicate, [draws, parameters]; no rows without replicates."""
        if isinstance(self.spread, Draws):
            return self.spread.parameters()
        return np.empty((0, len(self.law.parameters)))

    @property
    def fitted(self) -> Array:
        """The curve at the points, [n], not clipped."""
        return self.predict(self.x, self.x2, clip=False)

    def predict(self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None, *, clip: bool = True) -> Array:
        """Evaluate the fitted curve; of the shape of `x`.

        Parameters
        ----------
        x, x2 : array-like
            Arguments; positive.
        clip : bool
            Keep to the law's bounds (a miss rate to [0, 1]).
        """
        u, v, shape = self._arguments(x, x2)
        return self._clipped(self.best.predict(u, v)[0], clip).reshape(shape)

    def band(
        self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None, *, clip: bool = True
    ) -> tuple[Array, Array]:
        """Give the lower and upper limit of the curve at `x`; NaN where nothing tells (see `covers`).

        Limits of the curve, not of a new measurement: a new point scatters about it.
        """
        u, v, shape = self._arguments(x, x2)
        low, high = self.spread.band(u, v)
        return self._clipped(low, clip).reshape(shape), self._clipped(high, clip).reshape(shape)

    def sentence(self) -> str:
        """Answer in one sentence, written from the numbers."""
        return wording.sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values: all digits, null for what is undefined or open."""
        points = {key: getattr(self.points, key) for key in ("x", "x2", "y", "sd")}
        return {
            "law": self.law.name,
            "equation": self.law.equation,
            "names": dict(self.points.names),
            "n": self.n,
            "dof": self.dof,
            "params": {name: _plain(value) for name, value in self.params.items()},
            "derived": {name: _plain(value) for name, value in self.derived.items()},
            "R2": _plain(self.R2),
            "sse": self.sse,
            "rmse": self.rmse,
            "level": self.level,
            "intervals": {name: interval.to_dict() for name, interval in self.intervals.items()},
            "covers": self.covers,
            "sentence": self.sentence(),
            "notes": [{"code": note.code, "sentence": note.sentence} for note in self.notes],
            "certificate": {name: _plain(value) for name, value in asdict(self.certificate).items()},
            "points": {
                **{key: value.tolist() for key, value in points.items() if value is not None},
                "fitted": self.fitted.tolist(),
            },
        }

    def _arguments(
        self, x: npt.ArrayLike, x2: npt.ArrayLike | None
    ) -> tuple[Array, Array | None, tuple[int, ...]]:
        if (x2 is None) != (self.law.x2 is None):
            wanted = f"{self.law.x} and {self.law.x2}" if self.law.x2 else f"{self.law.x} alone"
            raise BadInput(f"The law {self.law.name} is a function of {wanted}.")
        arrays = [np.asarray(a, dtype=np.float64) for a in (x, x2) if a is not None]
        for name, array in zip((self.points.names["x"], self.points.names.get("x2")), arrays, strict=False):
            if not (array > 0).all():
                raise BadInput(
                    f"{name} must be positive to be predicted at; got {array[~(array > 0)].flat[0]:g}."
                )
        arrays = list(np.broadcast_arrays(*arrays))
        u, v = self.points.centred(arrays[0].ravel(), arrays[1].ravel() if len(arrays) > 1 else None)
        return u, v, arrays[0].shape

    def _clipped(self, value: Array, clip: bool) -> Array:
        return np.clip(value, *self.law.bounds) if clip and self.law.bounds else value

    def __str__(self) -> str:
        return wording.as_text(self)

    def _repr_html_(self) -> str:
        return wording.as_html(self)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
