"""`genret runs diff`: what differs between two studies, two cells or two notebook runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.readable import readable
from genret_core.workbench.history.found import Found
from genret_core.workbench.history.pairing import with_paired_errors
from genret_core.workbench.history.shown import show
from genret_core.workbench.study.changes import Change, differences

CELL = ["method", "family", "backbone", "fraction", "seed"]
EVALUATION = ["split", "n_negatives", "variant", "beam", "metric"]
SAME = ("study", "name")  # what two runs are called is no difference between them
SHOWN = 20  # rows of the table for people


@dataclass(frozen=True)
class Diff:
    """What differs between two runs.

    Attributes
    ----------
    a, b : str
        Their titles.
    parameters, inputs, provenance : list of Change
        By dotted key; of a study, of its file and of its cells.
    only_a, only_b : list of str
        Cells, or measurements of a cell, that only one of them has.
    rows : DataFrame
        Measurements that both have: what they are of, `a`, `b`, `difference` (b - a), its `stderr`, `z`, the
        difference in units of it, and `paired`: whether it is taken query by query (see `pairing`).
    answers : (str, str) or None
        Of two notebook runs.
    """

    a: str
    b: str
    parameters: list[Change]
    inputs: list[Change]
    provenance: list[Change]
    only_a: list[str]
    only_b: list[str]
    rows: pd.DataFrame
    answers: tuple[str, str] | None

    @property
    def equal(self) -> int:
        """How many measurements are equal to the last bit."""
        return int((self.rows["difference"] == 0).sum()) if len(self.rows) else 0

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        plain = {
            name: [asdict(change) for change in getattr(self, name)]
            for name in ("parameters", "inputs", "provenance")
        }
        rows = json.loads(self.rows.to_json(orient="records", double_precision=15))
        only = {"only_a": self.only_a, "only_b": self.only_b}
        return {"a": self.a, "b": self.b, **plain, **only, "answers": self.answers, "rows": rows}

    def __str__(self) -> str:
        """Write it for people; of the measurements, those that differ most."""
        lines = [f"A: {self.a}", f"B: {self.b}"]
        for head, changes in (
            ("parameters", self.parameters), ("inputs", self.inputs), ("code and machine", self.provenance),
        ):  # fmt: skip
            lines.append(f"{head}: the same" if not changes else f"{head}:")
            lines += [f"  {change.key}: {_short(change.before)} | {_short(change.now)}" for change in changes]
        for name, only in (("A", self.only_a), ("B", self.only_b)):
            if only:
                more = ", …" if len(only) > 6 else ""
                lines.append(f"only in {name} ({len(only)}): {', '.join(only[:6])}{more}")
        if self.answers is not None:
            lines += [
                f"answer of {name}: {readable(text)}" for name, text in zip("AB", self.answers, strict=True)
            ]
        if len(self.rows):
            lines.append(f"measured in both: {len(self.rows)}, {self.equal} of them equal to the last bit")
            lines += self._largest()
        return "\n".join(lines)

    def _largest(self) -> list[str]:
        differ = self.rows[self.rows["difference"] != 0]
        if differ.empty:
            return []
        order = differ["z"].abs().fillna(np.inf).sort_values(ascending=False, kind="stable").index
        table = differ.loc[order].head(SHOWN).dropna(axis="columns", how="all")
        how = " where queries are paired or not"
        if (all_are := bool(table["paired"].all())) or not table["paired"].any():
            how = ", query by query" if all_are else ", as of other queries"
            table = table.drop(columns="paired")
        head = f"the {len(table)} largest differences" if len(differ) > len(table) else "differences"
        told = table.to_string(index=False, na_rep="", float_format=lambda x: f"{x:.5g}")
        return [f"{head} (B - A; its SE{how}; and the one over the other):", told]


def diff(a: Found, b: Found) -> Diff:
    """Compare two runs of one kind.

    Raises
    ------
    BadInput
        If one is a study and the other a cell, say; or if notebook runs are of two notebooks.
    """
    if a.kind != b.kind:
        raise BadInput(f"{a.title} is a {a.kind} and {b.title} a {b.kind}: name two of one kind.")
    shown_a, shown_b = show(a), show(b)
    parameters = differences(_named(shown_a.parameters), _named(shown_b.parameters))
    inputs = differences(shown_a.inputs, shown_b.inputs)
    origin = differences(*(_origin(shown.provenance) for shown in (shown_a, shown_b)))
    rows = pd.DataFrame()
    only_a: list[str] = []
    only_b: list[str] = []
    answers: tuple[str, str] | None = None
    if a.kind == "notebook":
        answers = (shown_a.answer, shown_b.answer)
    else:
        by = EVALUATION if a.kind == "cell" else CELL + EVALUATION
        rows, only_a, only_b = matched(_rows(a), _rows(b), by)
        rows = with_paired_errors(rows, a.study, b.study).drop(columns=["run_id_a", "run_id_b"])
    return Diff(a.title, b.title, parameters, inputs, origin, only_a, only_b, rows, answers)


def matched(a: pd.DataFrame, b: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Put the measurements of two tables side by side.

    Parameters
    ----------
    a, b : DataFrame
        Tidy results.
    by : list of str
        Columns that say what a row measures.

    Returns
    -------
    rows : DataFrame
        Of what both have: `by`, `a`, `b`, `difference`, the `run_id` of both, and `stderr` for independent
        queries.
    only_a, only_b : list of str
        What only one table has: whole cells once, as `llama-d64 ngram s0`.
    """
    taken = [*by, "value", "stderr", "run_id"]
    whole = a[taken].merge(b[taken], on=by, how="outer", suffixes=("_a", "_b"), indicator=True)
    both = whole[whole["_merge"] == "both"]
    rows = both[by].rename(columns={}).reset_index(drop=True)
    rows["a"], rows["b"] = both["value_a"].to_numpy(), both["value_b"].to_numpy()
    rows["difference"] = rows["b"] - rows["a"]
    rows["stderr"] = np.hypot(both["stderr_a"].to_numpy(np.float64), both["stderr_b"].to_numpy(np.float64))
    for side in ("run_id_a", "run_id_b"):
        rows[side] = both[side].to_numpy(object)
    only_a, only_b = (
        _alone(whole[whole["_merge"] == side], both, by) for side in ("left_only", "right_only")
    )
    return rows, only_a, only_b


