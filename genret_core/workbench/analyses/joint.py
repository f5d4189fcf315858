"""07: how model size and training data combine (Eq. 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit
from genret_core.workbench import tables
from genret_core.workbench.analyses.data import most_fractions
from genret_core.workbench.analyses.fitted import published_rows
from genret_core.workbench.analyses.law_question import (
    conditions,
    joint_replicates,
    learning_rates,
    listed,
    rows_of,
)
from genret_core.workbench.figures import style
from genret_core.workbench.figures.joint import joint_figure

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

FEWEST = 6  # cells that a law of five parameters needs to leave a degree of freedom


@dataclass(frozen=True)
class JointLaw:
    """Eq. 8 through all cells, and through the two arms alone.

    Attributes
    ----------
    rows : DataFrame
        The cells: `name`, `P`, `D`, `value`, `stderr`, `arm`, and `residual`, `lo`, `hi` of the law that saw
        the arms only.
    whole, arms : Fit or None
        The law through all cells, and through the arms; None with too few cells.
    title, subtitle, sentence : str
    """

    rows: pd.DataFrame
    whole: Fit | None
    arms: Fit | None
    title: str
    subtitle: str
    sentence: str

    def figure(self) -> style.Figure:
        """Draw a curve per backbone, and the residuals."""
        parts = []
        for name, part in self.rows.groupby("name", sort=False):
            if self.whole is not None:
                places = np.geomspace(self.rows["D"].min(), self.rows["D"].max(), 60)
                size = np.full_like(places, float(part["P"].iloc[0]))
                y = self.whole.predict(size, places)
                parts.append(pd.DataFrame({"name": name, "P": size, "D": places, "y": y}))
        curves = pd.concat(parts) if parts else pd.DataFrame(columns=["name", "P", "D", "y"])
        return joint_figure(self.rows, curves, title=self.title, subtitle=self.subtitle)

    def laws(self) -> Styler:
        """Set the fitted coefficients beside the published ones."""
        told: list[dict[Any, Any]] = []
        for whose, found in (("all cells", self.whole), ("the arms alone", self.arms)):
            if found is None:
                continue
            row = {"fitted to": whose}
            told.append(
                row | _parameters(found) | {"R²": tables.significant(found.R2, 4), "points": str(found.n)}
            )
        printed = published_rows("joint").rename(columns={"series": "fitted to"})
        told += printed.to_dict("records")
        return tables.styled(pd.DataFrame(told).fillna("–"), caption="Fitted parameters of Eq. 8")

    def off_arms(self) -> Styler:
        """List the cells off the arms: measured, predicted from the arms, and the difference."""
        off = self.rows[~self.rows["arm"]].sort_values(["P", "D"])
        if off.empty:
            nothing = pd.DataFrame(
                {"cells off the arms": ["none: these data do not test how P and D combine"]}
            )
            return tables.styled(nothing)
        shown = pd.DataFrame(
            {
                "backbone": off["name"],
                "P": off["P"],
                "D": off["D"],
                "measured": off["value"],
                "predicted": off["value"] - off["residual"],
                "difference": [
                    tables.with_interval(*ends)
                    for ends in zip(off["residual"], off["lo"], off["hi"], strict=True)
                ],
            }
        )
        formats = {"P": "{:,.0f}", "D": "{:,.0f}", "measured": "{:.5f}", "predicted": "{:.5f}"}
        return tables.styled(shown, caption="Cells off the arms, which the law did not see", formats=formats)

    def verdicts(self) -> str:
        """Say in Markdown what the fit through all cells cannot tell."""
        if self.whole is None:
            return f"- {_few(self.rows)}."
        lines = [f"- {note.message}" for note in self.whole.verdicts]
        return "\n".join([f"*{self.whole.covers}*", "", *lines])


def joint_law(
    study: Study,
    *,
    split: str = "seen",
    method: str = "ngram",
    family: str = "llama",
    draws: int = 500,
    level: float = 0.95,
) -> JointLaw:
    """Fit Eq. 8 to the cells of one method and family over sizes and fractions.

    Parameters
    ----------
    study : Study
    split, method, family : str
        Which cells.
    draws : int
        Joint replicates behind the intervals.
    level : float
        Of the intervals.
    """
    rows = rows_of(study, "CGL", split=split, method=method, family=family)
    rows = rows.assign(
        name=rows["backbone"], P=rows["P"].astype(float), D=rows["D"].astype(float)
    ).reset_index(drop=True)
    anchor = most_fractions(rows)
    rows["arm"] = (rows["fraction"] == 1.0) | (rows["backbone"] == anchor)
    whole = _fit(study, rows, draws=draws, level=level)
    arms = _fit(study, rows[rows["arm"]], draws=draws, level=level)
    rows = _with_residuals(study, rows, arms, draws=draws, level=level)
    name = style.series_name(method, family)
    return JointLaw(
        rows,
        whole,
        arms,
        title=f"CGL over size and data, {name} ({conditions(study, rows, split)})",
        subtitle=f"arms: all data, and {anchor}; {learning_rates(study, [(method, family)])}",
        sentence=_sentence(rows, whole, arms),
    )


def _fit(study: Study, rows: pd.DataFrame, *, draws: int, level: float) -> Fit | None:
    if len(rows.drop_duplicates(["P", "D"])) < FEWEST:
        return None
    sd, source = study.seed_sd("CGL")
    replicates = study.replicates(rows, draws=draws)
    try:
        return fit(
            "joint",
            rows["P"].to_numpy(),
            rows["value"].to_numpy(),
            rows["D"].to_numpy(),
            replicates=replicates,
            level=level,
            n_negatives=int(rows["n_negatives"].iloc[0]),
            n_queries=int(rows["n_queries"].iloc[0]),
            seed_sd=sd or None,
            seed_source=source if sd else None,
        )
    except BadInput:
        return None


def _with_residuals(
    study: Study, rows: pd.DataFrame, arms: Fit | None, *, draws: int, level: float
) -> pd.DataFrame:
    """Add the residuals of the law through the arms, with intervals over joint refits and re-measurements."""
    if arms is None:
        return rows.assign(residual=np.nan, lo=np.nan, hi=np.nan)
    P, D = rows["P"].to_numpy(), rows["D"].to_numpy()
    residual = rows["value"].to_numpy() - arms.predict(P, D)
    replicates = joint_replicates(study, rows, draws=len(arms.draws))
    predicted = np.stack([arms.law.function(P, D, *row) for row in arms.draws], axis=1)
    with np.errstate(invalid="ignore"):
        low, high = np.nanquantile(replicates - predicted, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return rows.assign(residual=residual, lo=low, hi=high)


def _few(rows: pd.DataFrame) -> str:
    places = len(rows.drop_duplicates(["P", "D"]))
    return f"{places} sizes and fractions are too few for the five parameters of Eq. 8: it takes {FEWEST}"


def _parameters(found: Fit) -> dict[str, str]:
    return {
        tables.symbol(p.symbol): tables.estimate(found.params[p.name], found.intervals.get(p.name))
        for p in found.law.parameters
    }


def _sentence(rows: pd.DataFrame, whole: Fit | None, arms: Fit | None) -> str:
    off = rows[~rows["arm"]]
    if whole is None:
        return f"{_few(rows)}."
    spare = "one degree of freedom" if whole.dof == 1 else f"{whole.dof} degrees of freedom"
    told = [f"Eq. 8 fits the {whole.n} cells with R² = {tables.significant(whole.R2, 3)} ({spare})"]
    if "floor_not_identified" in whole.codes:
        told.append("its floor δ is not identified")
    if off.empty:
        return (
            f"{listed(told)}; no cell lies off the two arms, so these data do not test how P and D combine."
        )
    if arms is None:
        return f"{listed(told)}; the arms alone are too few cells to predict the {len(off)} off them."
    missed = off[(off["lo"] > 0) | (off["hi"] < 0)]
    word = "none" if missed.empty else f"{len(missed)} (mean {tables.signed(missed['residual'].mean())})"
    verb = "is" if len(missed) <= 1 else "are"
    return (
        f"{listed(told)}; fitted on the two arms alone it predicts the {len(off)} cells off them with a mean "
        f"error of {tables.signed(off['residual'].mean())}, and {word} of these errors {verb} beyond noise."
    )
