"""Points of a study: CGL by model size, by data and by both, miss rates by compute; with their replicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

DRAWS = 1000  # joint resamples of the queries
DEPTHS = (5, 20, 100)  # k of MR@k
FEWEST = {"P": 3, "D": 3, "C": 3, "joint": 6}  # distinct sizes
LAWS = {"P": "model_size", "D": "data_size", "C": "inference", "joint": "joint_exchanged"}


@dataclass(frozen=True)
class _Part:
    """Rows of one series, and how it is called."""

    series: str
    label: str
    x: str  # P, D, C or joint
    y: str
    rows: pd.DataFrame


def study_source(study_dir: str | Path | Study, *, split: str | None = None, draws: int = DRAWS) -> Source:
    """Take the points of a study.

    Parameters
    ----------
    study_dir : path-like or Study
        Folder or name of a study, or one that is open.
    split : str, optional
        Evaluation queries; default the first of the study.
    draws : int
        Joint resamples of the queries behind the intervals.

    Raises
    ------
    BadInput
        If there is no study, or no series in it with points enough for a law.
    """
    from genret_core.workbench.runs import Study, find_study

    study = study_dir if isinstance(study_dir, Study) else find_study(study_dir)
    split = split or study.spec.evaluation.splits[0]
    parts = [part for part in _parts(study, split) if _sizes(part) >= FEWEST[part.x]]
    if not parts:
        raise BadInput(f"{study.folder} holds no series with three sizes or more. {study.missing()}".strip())
    tables: list[pd.DataFrame] = []
    replicates: dict[str, np.ndarray] = {}
    apart: list[tuple[int, str]] = []
    for part in parts:
        table = _table(part)
        first = 1 + sum(map(len, tables))
        table["row"] = np.arange(first, first + len(table))
        if "used" in part.rows:
            out = ~part.rows["used"].to_numpy(dtype=bool)
            apart += list(zip(table["row"][out], table["note"][out], strict=True))
        tables.append(table)
        replicates[part.series] = study.replicates(part.rows, draws=draws)
    negatives = [int(n) for part in parts for n in part.rows["n_negatives"].dropna().unique()]
    first_part = parts[0]
    return Source(
        name=study.name,
        table=pd.concat(tables, ignore_index=True),
        x=_names(first_part)["x"],
        y=first_part.y,
        x2=_names(first_part).get("x2"),
        n_negatives=negatives[0] if len(set(negatives)) == 1 else None,
        labels={part.series: part.label for part in parts},
        laws={part.series: LAWS[part.x] for part in parts},
        replicates=replicates,
        names={part.series: _names(part) for part in parts},
        kin={part.series: _kin(part) for part in parts},
        seed_sd={part.series: study.seed_sd(part.y) for part in parts},
        n_queries={part.series: int(part.rows["n_queries"].iloc[0]) for part in parts},
        apart=tuple((int(row), str(why)) for row, why in apart),
        origin={"kind": "study", "path": str(study.folder), "split": split, "draws": draws},
        note=f"Cells of the study {study.name} on {split} queries. {study.quick_note or ''}".strip(),
    )


def _parts(study: Study, split: str) -> Iterator[_Part]:
    """Give every series that the study may hold."""
    from genret_core.workbench.analyses.data import most_fractions
    from genret_core.workbench.analyses.inference import beams_of, told_apart
    from genret_core.workbench.analyses.sizes import by_series

    losses = study.rows("CGL", split=split)
    if len(losses):
        for (method, family), rows in by_series(losses[losses["fraction"] == 1.0]):
            called = style.series_name(method, family)
            yield _Part(f"size:{method}:{family}", called, "P", "CGL", rows)
        backbone = most_fractions(losses)
        own = losses[losses["backbone"] == backbone]
        for method in own["method"].unique():
            called = f"{backbone}, {style.series_name(method)}, by data"
            rows = own[own["method"] == method]
            yield _Part(f"data:{method}:{backbone}", called, "D", "CGL", rows)
        for (method, family), rows in by_series(losses):
            called = f"{style.series_name(method, family)}, size and data"
            yield _Part(f"joint:{method}:{family}", called, "joint", "CGL", rows)
    for k in DEPTHS:
        rows = beams_of(study, f"MR@{k}", split=split)
        if len(rows):
            for method, family, part in style.by_series(told_apart(study, rows, k)):
                called = f"{style.series_name(method, family)}, MR@{k}"
                yield _Part(f"MR@{k}:{method}:{family}", called, "C", f"MR@{k}", part)


def _names(part: _Part) -> dict[str, str]:
    if part.x == "joint":
        return {"x": "P", "y": part.y, "x2": "D"}
    return {"x": part.x, "y": part.y}


def _kin(part: _Part) -> tuple[str, str]:
    return str(part.rows["method"].iloc[0]), str(part.rows["family"].iloc[0])


def _sizes(part: _Part) -> int:
    """Count distinct sizes; of a law of two, cells at which both arguments vary."""
    rows = part.rows[part.rows["used"]] if "used" in part.rows else part.rows
    if part.x != "joint":
        return len(rows[part.x].unique())
    varied = len(rows["P"].unique()) > 1 and len(rows["D"].unique()) > 1
    return len(rows[["P", "D"]].drop_duplicates()) if varied else 0


def _table(part: _Part) -> pd.DataFrame:
    rows = part.rows.reset_index(drop=True)
    names = _names(part)
    note = rows["note"] if "note" in rows else [f"run {run}" for run in rows["run_id"]]
    many = part.x in ("D", "joint")
    shares = [f", {100 * share:g} % of the queries" if many else "" for share in rows["fraction"]]
    table = pd.DataFrame({"x": rows[names["x"]].astype(float), "y": rows["value"].astype(float)})
    if "x2" in names:
        table["x2"] = rows[names["x2"]].astype(float)
    table["name"] = [f"{backbone}{share}" for backbone, share in zip(rows["backbone"], shares, strict=True)]
    return table.assign(series=part.series, note=list(note))
