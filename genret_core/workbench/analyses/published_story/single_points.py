"""What three points cannot show, and what hangs on single points of the data-size curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import Fit, fit
from genret_core.scaling.comparison.compare import Comparison, compare
from genret_core.scaling.influence.moved import Moved, moved
from genret_core.scaling.influence.rows import Influence, influence
from genret_core.workbench import tables
from genret_core.workbench.analyses.published_story.rivals import RIVALS
from genret_core.workbench.analyses.published_story.sets import Refits, RefittedSet, without_head
from genret_core.workbench.figures import style
from genret_core.workbench.figures.published import exponent_figure

BEYOND = 10.0  # how far past the largest model curves are asked to predict
EXPONENTS = np.geomspace(0.5, 60, 400)


def three_points(refits: Refits) -> Styler:
    """Set out laws that pass through the three LLaMA-2 points, and what each says beyond them."""
    one = refits.llama
    x, y = one.points.x, one.points.y
    between, beyond = float(np.sqrt(x[-2] * x[-1])), BEYOND * float(x.max())
    rows = []
    for name, found in (
        ("power law with a floor (Eq. 6)", one.fit),
        ("the same, output head not counted", fit("model_size", without_head(one.points.rows), y)),
        ("exponential with a floor", fit("exponential", x, y)),
    ):
        power = next((found.params[p.name] for p in found.law.with_role("exponent")), None)
        floor = found.law.with_role("floor")[0].name
        rows.append(
            {
                "law": name,
                "exponent": "–" if power is None else f"{power:.3f}",
                "floor": f"{found.params[floor]:.8f}",
                "largest residual": "0"
                if found.dof == 0
                else tables.significant(np.abs(found.residuals).max()),
                "R²": "undefined" if np.isnan(found.R2) else f"{found.R2:.5f}",
                **{
                    f"CGL at P = {style.short(place)}": f"{float(found.predict(place)):.7f}"
                    for place in (between, beyond)
                },
            }
        )
    shown = pd.DataFrame(rows)
    return tables.styled(shown, caption="Three parameters through three points", tight=list(shown.columns))


def three_points_words(refits: Refits) -> str:
    """Say what the three points leave open."""
    llama, t5 = refits.llama, refits.t5
    told = [
        f"{_ends(found, 'alpha')} for noise SD {tables.significant(noise.sd, 2)}"
        for found, noise in zip(llama.noisy, refits.noises, strict=True)
    ]
    ratio = llama.fit.params["alpha"] / t5.fit.params["alpha"]
    own = " to ".join(style.short(v) for v in (llama.fit.x.min(), llama.fit.x.max()))
    other = " to ".join(style.short(v) for v in (t5.fit.x.min(), t5.fit.x.max()))
    return "\n".join(
        [
            f"- {llama.fit.n} points and {len(llama.fit.law.parameters)} parameters leave {llama.fit.dof} "
            "degrees of freedom: every curve above passes through all points, none is tested by them, and R² "
            "and standard errors do not exist.",
            f"- With known noise there is an interval: α {'; '.join(told)}.",
            f"- α is {ratio:.1f} times that of T5, but the one is read from {llama.fit.n} sizes of {own} and "
            f"the other from {t5.fit.n} sizes of {other}: the curves share hardly any range of sizes.",
        ]
    )


@dataclass(frozen=True, eq=False)
class DataExponent:
    """What the exponent of the data-size curve hangs on.

    Attributes
    ----------
    refits : Refits
    moves : Moved
        Each point moved by the larger noise SD.
    without : Influence
        The fit without each point.
    """

    refits: Refits
    moves: Moved
    without: Influence

    @property
    def one(self) -> RefittedSet:
        """The set of points."""
        return self.refits.data

    @cached_property
    def exponential(self) -> Fit:
        """An exponential with a floor through the same points."""
        return fit("exponential", self.one.points.x, self.one.points.y)

    @cached_property
    def comparison(self) -> Comparison:
        """Laws against each other on these points."""
        return compare(self.one.points.x, self.one.points.y, laws=(*RIVALS, "data_size"))

    def figure(self) -> style.Figure:
        """Draw the curve, its misfit over the exponent, and the exponent with each point moved."""
        f = self.one.fit
        x = np.geomspace(f.x.min(), f.x.max(), 120)
        curves = pd.DataFrame(
            {
                "x": np.tile(x, 3),
                "y": np.concatenate([f.predict(x), self.exponential.predict(x), self.one.law.predict(x)]),
                "law": np.repeat(
                    [
                        "power law with a floor",
                        "exponential with a floor",
                        f"{self.one.law.where}, as printed",
                    ],
                    len(x),
                ),
            }
        )
        by = self.refits.noises[1].sd
        shown = pd.DataFrame({"x": f.x, "value": f.y, "D": [style.short(v) for v in f.x]})
        shifted = pd.DataFrame(
            [
                {"row": m.row, "by": m.by, "beta": m.params["beta"], "edge": bool(m.at_edge)}
                for m in self.moves.moves
            ]
        )
        shifted = shifted.assign(D=shown["D"].to_numpy()[shifted["row"] - 1])
        profiles = {"as released": misfit(f.x, f.y)}
        for i, name in enumerate(shown["D"]):
            for sign in (1, -1):
                y = f.y.copy()
                y[i] += sign * by
                profiles[f"{name}|{sign:+d}"] = misfit(f.x, y)
        return exponent_figure(
            shown,
            curves,
            pd.DataFrame({"exponent": EXPONENTS, **profiles}),
            shifted,
            beta=f.params["beta"],
            title="One point makes the data exponent",
            subtitle=f"each point in turn moved up and down by {tables.significant(by, 2)} and refitted",
        )

    def words(self) -> str:
        """Say what the exponent hangs on."""
        f, y = self.one.fit, self.one.fit.y
        first = (y[0] - y[1]) / (y[0] - y[-1])
        low, high = self.moves.range("beta")
        edge = any(move.at_edge for move in self.moves.moves)
        sd = self.refits.noises[0].sd
        without = self.without.rows[0].without["beta"]
        wide = tables.significant(self.refits.noises[1].sd, 2)
        return "\n".join(
            [
                f"- **{first:.0%} of the drop** in CGL lies between the first point and the second. Without "
                f"the first point β is {without:.2f} in place of {f.params['beta']:.2f}.",
                f"- **Moved** by {wide}, one point moves β between {low:.1f} and "
                f"{'the edge of the search, ' if edge else ''}{high:.0f}.",
                f"- **An exponential** does almost as well: it leaves R² {self.exponential.R2:.5f} against "
                f"{f.R2:.6f}, and predicts the largest point from the others with an error of "
                f"{self._held_out('exponential')} against {self._held_out('data_size')}.",
                f"- **Residuals.** They have a root mean square of {tables.significant(f.rmse)}, "
                f"{sd / f.rmse:.0f} times less than the noise SD of {tables.significant(sd, 2)}; intervals "
                f"from them are narrower than that noise allows. {self._farthest_words()}",
                f"- **With known noise** β has no upper limit: {self._open_words()}.",
            ]
        )

    def _held_out(self, law: str) -> str:
        return tables.significant(abs(float(self.comparison[law].largest.errors[0])), 2)

    def _farthest_words(self) -> str:
        """Say how the others stand to the point that lies farthest off their curve."""
        i = int(np.nanargmax(np.abs([r.t for r in self.without.rows])))
        f = self.one.fit
        keep = np.arange(f.n) != i
        others = fit("data_size", f.x[keep], f.y[keep], intervals=False)
        off = float(others.predict(f.x[i])) - f.y[i]
        return (
            f"Four of the points, all but that at D = {f.x[i]:,.0f}, lie on one power law to within "
            f"{tables.significant(np.abs(others.residuals).max(), 2)}, and that law puts the fifth "
            f"{tables.significant(abs(off), 4)} {'higher' if off > 0 else 'lower'} than it is. Agreement so "
            "much closer than the noise cannot serve as a measure of the noise."
        )

    def _open_words(self) -> str:
        told = []
        for found, noise in zip(self.one.noisy, self.refits.noises, strict=True):
            told.append(f"{_ends(found, 'beta')} for noise SD {tables.significant(noise.sd, 2)}")
        return "; ".join(told)


def data_exponent(refits: Refits) -> DataExponent:
    """Ask what the exponent of the data-size curve hangs on."""
    f = refits.data.fit
    return DataExponent(refits, moved(f, refits.noises[1].sd), influence(f))


def misfit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give the least root mean squared error of a power law with a floor at each of `EXPONENTS`.

    Amplitude and floor are in closed form; the amplitude is not negative.
    """
    u = np.log(x) - np.log(x).mean()
    phi = np.exp(-np.outer(EXPONENTS, u - u.min()))
    centred, own = phi - phi.mean(axis=1, keepdims=True), y - y.mean()
    amplitude = np.maximum(centred @ own / (centred**2).sum(axis=1), 0.0)
    return np.sqrt(((own - amplitude[:, None] * centred) ** 2).mean(axis=1))


def _ends(found: Fit, name: str) -> str:
    interval = found.interval(name)
    if interval is None:
        return "no interval"
    low, high = (("open" if end is None else f"{end:.2f}") for end in (interval.lo, interval.hi))
    return f"{low} to {high}"
