"""What a fit gives back: numbers with all their digits, intervals, verdicts, predictions, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling import record, verdicts, wording
from genret_core.scaling.intervals import AMPLITUDE, ROUNDING, Interval, NoSpread, Spread
from genret_core.scaling.intervals.draws import Draws
from genret_core.scaling.intervals.linear import Plane
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.points import Points
from genret_core.scaling.solver.resampled import solve_draws
from genret_core.scaling.solver.solutions import Certificate, Solutions
from genret_core.scaling.verdicts import Verdict

if TYPE_CHECKING:
    from lmfit.model import ModelResult


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted law. Prints as a table; `sentence()` is the answer in words.

    Attributes
    ----------
    law : Law
    points : Points
        What was fitted (`x`, `y`, `x2`, `n` and `dof` are also attributes of the fit).
    level : float
        Of `intervals` and of the printed table.
    certificate : Certificate
        What was searched; its objective is weighted as the fit is.
    optima : Solutions
        All local optima, the best first, as the solver holds them.
    spread : Spread
        Source of the intervals and of `band`.
    chance : float or None
        y of a model that knows nothing.
    seed : int
    """

    law: Law
    points: Points = field(repr=False)
    level: float
    certificate: Certificate = field(repr=False)
    optima: Solutions = field(repr=False)
    spread: Spread = field(repr=False)
    chance: float | None = None
    seed: int = 0

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
    def objective(self) -> str:
        """Name of what was minimised."""
        return self.points.objective.name

    @property
    def objective_value(self) -> float:
        """Its value: in squares of y for ols, free of units else."""
        return self.certificate.objective

    @property
    def options(self) -> dict[str, Any]:
        """What another law must be given to be fitted alike: `fit(other, x, y, x2, **options)`."""
        p, bounds = self.points, self.law.bounds
        return {
            "sd": p.sd,
            "weights": p.weights,
            "objective": p.objective.name,
            "delta": p.objective.delta,
            "names": dict(p.names),
            "rows": p.rows.tolist(),
            "bounds": bounds,
            "chance": self.chance,
            "seed": self.seed,
            "level": self.level,
        }

    @cached_property
    def best(self) -> Solutions:
        """The optima in units of y."""
        return self.optima.rescaled(self.points.scale)

    @cached_property
    def params(self) -> dict[str, float]:
        """Parameters by name; NaN where the data leave one undefined (no exponent without an amplitude)."""
        found = self.best.parameters(self.points.centres)
        return {name: float(found[name][0]) for name in self.law.names}

    @cached_property
    def derived(self) -> dict[str, float]:
        """`centre` (geometric mean of x; `centre_2` of x2) and `amplitude_at_centre`.

        The height of the falling term there: report this in place of gamma, which is hardly ever identified.
        """
        centres = self.points.centres
        derived = {"centre": float(np.exp(centres[0]))}
        if len(centres) > 1:
            derived["centre_2"] = float(np.exp(centres[1]))
        if self.law.nonlinear:
            derived[AMPLITUDE] = float(self.best.amplitude[0])
        return derived

    @cached_property
    def fitted(self) -> Array:
        """The curve at the points, [n], not clipped."""
        return self.best.predict(*self.points.centred(self.x, self.x2))[0]

    @property
    def residuals(self) -> Array:
        """Value minus curve, [n], in units of y."""
        return self.y - self.fitted

    @property
    def sse(self) -> float:
        """Sum of squared residuals in units of y, unweighted."""
        return float(self.residuals @ self.residuals)

    @property
    def rmse(self) -> float:
        """Root of the mean squared residual, in units of y."""
        return float(np.sqrt(self.sse / self.n))

    @property
    def R2(self) -> float:
        """Unweighted; NaN where it says nothing (no degree of freedom, or a constant y)."""
        total = float(((self.y - self.y.mean()) ** 2).sum())
        if self.dof <= 0 or total == 0:
            return float("nan")
        R2 = 1 - self.sse / total
        return 0.0 if abs(R2) < ROUNDING else R2

    @property
    def covers(self) -> str:
        """What the intervals cover and what they leave out."""
        return self.spread.covers

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """By parameter, `amplitude_at_centre` and (from draws) `R2`; what is not there has none."""
        return self._intervals_at(self.level)

    def interval(self, name: str, level: float | None = None) -> Interval | None:
        """Give the interval of a parameter or of `amplitude_at_centre`, None where there is none."""
        return self._intervals_at(self.level if level is None else level).get(name)

    def _intervals_at(self, level: float) -> dict[str, Interval]:
        if level not in self._by_level:
            found = self.spread.at(level).intervals()
            if np.isnan(self.R2):
                found.pop("R2", None)
            self._by_level[level] = found
        return self._by_level[level]

    @cached_property
    def _by_level(self) -> dict[float, dict[str, Interval]]:
        return {}

    @cached_property
    def plane(self) -> Plane:
        """The law about the optimum, linearised."""
        return Plane(self.points, self.optima)

    @cached_property
    def leverage(self) -> Array:
        """How much each point holds its own fitted value, [n], 0 to 1 (linearised)."""
        return self.plane.leverage()

    @cached_property
    def stderr(self) -> dict[str, float]:
        """Standard errors of the parameters: of the draws, else linearised; NaN where there is none."""
        names = [*self.law.names, *([AMPLITUDE] if AMPLITUDE in self.derived else [])]
        if isinstance(self.spread, Draws):
            values = dict(zip(self.law.names, self.draws.T, strict=True))
            values[AMPLITUDE] = self.spread.solutions.amplitude
            with np.errstate(invalid="ignore", over="ignore"):
                return {name: float(np.std(values[name], ddof=1)) for name in names}
        known = self.points.sd is not None
        if isinstance(self.spread, NoSpread) or not (known or self.dof > 0):
            return dict.fromkeys(names, float("nan"))
        variance = 1.0 if known else float(self.optima.objective[0]) / self.dof
        errors = self.plane.stderr(variance)
        return {name: errors.get(name, float("nan")) for name in names}

    @property
    def draws(self) -> Array:
        """Parameters of every refitted replicate or resample, [draws, parameters]; no rows without any."""
        if isinstance(self.spread, Draws):
            return self.spread.parameters()
        return np.empty((0, len(self.law.parameters)))

    def refit(self, W: npt.ArrayLike | None = None, Y: npt.ArrayLike | None = None) -> Solutions:
        """Fit the law again to changed points, all changes in one batch.

        Parameters
        ----------
        W : array [fits, n], optional
            Weights on top of the fit's own: 0 leaves a row out.
        Y : array [fits, n], optional
            Other values, in units of y.

        Returns
        -------
        Solutions
            In units of y, about the same centre as this fit.
        """
        w, y = (None if a is None else np.asarray(a, dtype=np.float64) for a in (W, Y))
        task = self.points.task(y, w)
        return solve_draws(task, self.optima, self.points.objective).rescaled(self.points.scale)

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
        self,
        x: npt.ArrayLike,
        x2: npt.ArrayLike | None = None,
        *,
        level: float | None = None,
        clip: bool = True,
    ) -> tuple[Array, Array]:
        """Give the lower and upper limit of the curve at `x`; NaN where nothing tells (see `covers`).

        Limits of the curve, not of a new measurement: a new point scatters about it.
        """
        u, v, shape = self._arguments(x, x2)
        low, high = self.spread.at(self.level if level is None else level).band(u, v)
        return self._clipped(low, clip).reshape(shape), self._clipped(high, clip).reshape(shape)

    @cached_property
    def findings(self) -> tuple[Verdict, ...]:
        """The verdicts on the fit as a whole: those that need no refit without each row."""
        return tuple(verdicts.on_the_fit(self))

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Everything that a reader must be told, the gravest first."""
        return (*self.findings, *verdicts.on_rows(self))

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the verdicts."""
        return frozenset(verdict.code for verdict in self.verdicts)

    def identified(self, name: str) -> bool:
        """Whether the data hold a parameter: see `verdicts.identified`."""
        return verdicts.identified(self, name)

    def to_lmfit(self) -> ModelResult:
        """Give the fit as lmfit has it: report, `conf_interval`, `conf_interval2d`, correlations."""
        from genret_core.scaling.lmfit_face import to_lmfit

        return to_lmfit(self)

    def sentence(self) -> str:
        """Answer in one sentence, written from the numbers."""
        return wording.sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values: all digits, null for what is undefined or open."""
        return record.of_fit(self)

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
