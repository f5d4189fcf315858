"""08: what a search costs, item by item: FLOPs by formula, and where its seconds went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.workbench import tables
from genret_core.workbench.analyses.baseline import bm25_rows
from genret_core.workbench.analyses.law_question import LawQuestion
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

PARTS = {"model": "model_seconds", "index": "index_seconds", "scoring": "scoring_seconds"}

SHARES = "model · index · scoring"


def costs(study: Study, found: LawQuestion) -> pd.DataFrame:
    """Take what the searches of a figure cost, a row per search, with all their variants.

    Returns
    -------
    DataFrame
        `method`, `backbone`, `beam`, `variant`; FLOPs per query: `C`, `C_no_head`, `C_prefill` (reading the
        query once, within C), `C_alone` (C if every beam reads the query itself), `C_rescoring` (within C);
        `ms` per query and of these the shares of the model's passes, of look-ups in the index and of the
        scoring of documents. NaN where a search of an older version did not note it.
    """
    cells = list(dict.fromkeys(cell for one in found.fits for cell in one.rows["cell"]))
    split = found.fits[0].rows["split"].iloc[0]
    rows = study.results
    rows = rows[rows["cell"].isin(cells) & rows["beam"].notna() & (rows["split"] == split)]
    rows = rows.drop_duplicates("run_id").copy()
    for name in ("C_prefill", "C_unshared", "C_rescoring", *PARTS.values()):
        if name not in rows:
            rows[name] = np.nan
    rows["order"] = rows["cell"].map(cells.index)
    rows["plain"] = rows["variant"] != "default"
    rows = rows.sort_values(["order", "plain", "variant", "beam"], kind="stable", ignore_index=True)
    table = rows[["method", "backbone", "beam", "variant", "C", "C_no_head", "C_prefill"]].copy()
    table["C_alone"] = rows["C"] + rows["C_unshared"]
    table["C_rescoring"] = rows["C_rescoring"]
    table["ms"] = 1000 * rows["seconds"].astype(float)
    for name, column in PARTS.items():
        table[name] = rows[column] / rows["seconds"]
    return table


def cost_table(study: Study, found: LawQuestion) -> Styler:
    """Lay out the costs, BM25's seconds in the caption."""
    rows = costs(study, found)
    shown = pd.DataFrame(
        {
            "identifiers": rows["method"].map(style.METHOD_NAMES),
            "backbone": rows["backbone"],
            "beam": rows["beam"].astype(int),
        }
    )
    if len(set(rows["variant"])) > 1:
        shown["switches"] = rows["variant"]
    flops = {
        "C": "C",
        "C_no_head": "no head",
        "C_prefill": "prefill",
        "C_rescoring": "rescoring",
        "C_alone": "not shared",
    }
    for column, name in flops.items():
        if column != "C_rescoring" or (rows[column] > 0).any():
            shown[name] = rows[column].astype(float)
    shown["ms"] = rows["ms"]
    shown[SHARES] = [_shares(row) for row in rows[list(PARTS)].to_numpy(float)]
    formats: dict[str, Any] = dict.fromkeys(flops.values(), style.short) | {"ms": "{:.1f}"}
    caption = "FLOPs and ms per query" + _words(study, str(found.fits[0].rows["split"].iloc[0]))
    return tables.styled(shown, caption=caption, formats=formats, tight=["backbone", "switches", SHARES])


def _shares(parts: np.ndarray) -> str:
    return "–" if np.isnan(parts).any() else " · ".join(f"{100 * part:.0f}" for part in parts) + " %"


def _words(study: Study, split: str) -> str:
    rows = bm25_rows(study, split)
    if rows.empty:
        return ""
    told = f". BM25: {1000 * float(rows['seconds'].iloc[0]):.1f} ms"
    if "build_seconds" in rows and rows["build_seconds"].notna().any():
        told += f", its index {float(rows['build_seconds'].iloc[0]):.2g} s once"
    return told
