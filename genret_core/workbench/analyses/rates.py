"""The learning rates that were tried for each cell, beside the rule that they stand around."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from genret_core.files import read_json
from genret_core.workbench import tables
from genret_core.workbench.analyses.training import ngrams_first
from genret_core.workbench.figures import style
from genret_core.workbench.figures.training import learning_rate_sweep

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study


def tried_rates(study: Study) -> pd.DataFrame:
    """Read the learning rates that were tried, and their CGL on the validation queries.

    Returns
    -------
    DataFrame
        A row per cell and rate: `cell`, `method`, `family`, `backbone`, `P`, `fraction`, `seed`, `lr`, `CGL`
        (nan where training diverged), `rule` (the rate of the rule) and `kept`. Cells without a sweep have
        none.
    """
    rows = []
    for cell in ngrams_first(study.cells).to_dict("records"):
        path = study.layout.cell_file(cell["cell"])
        tried = read_json(path).get("lr_sweep") if path.is_file() else None
        rates = sorted(one["lr"] for one in tried or [])
        same = {
            name: cell[name] for name in ("cell", "method", "family", "backbone", "P", "fraction", "seed")
        }
        for one in tried or []:
            measured = math.nan if one["CGL"] is None else one["CGL"]
            row = {"lr": one["lr"], "CGL": measured, "rule": rates[len(rates) // 2]}
            rows.append({**same, **row, "kept": one["lr"] == cell["lr"]})
    columns = ["cell", "method", "family", "backbone", "P", "fraction", "seed", "lr", "CGL", "rule", "kept"]
    return pd.DataFrame(rows, columns=columns)


def rate_table(study: Study) -> Styler | Markdown:
    """List what each rate of the sweep gives on the validation queries, the one that was kept in bold."""
    tried = tried_rates(study)
    if tried.empty:
        return Markdown(NO_SWEEP)
    rows = []
    for _, part in tried.groupby("cell", sort=False):
        first = part.iloc[0]
        row = {
            "identifiers": style.METHOD_NAMES.get(first["method"], first["method"]),
            "backbone": first["backbone"],
            **{name: first[name] for name in ("P", "fraction", "seed", "rule")},
        }
        for one in part.to_dict("records"):
            told = "diverged" if math.isnan(one["CGL"]) else f"{one['CGL']:.5f}"
            row[f"CGL at {one['lr'] / one['rule']:g} × rule"] = f"{told} ✓" if one["kept"] else told
        rows.append(row)
    shown = pd.DataFrame(rows)
    constant = [name for name in ("fraction", "seed") if len(set(shown[name])) == 1]
    at_edge = int((tried["kept"] & (tried["lr"] != tried["rule"])).sum())
    caption = (
        "CGL on the validation queries at each learning rate tried; ✓: kept. "
        f"{at_edge} of {len(shown)} cells kept another than the rule's"
    )
    formats: dict[str, Any] = {"P": "{:,.0f}", "rule": "{:.2g}", "fraction": "{:g}"}
    return tables.styled(shown.drop(columns=constant), caption=caption, formats=formats)


NO_SWEEP = (
    "Each cell was trained once, at the rate of the rule. `recipe: {lr_sweep: 3}` in the study file tries "
    "half and twice that rate as well, and keeps the one with the least CGL on validation queries."
)


def rate_figure(study: Study) -> style.Figure | None:
    """Draw the rates tried and kept along the ladders, beside the rule; None without a sweep."""
    tried = tried_rates(study)
    return None if tried.empty else learning_rate_sweep(tried)
