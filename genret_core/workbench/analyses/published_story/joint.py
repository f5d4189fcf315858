"""Eqs 8 to 10 held against their points: which argument is which, how far from the optimum, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import Fit, fit
from genret_core.scaling.laws import JOINT_EXCHANGED
from genret_core.scaling.laws.law import Nonlinear
from genret_core.scaling.published.judging import times
from genret_core.scaling.second_opinion import StallCheck, float32_check
from genret_core.workbench import tables
from genret_core.workbench.analyses.published_story.sets import Refits
from genret_core.workbench.figures import style
from genret_core.workbench.figures.published import residuals_figure

STARTS = 50  # of the published protocol
HELD = 1e-9  # a parameter within this share of a value is held at it


@dataclass(frozen=True, eq=False)
class JointStory:
    """The joint law as printed, exchanged, with beta held, and at its optimum.

    Attributes
    ----------
    refits : Refits
    as_printed : Fit
        The best fit of Eq. 8 as printed.
    beta_held : Fit
        The best fit of the exchanged law with beta at its printed value.
    """

    refits: Refits
    as_printed: Fit
    beta_held: Fit

    @property
    def best(self) -> Fit:
        """The best fit of the exchanged law: the optimum."""
        return self.refits.joint.fit

    @cached_property
    def float32(self) -> StallCheck:
        """What a least-squares solver reaches on these points in single precision."""
        return float32_check(self.best, starts=STARTS, starts_in_float64=STARTS // 2)

    def figure(self) -> style.Figure:
        """Draw the residuals of the printed coefficients, exchanged, beside those of the optimum."""
        one = self.refits.joint
        P, D = one.points.x, one.points.x2
        points = pd.DataFrame({"name": one.points.rows["model"], "P": P, "D": D})
        curves = {
            f"{one.law.where}, P and D exchanged": one.law.predict(P, D),
            f"the same law with β held at {one.law.printed['beta']}": self.beta_held.fitted,
            "the optimum": self.best.fitted,
        }
        every = [points.assign(whose=who, residual=one.points.y - y) for who, y in curves.items()]
        return residuals_figure(
            pd.concat(every, ignore_index=True),
            noise=self.refits.noises[0].sd,
            title="What the joint law leaves of its points",
            subtitle=f"shaded: ± {tables.significant(self.refits.noises[0].sd, 2)}, one SD of the noise",
        )

    def table(self) -> Styler:
        """Set out coefficients, R² and squared error of each version of the law."""
        one = self.refits.joint
        entries: list[tuple[str, dict[str, Any], float]] = [
            (f"{one.law.where}, in Eq. 8 as printed", dict(one.law.printed), one.held.sse_as_printed),
            (f"{one.law.where}, P and D exchanged", dict(one.law.printed), one.held.sse),
            ("best fit of Eq. 8 as printed", self.as_printed.params, self.as_printed.sse),
            (
                f"best fit exchanged, β held at {one.law.printed['beta']}",
                self.beta_held.params,
                self.beta_held.sse,
            ),
            ("best fit exchanged: the optimum", self.best.params, self.best.sse),
        ]
        rows = []
        for name, params, sse in entries:
            row: dict[str, Any] = {"law": name}
            row |= {p.symbol: _written(params[p.name]) for p in self.best.law.parameters}
            R2 = 1 - sse / one.held.total
            row["R²"] = f"{R2:.7f}" if R2 > 0.9999 else f"{R2:.5f}" if R2 > 0 else _negative(R2)
            over = sse / self.best.sse
            rows.append(
                {**row, "error over the least": times(over) if over < 1e9 else tables.significant(over)}
            )
        shown = pd.DataFrame(rows)
        caption = f"The joint law on its {self.best.n} points (R² printed with {one.law.where}: "
        return tables.styled(
            shown,
            caption=caption + f"{one.law.printed_R2})",
            tight=list(shown.columns)[1:],
            left=list(shown.columns),
        )

    def words(self) -> str:
        """Say which argument is which, how far the printed coefficients are from the optimum, and why."""
        one, beta = self.refits.joint, self.best.params["beta"]
        edge = self.as_printed.params["beta"]
        only = f", and only as β grows to the edge of the search ({edge:g})" if self._at_edge else ""
        lines = [
            f"- **Order.** {self._order_words()}",
            f"- **Distance from the optimum.** Exchanged, the printed digits leave {times(one.held.ratio)} "
            f"times the squared error of the optimum; rounding explains {one.held.rounding_share:.0%}.",
            f"- **β.** With β held at {one.law.printed['beta']} the best R² is {self.beta_held.R2:.5f}, and "
            f"{one.law.printed_R2} was printed: a solver that stops at this β reports that.",
            f"- **Single precision.** {self.float32}",
            f"- **Noise.** {self._beta_words()}",
            f"- **Eq. 8 as printed** reaches at best R² {self.as_printed.R2:.5f}{only}.",
            f"- **What is tested.** {self._arms_words()} The β of the optimum, {beta:.3f}, is the exponent "
            f"of the three LLaMA-2 sizes alone, {self.refits.llama.fit.params['alpha']:.3f}.",
        ]
        return "\n".join(lines)

    @property
    def _at_edge(self) -> bool:
        return "at_edge" in self.as_printed.codes

    def _order_words(self) -> str:
        one = self.refits.joint
        row = int(one.points.rows["n_pairs"].to_numpy().argmax())
        x2 = one.points.x2
        assert x2 is not None  # the joint law has two arguments
        P, D = float(one.points.x[row]), float(x2[row])
        printed, turned = (float(one.law.predict(P, D, as_printed=flag)) for flag in (True, False))
        return (
            f"At P = {P:,.0f} and D = {D:,.0f} (measured: {one.points.y[row]:.7f}) the coefficients give "
            f"{printed:.4f} in Eq. 8 as printed, and {turned:.7f} with P and D exchanged: γ and α belong to "
            "the data, and η to the model size."
        )

    def _beta_words(self) -> str:
        one = self.refits.joint
        printed = one.law.params["beta"]
        told = []
        for found, what in (
            (one.fit, "from the residuals"),
            *(
                (f, f"with noise SD {tables.significant(n.sd, 2)}")
                for f, n in zip(one.noisy, self.refits.noises, strict=True)
            ),
        ):
            interval = found.interval("beta")
            if interval is not None:
                word = "holds" if printed in interval else "excludes"
                told.append(f"{_span(interval.lo, interval.hi)} {what} ({word} {one.law.printed['beta']})")
        sd = self.refits.noises[0].sd
        excess = (self.beta_held.sse - self.best.sse) / sd**2
        return (
            f"The {self.refits.level:.0%} interval of β is {', '.join(told)}; β at its printed value costs "
            f"{excess:.0f} squared noise SDs more than the optimum."
        )

    def _arms_words(self) -> str:
        verdict = next((v for v in self.best.verdicts if v.code == "no_interaction_tested"), None)
        return "" if verdict is None else verdict.message


def joint_law(refits: Refits) -> JointStory:
    """Fit the joint law in both orders of its arguments, and with beta held at its printed value."""
    one = refits.joint
    arguments = one.points.x, one.points.y, one.points.x2
    as_printed = fit(one.law.law, *arguments, intervals=False)
    beta = one.law.params["beta"]
    held = Nonlinear("beta", beta * (1 - HELD), beta * (1 + HELD))
    alpha, _, balance = JOINT_EXCHANGED.nonlinear
    law = replace(JOINT_EXCHANGED, name="joint_exchanged_held", nonlinear=(alpha, held, balance))
    return JointStory(refits, as_printed, fit(law, *arguments, intervals=False))


def _negative(value: float) -> str:
    return tables.significant(value).replace("-", "−", 1)


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else tables.significant(value, 5)


def _span(low: float | None, high: float | None) -> str:
    ends = ["open" if end is None else f"{end:.2f}" for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"
