"""What the questions about a law share: a figure, tables, verdicts, and the words for a trend."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import rho_of
from genret_core.workbench import claims, tables
from genret_core.workbench.analyses.fitted import Fitted, curves_of, fit_table, points_of, verdict_list
from genret_core.workbench.analyses.rivals import rival_table
from genret_core.workbench.figures import style
from genret_core.workbench.figures.laws import law_figure
from genret_core.workbench.replicates.series import Series
from genret_core.workbench.study.variants import plain_rows

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study


@dataclass(frozen=True)
class LawQuestion:
    """Series of cells, the law through each, and how they are shown.

    Attributes
    ----------
    fits : tuple of Fitted
    x, y : str
        Symbols: `P`, `D` or `C`; `CGL` or the name of another metric.
    title, subtitle : str
        Of the figure; the subtitle names the learning-rate rule.
    n_negatives : int or None
        N, for the chance line and the axis in rho.
    published : DataFrame or None
        The paper's coefficients.
    sentence : str
        The answer.
    shared_x, shared_y : bool
        Whether the panels have one scale.
    noted : bool
        Whether the table of points shows their notes.
    bm25 : mapping of str to float, optional
        BM25's value by panel, where that is a metric of retrieval.
    """

    fits: tuple[Fitted, ...]
    x: str
    y: str
    title: str
    subtitle: str
    n_negatives: int | None
    published: pd.DataFrame | None
    sentence: str
    shared_x: bool = True
    shared_y: bool = True
    noted: bool = True
    bm25: Mapping[str, float] | None = None

    def figure(self) -> style.Figure:
        """Draw points, curves and bands."""
        return law_figure(
            points_of(self.fits),
            curves_of(self.fits),
            x=self.x,
            y=self.y,
            title=self.title,
            subtitle=self.subtitle,
            n_negatives=self.n_negatives,
            shared_x=self.shared_x,
            shared_y=self.shared_y,
            bm25=self.bm25,
        )

    def points(self) -> Styler:
        """List the measured points."""
        rows = points_of(self.fits)
        if not self.noted:
            rows = rows.drop(columns="note")
        if self.n_negatives:
            rows["rho"] = [rho_of(value, self.n_negatives) for value in rows["value"]]
        return tables.series_table(rows, caption=self.title, x=self.x)

    def laws(self) -> Styler:
        """Set the fitted laws beside the published ones."""
        several = len({one.panel for one in self.fits}) > 1 and self.y != "CGL"
        level = next((one.fit.level for one in self.fits if one.fit is not None), 0.95)
        caption = f"Fitted parameters [{level:.0%} interval]"
        return fit_table(self.fits, caption=caption, published=self.published, with_panel=several)

    def rivals(self) -> Styler:
        """Set the law beside its rivals, judged by points left out."""
        return rival_table(self.fits)

    def verdicts(self) -> str:
        """Say in Markdown what the intervals cover and what the fits cannot tell."""
        return verdict_list(self.fits)


def rows_of(study: Study, metric: str | list[str], **filters: object) -> pd.DataFrame:
    """Take result rows, or refuse with the command that makes them.

    Of searches those of the plain variant are taken, unless `variant` is among the filters.

    Raises
    ------
    BadInput
        If there is none.
    """
    rows = study.rows(metric, **filters)
    if len(rows) == 0:
        told = ", ".join(f"{name} {value}" for name, value in filters.items())
        raise BadInput(f"{study.folder} holds no {metric} for {told or 'any cell'}. {study.missing()}")
    return rows if "variant" in filters else plain_rows(rows)


def joint_replicates(study: Study, rows: pd.DataFrame, *, draws: int, seed: int = 0) -> np.ndarray:
    """Resample the queries jointly and add the noise between seeds, where it is known, once per cell.

    Beams of one cell share its weights, so they share its noise; the same call for other rows draws the same
    queries. A rate of exactly 0 or 1 would not vary in any resampling: it is drawn from Jeffreys' posterior
    of a binomial rate, Beta(hits + 1/2, misses + 1/2).

    Returns
    -------
    float array [rows, draws]
    """
    replicates = np.array(study.replicates(rows, draws=draws, seed=seed), dtype=float)
    for i, (metric, value, n) in enumerate(
        zip(rows["metric"], rows["value"], rows["n_queries"], strict=True)
    ):
        if str(metric).startswith(("MR@", "R@")) and value in (0.0, 1.0):
            own = np.random.default_rng([seed, i, int(n)])
            replicates[i] = own.beta(value * n + 0.5, (1 - value) * n + 0.5, draws)
    for metric, part in rows.reset_index(drop=True).groupby("metric"):
        sd, _ = study.seed_sd(str(metric))
        if sd:
            for cell, members in part.groupby("cell"):
                own = np.random.default_rng([seed, int(str(cell)[:8], 16), len(str(metric))])
                replicates[members.index] += own.normal(0.0, sd, draws)
    return replicates


def series_of(study: Study, rows: pd.DataFrame, *, x: str, draws: int) -> Series:
    """Turn result rows into a series that `claims` can judge."""
    replicates = joint_replicates(study, rows, draws=draws)
    return Series(rows[x].to_numpy(dtype=float), rows["value"].to_numpy(dtype=float), replicates)


def learning_rates(study: Study, groups: Sequence[tuple[str, str]]) -> str:
    """Name the learning-rate rule of each (method, family), for a subtitle; d is the model's width."""
    told = []
    for method in dict.fromkeys(method for method, _ in groups):
        rules = {family: _rule(study, family, method) for m, family in dict.fromkeys(groups) if m == method}
        name = style.METHOD_NAMES.get(method, method)
        if len(set(rules.values())) == 1:
            told.append(f"{name} {next(iter(rules.values()))}")
        else:
            told.append(
                f"{name} {', '.join(f'{style.FAMILY_NAMES.get(f, f)} {rule}' for f, rule in rules.items())}"
            )
    sweep = study.spec.recipe.lr_sweep
    chosen = f", the best of {sweep} on validation" if sweep > 1 else ""
    return f"learning rate: {'; '.join(told)}{chosen}"


