"""Table 3, read: values, where the families meet, and how fast the printed curves fall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import published
from genret_core.scaling.beyond.crossing import Crossings, crossing
from genret_core.scaling.published import PublishedLaw
from genret_core.workbench import tables
from genret_core.workbench.figures import style
from genret_core.workbench.figures.published import crossings_figure

KS = (5, 20, 100)
COMPUTES = (1e9, 1e10, 1e11, 1e12, 1e13)
SAID = 1e11  # FLOPs per query beyond which the text has LLaMA ahead at k = 20 and k = 100 (section 5.2)
NEAR = 0.01  # of a floor
TOKENS = 10  # in an n-gram
FAMILIES = {"t5": "T5-Base", "llama2": "LLaMA-7B"}


@dataclass(frozen=True, eq=False)
class Misses:
    """Eq. 12 with the coefficients of Table 3.

    Attributes
    ----------
    laws : dict
        By family and k.
    meetings : dict of Crossings
        By k: where the curves of the two families meet.
    """

    laws: dict[tuple[str, int], PublishedLaw]
    meetings: dict[int, Crossings]

    def figure(self) -> style.Figure:
        """Draw the six curves and where they meet."""
        places = np.geomspace(COMPUTES[0], COMPUTES[-1] * 10, 200)
        parts = []
        for (family, k), law in self.laws.items():
            values = law.predict(places, clip=False)
            parts.append(pd.DataFrame({"k": k, "family": family, "C": places, "MR": values}))
        curves = pd.concat(parts, ignore_index=True)
        met = [
            {"k": k, "C": one.at, "MR": one.y}
            for k, found in self.meetings.items()
            for one in found
            if one.at <= places[-1]
        ]
        return crossings_figure(
            curves,
            pd.DataFrame(met),
            said=SAID,
            beam=one_beam(),
            title="Table 3 as curves: where the families meet",
            subtitle="curves only: the points behind Fig. 6 were not released",
        )

    def values(self) -> Styler:
        """Set out the printed curves over five decades of compute; a miss rate above 1 is marked."""
        rows = []
        for family, name in FAMILIES.items():
            for k in KS:
                law = self.laws[family, k]
                values = [float(law.predict(C, clip=False)) for C in COMPUTES]
                rows.append(
                    {"backbone": name, "metric": law.metric} | dict(zip(_columns(), values, strict=True))
                )
        shown = pd.DataFrame(rows)
        laid = tables.styled(
            shown,
            caption="MR@k at C FLOPs per query, from the printed coefficients",
            formats=dict.fromkeys(_columns(), "{:.3f}"),
        )
        mark = f"color:{style.VERMILLION};font-weight:600"
        return laid.map(lambda value: mark if value > 1 else "", subset=pd.Index(_columns()))

    def readings(self) -> Styler:
        """Set out crossings, the compute below which a curve exceeds 1, and the fall per decade."""
        rows: dict[str, list[str]] = {
            "LLaMA-7B is below T5-Base from": [self._met(k, 0) for k in KS],
            f"that is, times {ten(SAID)}": [f"{self.meetings[k][0].at / SAID:.1f}" for k in KS],
            "and no longer from": [self._met(k, 1) for k in KS],
            "LLaMA-7B is above 1 below": [flops(above_one(self.laws["llama2", k])) for k in KS],
        }
        for C in (SAID, 10 * SAID):
            for family, name in FAMILIES.items():
                falls = [f"{fall(self.laws[family, k], C):.4f}" for k in KS]
                rows[f"{name}: fall per decade at {ten(C)} FLOPs"] = falls
        near = [flops(reach(self.laws["t5", k])) for k in KS]
        rows[f"T5-Base is within {NEAR} of its floor from"] = near
        shown = pd.DataFrame.from_dict(rows, orient="index", columns=[f"MR@{k}" for k in KS])
        shown = shown.rename_axis("reading").reset_index()
        return tables.styled(shown, caption="Table 3, read", tight=list(shown.columns))

    def _met(self, k: int, i: int) -> str:
        return flops(self.meetings[k][i].at) if len(self.meetings[k]) > i else "–"

    def words(self) -> str:
        """Say what the readings say."""
        return "\n".join([self._crossings(), self._below(), self._fastest(), self._floors()])

    def _crossings(self) -> str:
        first = min(KS, key=lambda k: self.meetings[k][0].at)
        later = [f"{self.meetings[k][0].at / SAID:.0f} times higher for MR@{k}" for k in KS if k != first]
        return (
            f"- **Where LLaMA-7B takes over.** The text says at {ten(SAID)} FLOPs, for MR@20 and MR@100; "
            f"the printed curves cross {' and '.join(later)}. The first to cross is MR@{first}, at "
            f"{flops(self.meetings[first][0].at)}."
        )

    def _below(self) -> str:
        over = [above_one(self.laws["llama2", k]) for k in KS]
        return (
            f"- **Below.** The printed LLaMA-7B curves exceed 1 below {tables.significant(min(over), 2)} to "
            f"{flops(max(over), 2)}. One {TOKENS}-token beam of a 7B decoder costs 2 × P × {TOKENS} = "
            f"{flops(one_beam(), 2)}, so that most of the curve left of {ten(SAID)} is extrapolation."
        )

    def _fastest(self) -> str:
        told = []
        for C in (SAID, 10 * SAID):
            each = [f"MR@{self._rank(max, family, C)} for {name}" for family, name in FAMILIES.items()]
            told.append(f"{' and '.join(each)} at {ten(C)} FLOPs")
        slowest = [f"MR@{self._rank(min, family, SAID)} for {name}" for family, name in FAMILIES.items()]
        return (
            "- **Which falls fastest.** The text names MR@5 for both. By the slope of the printed curves it "
            f"is {', and '.join(told)}; slowest at {ten(SAID)} is {' and '.join(slowest)}."
        )

    def _rank(self, choose: Callable[..., int], family: str, C: float) -> int:
        return choose(KS, key=lambda k: fall(self.laws[family, k], C))

    def _floors(self) -> str:
        floors = [reach(self.laws["t5", k]) for k in KS]
        return (
            f"- **Floors.** The T5-Base curves come within {NEAR} of their floors at "
            f"{tables.significant(min(floors), 1)} to {flops(max(floors), 1)}: a comparison of floors says "
            "nothing about compute that anybody has."
        )


def read_table_3() -> Misses:
    """Read the printed inference laws."""
    laws = {(law.family, int(law.metric.partition("@")[2])): law for law in published.laws(law="inference")}
    names = FAMILIES["t5"], FAMILIES["llama2"]
    meetings = {k: crossing(laws["t5", k], laws["llama2", k], names=names) for k in KS}
    return Misses(laws, meetings)


def fall(law: PublishedLaw, C: float) -> float:
    """Give how much a miss rate falls per decade of compute at `C`: the slope of the curve over log10 C."""
    mu, sigma, _ = law.params.values()
    return float(np.log(10) * sigma * (mu / C) ** sigma)


def above_one(law: PublishedLaw) -> float:
    """Give the compute below which a printed curve exceeds 1."""
    mu, sigma, floor = law.params.values()
    return float(mu * (1 - floor) ** (-1 / sigma))


def reach(law: PublishedLaw) -> float:
    """Give the compute from which a printed curve is within `NEAR` of its floor."""
    mu, sigma, _ = law.params.values()
    return float(mu * NEAR ** (-1 / sigma))


def one_beam() -> float:
    """Give the FLOPs of one beam of n-gram length through LLaMA-2-7B: two per parameter and token."""
    rows = published.points(study="model_size", method="ngram", family="llama2")
    return 2.0 * float(rows["n_params"].min()) * TOKENS


def flops(C: float, digits: int = 3) -> str:
    """Write an amount of compute."""
    return f"{tables.significant(C, digits)} FLOPs"


def ten(C: float) -> str:
    """Write a power of ten."""
    return tables.significant(C, 1).removeprefix("1×")


def _columns() -> list[str]:
    return [f"C = {ten(C)}" for C in COMPUTES]
