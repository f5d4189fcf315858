"""The cells of a study as rows of its page: what is shown, what is sorted by, failed ones first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from genret_core.readable import readable
from genret_core.workbench.report.facts import seconds

if TYPE_CHECKING:
    import pandas as pd

STATES = ("failed", "killed", "timeout", "running", "queued", "done")  # what needs looking at comes first
BROKEN = ("failed", "killed", "timeout")
METRICS = ("CGL", "rho", "R@100", "MR@5")
SPLITS = ("seen", "unseen", "validation")
COLUMNS = (  # name of the value, heading, explanation, whether it is a number
    ("state", "state", "done, or why not", False),
    ("now", "now", "what it is doing", False),
    ("method", "method", "how documents are named", False),
    ("family", "family", "decoder-only (llama) or encoder-decoder (t5)", False),
    ("backbone", "backbone", "the model's size", False),
    ("P", "P", "non-embedding parameters", True),
    ("D", "D", "query-identifier pairs it was trained on", True),
    ("fraction", "fraction", "of the training queries", True),
    ("seed", "seed", "of its initial weights and of the order of its data", True),
    ("CGL", "CGL", "contrastive generation loss: lower is better", True),
    ("rho", "ρ", "positive over mean negative loss: 1 is chance", True),
    ("R@100", "R@100", "recall at 100", True),
    ("MR@5", "MR@5", "miss rate at 5: lower is better", True),
    ("train_seconds", "time", "of training", True),
)
LONGEST = 80  # characters of a name in the table


@dataclass(frozen=True)
class Row:
    """A cell: per column what is shown and the number behind it ("" and None where there is none)."""

    key: str
    state: str
    reason: str
    label: str
    shown: Mapping[str, str]
    numbers: Mapping[str, float | None]
    log: str | None  # where its log lies, as a link

    @property
    def broken(self) -> bool:
        """Whether it needs looking at."""
        return self.state in BROKEN


def cell_rows(cells: pd.DataFrame, results: pd.DataFrame) -> tuple[list[Row], int | None]:
    """Turn cells and results into rows, failed ones first.

    Parameters
    ----------
    cells : DataFrame
        As `write_index` takes them.
    results : DataFrame
        Tidy results; may be empty.

    Returns
    -------
    list of Row
    int or None
        The beam that the searches shown were made with.
    """
    beam = common_beam(results)
    metrics = _metrics(results, beam)
    given = ({str(name): value for name, value in one.items()} for one in cells.to_dict("records"))
    rows = [_row(one, metrics) for one in given]
    order = {state: place for place, state in enumerate(STATES)}
    return sorted(rows, key=lambda row: order.get(row.state, -1)), beam


def columns_of(rows: Sequence[Row]) -> list[tuple[str, str, str, bool]]:
    """Give the columns in which anything stands."""
    always = ("state", "backbone")
    return [one for one in COLUMNS if one[0] in always or any(row.shown[one[0]] for row in rows)]


def counts(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Count the rows by state, in the order of the page."""
    states = [row.state for row in rows]
    return [(state, states.count(state)) for state in dict.fromkeys([*STATES, *states]) if state in states]


def data(rows: Sequence[Row], columns: Sequence[tuple[str, str, str, bool]]) -> dict[str, Any]:
    """Give the table as the page's script takes it: every row, as shown and as it is sorted."""
    names = [name for name, *_ in columns]
    return {
        "columns": [{"name": one[0], "heading": one[1], "number": one[3]} for one in columns],
        "rows": [
            {
                "key": row.key,
                "state": row.state,
                "reason": row.reason,
                "log": row.log,
                "shown": [row.shown[name] for name in names],
                "values": [row.numbers[name] if number else None for name, _, _, number in columns],
            }
            for row in rows
        ],
    }


def common_beam(results: pd.DataFrame) -> int | None:
    """Choose the beam that most cells were searched with (the widest of several), to compare cells at."""
    searched = results[results["beam"].notna()] if "beam" in results else results.iloc[:0]
    if searched.empty:
        return None
    cells = searched.groupby("beam")["cell"].nunique()
    return int(cells[cells == cells.max()].index.max())


def _metrics(results: pd.DataFrame, beam: int | None) -> dict[str, dict[str, float]]:
    """Give each cell one value per metric: of the first split there is, searches at `beam`."""
    found: dict[str, dict[str, float]] = {}
    if results.empty:
        return found
    rows = results[results["metric"].isin(METRICS)]
    if "variant" in rows:
        rows = rows[rows["variant"].isna() | (rows["variant"] == "default")]
    rank = {split: place for place, split in enumerate(SPLITS)}
    if "beam" in rows:
        rows = rows[rows["beam"].isna() | (rows["beam"] == beam)]
    rows = rows.assign(_rank=rows["split"].map(rank).fillna(len(rank))).sort_values("_rank", kind="stable")
    for cell, metric, value in zip(rows["cell"], rows["metric"], rows["value"], strict=True):
        found.setdefault(str(cell), {}).setdefault(str(metric), float(value))
    return found


def _row(given: dict[str, Any], metrics: Mapping[str, Mapping[str, float]]) -> Row:
    key = str(given.get("cell") or "")
    state = given.get("state")
    given |= {**metrics.get(key, {}), "state": state if isinstance(state, str) and state else "done"}
    shown = {name: _shown(name, given.get(name)) for name, *_ in COLUMNS}
    label = ", ".join(shown[name] for name in ("backbone", "method") if shown[name])
    label += f", fraction {shown['fraction']}, seed {shown['seed']}" if shown["fraction"] else ""
    reason, log = given.get("reason"), given.get("log")
    return Row(
        key=readable(key, LONGEST),
        state=shown["state"],
        reason=readable(reason) if isinstance(reason, str) else "",
        label=label,
        shown=shown,
        numbers={name: _number(given.get(name)) for name, _, _, number in COLUMNS if number},
        log=quote(log) if isinstance(log, str) else None,
    )


def _number(value: Any) -> float | None:
    number = math.nan if value is None or isinstance(value, str) else float(value)
    return number if math.isfinite(number) else None


def _shown(name: str, value: Any) -> str:
    if isinstance(value, str):
        return readable(value, LONGEST)
    number = _number(value)
    if number is None:
        return ""
    if name in ("P", "D"):
        return f"{number:,.0f}"
    if name == "train_seconds":
        return seconds(number)
    if name in METRICS:
        return f"{number:.{5 if name == 'CGL' else 3}f}"
    return f"{number:.4g}"
