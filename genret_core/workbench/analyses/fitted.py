"""One law through one series of cells, and what notebooks show of it: points, curve, table, sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, get_law, published
from genret_core.workbench import tables
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

FEWEST = 3  # distinct sizes that a law of three parameters needs
CURVE = 80  # places at which a curve is drawn
NOT_HELD = frozenset({"floor_not_identified", "saturated", "at_edge", "no_trend", "wrong_sign"})
AMPLITUDE = "amplitude_at_centre"
HEIGHT = "height at centre"  # of the falling term


@dataclass(frozen=True)
class Fitted:
    """A series of cells and the law through it, if there is one.

    Attributes
    ----------
    panel : str
        The panel of the figure it belongs to.
    method, family : str
        Whose cells these are.
    rows : DataFrame
        Result rows with `x`, `name`, `used` and `note` added.
    fit : Fit or None
        None where there are too few sizes; `why` then says so.
    draws : float array [rows used, m]
        The joint replicates that the fit's intervals stand on.
    """

    panel: str
    method: str
    family: str
    rows: pd.DataFrame
    fit: Fit | None
    why: str = ""
    draws: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    @property
    def name(self) -> str:
        """Name it as a person would."""
        return style.series_name(self.method, self.family)

    @property
    def held(self) -> bool:
        """Whether the data hold the law's exponent and floor, so that these are estimates."""
        return self.fit is not None and not self.fit.codes & NOT_HELD


def fit_series(
    study: Study,
    rows: pd.DataFrame,
    law: str,
    *,
    x: str,
    panel: str,
    draws: int,
    level: float,
) -> Fitted:
    """Fit a law to the rows of one method and family, over joint replicates of the queries.

    Parameters
    ----------
    study : Study
    rows : DataFrame
        Result rows of one metric; optional `used` (False: shown in grey and not fitted) and `note`.
    law : str
        Name of the law in `scaling`.
    x : str
        Column that is the law's argument: `P`, `D` or `C`.
    panel : str
        Title of the panel it is drawn in.
    draws : int
        Replicates behind the intervals; the same queries are resampled in every series of a study.
    level : float
        Of the intervals.
    """
    rows = rows.assign(x=rows[x].astype(float), panel=panel, name=rows["backbone"])
    for column, value in (("used", True), ("note", "")):
        if column not in rows:
            rows[column] = value
    method, family = str(rows["method"].iloc[0]), str(rows["family"].iloc[0])
    kept = rows[rows["used"]]
    sizes = kept["x"].nunique()
    if sizes < FEWEST:
        return Fitted(panel, method, family, rows, None, f"{_sizes(sizes)}, and a law needs {FEWEST}")
    replicates = study.replicates(kept, draws=draws)
    sd, source = study.seed_sd(str(kept["metric"].iloc[0]))
    try:
        found = fit(
            law,
            kept["x"].to_numpy(),
            kept["value"].to_numpy(),
            replicates=replicates,
            level=level,
            n_negatives=int(n) if pd.notna(n := kept["n_negatives"].iloc[0]) else None,
            n_queries=int(kept["n_queries"].iloc[0]),
            seed_sd=sd or None,
            seed_source=source if sd else None,
        )
    except BadInput as error:
        return Fitted(panel, method, family, rows, None, str(error), replicates)
    return Fitted(panel, method, family, rows, found, "", replicates)


def _sizes(count: int) -> str:
    return {0: "no point", 1: "one point"}.get(count, f"{count} points")


def points_of(fitted: Iterable[Fitted]) -> pd.DataFrame:
    """Collect the points of several series as `figures.laws.law_figure` takes them."""
    return pd.concat([one.rows for one in fitted], ignore_index=True)


