"""What follows from a state and a source: verdicts, curves, predictions, and the answers to all questions."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from genret_core.scaling import Fit, Verdict, get_law, predict
from genret_core.scaling.beyond.predictions import Predictions
from genret_core.scaling.laws.law import Array
from genret_core.workbench.explorer.answers import Answers
from genret_core.workbench.explorer.calls import HARD

Curve = tuple[Array, Array, Array, Array]  # x, y, lower, upper

JUDGED = 100  # points up to which every row is refitted without at once
ON_ROWS = ("residuals", "checklist")  # tabs that judge single rows of however many points
SPAGHETTI = 200


class Shown(Answers):
    """A state and its consequences. Equal states of equal sources give equal digits.

    What can fail for reasons of the data is the result or, in its place, the reason in one sentence (`str`).
    """

    # ---- what is said ----

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What must be told of the fit in focus, of its extrapolation, and of the published law over it."""
        if self.fit is None:
            return ()
        said = [*(self.fit.verdicts if self.rows_judged else self.fit.findings)]
        if self.predictions is not None:
            said += [one for one in self.predictions.verdicts if one.code == "extrapolation"]
        if self.held is not None and not isinstance(self.held, str):
            said += self.held.verdicts
        return tuple(said)

    @property
    def rows_judged(self) -> bool:
        """Whether the verdicts include those on single rows, which take a refit without each."""
        if self.fit is None or len(self.fit.law.nonlinear) >= HARD:
            return False
        return self.fit.n <= JUDGED or self.state.tab in ON_ROWS

    # ---- curves ----

    def span(self, series: str) -> tuple[float, float]:
        """Give the range of x that the curve of a series is drawn over: its points, and what lies ahead."""
        x = self.source.rows(series)["x"].to_numpy()
        x = x[np.isfinite(x) & (x > 0)]
        return float(x.min()), float(x.max() * 10**self.state.ahead)

    def beside(self, series: str) -> float | None:
        """Give the second argument at which curves of a series are drawn: the one most of its points have."""
        found = self.fits.get(series)
        if not isinstance(found, Fit) or found.x2 is None:
            return None
        values, counts = np.unique(found.x2, return_counts=True)
        return float(values[counts == counts.max()].max())

    def curves(self, n: int = 120) -> dict[str, Curve]:
        """Give x, y, lower and upper limit of the curve of every series that has a fit; [n] each."""
        drawn = {}
        for series, found in self.fits.items():
            if isinstance(found, Fit):
                key = (
                    self.calls[series].key,
                    "curve",
                    self.span(series),
                    self.state.level,
                    self.state.clip,
                    n,
                )
                curve = self.remember(key, lambda series=series, found=found: self._curve(series, found, n))  # type: ignore[misc]
                if not isinstance(curve, str):
                    drawn[series] = curve
        return drawn

    def _curve(self, series: str, found: Fit, n: int) -> Curve:
        x, x2 = np.geomspace(*self.span(series), n), self.beside(series)
        low, high = found.band(x, x2, clip=self.state.clip)
        return x, found.predict(x, x2, clip=self.state.clip), low, high

    def spaghetti(self, n: int = SPAGHETTI, places: int = 100) -> dict[str, tuple[Array, Array]]:
        """Give x [places] and the curves of refits [refits, places] of every series that has a fit.

        Refits are those behind the intervals (replicates, resamples); without any, the points are resampled.
        """
        drawn = {}
        for series, found in self.fits.items():
            if isinstance(found, Fit):
                key = (self.calls[series].key, "refits", self.span(series), self.state.clip, n, places)
                curves = self.remember(
                    key,
                    lambda series=series, found=found: self._refits(series, found, n, places),  # type: ignore[misc]
                )
                if not isinstance(curves, str):
                    drawn[series] = curves
        return drawn

    def _refits(self, series: str, found: Fit, n: int, places: int) -> tuple[Array, Array]:
        x, x2 = np.geomspace(*self.span(series), places), self.beside(series)
        if not len(found.draws):
            call = self.calls[series]
            options = {**call.options, "bootstrap": n, "intervals": True}
            options.pop("sd", None)
            found = replace(call, options=options).run(0.95)
        parameters = found.draws[:n]
        given = x if x2 is None else np.full(places, x2)
        law = found.law
        with np.errstate(all="ignore"):
            curves = [
                law(
                    x,
                    None if x2 is None else given,
                    clip=self.state.clip,
                    **dict(zip(law.names, one, strict=True)),
                )
                for one in parameters
            ]
        return x, np.array(curves)

    def picked(self, n: int = 200) -> tuple[Array, Array] | None:
        """Give x and y of the curve that was picked in the profile map; None without one."""
        if self.state.curve is None:
            return None
        focus, law = self.state.focus, get_law(self.state.law)
        x = np.geomspace(*self.span(focus), n)
        x2 = None if law.x2 is None else np.full(n, self.beside(focus))
        return x, law(x, x2, clip=self.state.clip, **dict(self.state.curve))

    # ---- beyond the data, and what was published ----

    @property
    def farthest(self) -> tuple[float, float | None]:
        """Give the arguments of the far end of the curve in focus."""
        return self.span(self.state.focus)[1], self.beside(self.state.focus)

    @cached_property
    def predictions(self) -> Predictions | None:
        """What all candidate laws say at the far end; None where nothing lies ahead."""
        if self.fit is None or not self.state.ahead:
            return None
        x, x2 = self.farthest
        return predict((self.fit, *self.candidates), x, x2, level=self.state.level)