def _rule(study: Study, family: str, method: str) -> str:
    written = study.spec.lr_rule(family, method).replace("*", "·")
    return re.sub(r"\^(-?[0-9.]+)", r"<sup>\1</sup>", written)


def conditions(study: Study, rows: pd.DataFrame, split: str) -> str:
    """Say on what the points stand: queries, negatives, seeds."""
    n = int(rows["n_queries"].max())
    told = [f"{n:,} {split} queries"]
    if rows["n_negatives"].notna().any():
        told.append(f"N = {int(rows['n_negatives'].max())}")
    seeds = rows["seed"].nunique()
    told.append("one seed" if seeds == 1 else f"{seeds} seeds")
    return ", ".join(told)


def listed(parts: Sequence[str]) -> str:
    """Join as in a sentence: a, b and c."""
    parts = [part for part in parts if part]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def by_family(one: Fitted) -> str:
    """Name a series in a sentence by its family."""
    return style.FAMILY_NAMES.get(one.family, one.family)


def by_backbone(one: Fitted) -> str:
    """Name a series in a sentence by its backbone."""
    return str(one.rows["backbone"].iloc[0])


def trend_words(
    study: Study,
    fits: Sequence[Fitted],
    *,
    draws: int,
    level: float,
    name: Callable[[Fitted], str] = by_family,
) -> str:
    """Say for which series CGL falls, from where to where in rho, and for which it cannot be told."""
    told: dict[str, list[str]] = {}
    for one in fits:
        rows = one.rows[one.rows["used"]]
        who = name(one)
        if len(set(rows["x"])) < 2:
            told.setdefault("has a single size, so no trend, for", []).append(who)
            continue
        series = series_of(study, rows, x="x", draws=draws)
        how = TREND[claims.trend(series, level=level)]
        told.setdefault(f"{how} for", []).append(f"{who} ({_ends_in_rho(rows)})")
    return ", and ".join(f"{how} {listed(who)}" for how, who in told.items())


TREND = {"falls": "falls", "rises": "rises", "unclear": "shows no clear trend"}


def _ends_in_rho(rows: pd.DataFrame) -> str:
    n = int(rows["n_negatives"].iloc[0])
    ends = (rows.loc[rows["x"] == end, "value"].mean() for end in (rows["x"].min(), rows["x"].max()))
    return "ρ " + " to ".join(f"{rho_of(float(value), n):.3f}" for value in ends)


def law_words(
    fits: Sequence[Fitted],
    exponent: str,
    floor: str,
    symbols: tuple[str, str],
    *,
    name: Callable[[Fitted], str] = by_family,
) -> str:
    """Say what the law's exponent and floor are, or that they cannot be told."""
    known, no_floor, few = [], [], []
    for one in fits:
        who = name(one)
        if one.fit is None:
            few.append(who)
        elif not one.held:
            no_floor.append(who)
        else:
            values = (one.fit.params[exponent], one.fit.params[floor])
            known.append(
                f"{name} {symbols[0]} = {values[0]:.2f}, {symbols[1]} = {tables.significant(values[1])}"
            )
    told = []
    if known:
        told.append(f"the law has {listed(known)}")
    if no_floor:
        told.append(
            f"the floor {symbols[1]} is not identified for {listed(no_floor)}, so the exponent {symbols[0]} "
            "is not comparable with the published one"
        )
    if few:
        told.append(f"{listed(few)} {'has' if len(few) == 1 else 'have'} too few sizes for a law")
    return "; ".join(told)
