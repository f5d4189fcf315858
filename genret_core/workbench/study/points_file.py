"""The points of a finished study as two small files that can be handed on: what was measured, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import atomic, write_json
from genret_core.scaling.measured import COLUMNS
from genret_core.workbench.study.variants import plain_rows

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

METRICS = ("CGL", "MR@5", "MR@20", "MR@100", "R@100", "nDCG@10", "RR@10", "AP@10")
MACHINE = ("python", "os", "cpu", "cores", "memory", "gpu", "cuda")  # of a record of provenance


def write_points(study: Study, path: Path) -> tuple[Path, Path]:
    """Write `path` (CSV) and a JSON file of the same name beside it.

    Parameters
    ----------
    study : Study
        A study of which every cell is done.
    path : Path
        Where the points go; it ends in `.csv`.

    Returns
    -------
    (Path, Path)
        The points and the record.

    Raises
    ------
    BadInput
        If cells are missing, or the path does not end in `.csv`.
    """
    if path.suffix != ".csv":
        raise BadInput(f"{path} should end in .csv: the record goes beside it, into {path.stem}.json.")
    if missing := study.missing():
        raise BadInput(f"{study.folder} is not finished: {missing}")
    rows = plain_rows(study.results[study.results["metric"].isin(METRICS)])
    queries = study.cells[["cell", "n_queries"]].rename(columns={"n_queries": "training_queries"})
    table = rows.merge(queries, on="cell", how="inner")
    order = ["method", "family", "P", "fraction", "seed", "split", "beam", "metric"]
    table = table.assign(study=study.name).sort_values(order, kind="stable")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        table[list(COLUMNS)].to_csv(part, index=False, lineterminator="\n")
    record = path.with_suffix(".json")
    write_json(record, about(study))
    return path, record


def about(study: Study) -> dict[str, Any]:
    """Say what was run on what, over all cells of a study."""
    cells = study.cells
    meta = study.corpus.meta
    return {
        "study": study.name,
        "note": study.spec.note,
        "corpus": {key: meta[key] for key in ("name", "key", "counts", "versions") if key in meta},
        "cells": len(cells),
        "train_seconds": float(cells["train_seconds"].sum()),
        "train_flops": float(cells["train_flops"].sum()),
        "created": [str(cells["created"].min()), str(cells["created"].max())],
        "commits": _all(cells, "commit"),
        "dirty": bool(cells["dirty"].fillna(True).any()),  # unknown counts as dirty
        "hardware": {name: _all(cells, name) for name in MACHINE if name in cells},
        "versions": _versions(cells["versions"]),
        "parameters": study.spec.model_dump(mode="json", exclude={"notebook_parameters"}),
    }


def _versions(told: pd.Series[str]) -> dict[str, list[str]]:
    """Every version of each package that cells were made with."""
    found: dict[str, set[str]] = {}
    for text in told.dropna().unique():
        for package, version in json.loads(text).items():
            found.setdefault(package, set()).add(version)
    return {package: sorted(versions) for package, versions in sorted(found.items())}


def _all(cells: pd.DataFrame, column: str) -> list[Any]:
    """Every value of a column, once."""
    return sorted({value.item() if hasattr(value, "item") else value for value in cells[column].dropna()})