def _alone(rows: pd.DataFrame, both: pd.DataFrame, by: list[str]) -> list[str]:
    """Name what one table alone has: a cell, where all of it is missing, else what was measured of it."""
    if rows.empty:
        return []
    if "backbone" not in by:
        return [_name(row, by) for row in rows[by].to_dict("records")]
    shared = {tuple(row) for row in both[CELL].to_numpy(object)}
    names = []
    for row in rows[by].to_dict("records"):
        cell = f"{row['backbone']} {row['method']} {100 * row['fraction']:g}% s{row['seed']}"
        known = tuple(row[name] for name in CELL) in shared
        names.append(f"{cell}: {_name(row, EVALUATION)}" if known else cell)
    return list(dict.fromkeys(names))


def _name(row: Mapping[Any, Any], by: list[str]) -> str:
    told = [f"{key} {row[key]:g}" if isinstance(row[key], float) else str(row[key]) for key in by
            if row[key] is not None and row[key] == row[key]]  # fmt: skip
    return " ".join(told)


def _rows(found: Found) -> pd.DataFrame:
    try:
        rows = found.study.results
    except BadInput:
        return pd.DataFrame(columns=[*CELL, *EVALUATION, "value", "stderr", "run_id"])
    return rows if found.kind == "study" else rows[rows["cell"] == found.folder.name]


def _named(parameters: dict[str, Any]) -> dict[str, Any]:
    """Give a study's ladders and rungs by name, so that a new rung is one difference and not many."""
    found = {key: value for key, value in parameters.items() if key not in SAME}
    ladders = found.pop("ladders", None)
    if ladders is not None:
        found["ladders"] = {
            ladder["family"]: {
                **{key: value for key, value in ladder.items() if key not in ("family", "backbones")},
                **{rung["name"]: rung for rung in ladder.get("backbones", ())},
            }
            for ladder in ladders
        }
    return found


def _origin(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in provenance.items() if key != "created"}


def _short(value: Any) -> str:
    return "nothing" if value is None else readable(value, 120)