def curves_of(fitted: Iterable[Fitted], *, reach: float = 1.0) -> pd.DataFrame:
    """Draw the laws of several series over their data (times `reach` beyond the largest x)."""
    parts = []
    for one in fitted:
        if one.fit is None or one.fit.codes & {"wrong_sign", "at_edge"}:
            continue
        kept = one.rows.loc[one.rows["used"], "x"]
        x = np.geomspace(kept.min(), kept.max() * reach, CURVE)
        low, high = one.fit.band(x)
        part = {"x": x, "y": one.fit.predict(x), "lo": low, "hi": high}
        parts.append(pd.DataFrame(part).assign(panel=one.panel, method=one.method, family=one.family))
    columns = ["panel", "method", "family", "x", "y", "lo", "hi"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def fit_table(
    fitted: Sequence[Fitted], *, caption: str, published: pd.DataFrame | None = None, with_panel: bool = False
) -> Styler:
    """Set the fitted parameters with their intervals beside the published ones.

    Parameters
    ----------
    fitted : sequence of Fitted
    caption : str
    published : DataFrame, optional
        `series` and a column per parameter's name, `R2` among them: what the paper printed.
    with_panel : bool
        Show the panel (the metric) as a column.
    """
    rows: list[dict[str, Any]] = []
    for one in fitted:
        if one.fit is not None:
            row = {**({"": one.panel} if with_panel else {}), "series": one.name}
            row |= parameters_of(one) | {"R²": tables.significant(one.fit.R2, 4), "points": str(one.fit.n)}
            rows.append(row)
    if published is not None:
        rows += [{str(k): v for k, v in row.items()} for row in published.to_dict("records")]
    frame = pd.DataFrame(rows)
    last = [c for c in ("R²", "points") if c in frame]
    frame = frame[[c for c in frame if c not in last] + last].fillna("–")
    return tables.styled(frame, caption=caption, tight=list(frame.columns))


def parameters_of(one: Fitted) -> dict[str, str]:
    """Write a fit's parameters with their intervals, for a table.

    The scale (gamma, eta, mu) hangs on the exponent so tightly that it has hardly a meaning of its own: it
    gets no interval, and no value where the exponent is not held. The height of the falling term at the
    centre of the data stands before it, where a floor tells how high that is.
    """
    found = one.fit
    if found is None:
        return {}
    row = {}
    if AMPLITUDE in found.derived and one.held:
        row[HEIGHT] = tables.estimate(found.derived[AMPLITUDE], found.intervals.get(AMPLITUDE))
    for p in found.law.parameters:
        if p.role == "scale":
            row[tables.symbol(p.symbol)] = tables.estimate(found.params[p.name]) if one.held else "–"
        elif p.role == "exponent" and "at_edge" in found.codes:
            row[tables.symbol(p.symbol)] = "–"  # the edge of the search is no estimate
        else:
            row[tables.symbol(p.symbol)] = tables.estimate(found.params[p.name], found.intervals.get(p.name))
    return row


def published_rows(law: str, **wanted: Any) -> pd.DataFrame:
    """Give the paper's printed coefficients of a law as rows for `fit_table`.

    Parameters
    ----------
    law : str
        Name of the law.
    **wanted
        Attributes that the printed law must have, e.g. `metric="MR@5"`.
    """
    symbols = {p.name: tables.symbol(p.symbol) for p in get_law(law).parameters}
    several = len({one.metric for one in published.laws(law=law)}) > 1
    rows = []
    for one in published.laws(law=law, **wanted):
        row = {"": one.metric} if several else {}
        row |= {"series": f"{style.series_name(one.method, one.family)} ({one.where})"}
        row |= {symbol: tables.significant(one.params[name]) for name, symbol in symbols.items()}
        rows.append(row | {"R²": f"{one.R2:.3f}"})
    return pd.DataFrame(rows)


def verdict_list(fitted: Iterable[Fitted]) -> str:
    """Write what the fits say of themselves as Markdown: what intervals cover, what is not identified."""
    covers, few = [], []
    told: dict[str, list[str]] = {}
    for one in fitted:
        if not one.rows["used"].any():
            continue
        if one.fit is None:
            few.append(f"{_called(one)} ({one.why})")
            continue
        covers.append(one.fit.covers)
        for note in one.fit.verdicts:
            told.setdefault(note.message, []).append(_called(one))
    lines = [f"*{sentence}*" for sentence in dict.fromkeys(covers)] + [""]
    lines += [f"- **{'; '.join(who)}**: {sentence}" for sentence, who in told.items()]
    lines += [f"- **No law** for {'; '.join(few)}."] if few else []
    return "\n".join(lines).strip()


def _called(one: Fitted) -> str:
    return one.name if one.rows["metric"].iloc[0] == "CGL" else f"{one.name}, {one.panel}"
