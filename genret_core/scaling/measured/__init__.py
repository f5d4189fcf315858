"""Studies that were run with genret and come along with it: their points, and where each is from.

A study is two files in `data/`: `NAME.csv`, a row per cell, split, beam and metric, and `NAME.json`, what was
run on what (corpus, recipe, commit, versions, hardware, dates). `genret points STUDY` writes such a pair from
any finished study.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from genret_core.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "about", "names", "points"]

COLUMNS = (
    "study", "method", "family", "backbone", "P", "D", "training_queries", "fraction", "seed", "split",
    "n_negatives", "beam", "C", "metric", "value", "stderr", "n_queries",
)  # fmt: skip


def names() -> list[str]:
    """List the studies that come along."""
    found = (path.name for path in _data().iterdir() if path.name.endswith(".csv"))
    return sorted(name.removesuffix(".csv") for name in found)


def points(name: str, *, metric: str | None = None, split: str | None = None) -> pd.DataFrame:
    """Give the points of a study.

    Parameters
    ----------
    name : str
        One of `names()`.
    metric : str, optional
        Only this one: `CGL`, `MR@5`, …
    split : str, optional
        Only these queries: `seen`, `unseen`, `validation`.

    Returns
    -------
    DataFrame
        `COLUMNS`: P in parameters without embeddings, D in pairs, C in FLOPs per query (of searches), CGL in
        nats with its N in `n_negatives`; `stderr` is of the draw of queries.

    Raises
    ------
    BadInput
        If there is no such study, or nothing is left of it.
    """
    import pandas as pd  # a quarter of a second that fits do not need

    _check(name)
    with _data().joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    for column, value in (("metric", metric), ("split", split)):
        if value is not None:
            left = table[table[column] == value]
            if left.empty:
                there = ", ".join(sorted(table[column].unique()))
                raise BadInput(f"The study {name} has no {column} {value!r}; it has {there}.")
            table = left
    return table.reset_index(drop=True)


def about(name: str) -> dict[str, Any]:
    """Give what was run on what: the record beside a study's points.

    Returns
    -------
    dict
        `study`, `note`, `corpus`, `cells`, `train_seconds`, `train_flops`, `created` (first and last),
        `commits`, `dirty`, `versions`, `hardware`, `parameters` (the study file, defaults included).
    """
    _check(name)
    found: dict[str, Any] = json.loads(_data().joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return found


def _check(name: str) -> None:
    if name not in names():
        raise BadInput(f"No measured study is called {name!r}; there are {', '.join(names()) or 'none'}.")


def _data() -> Any:
    return resources.files(__package__).joinpath("data")
