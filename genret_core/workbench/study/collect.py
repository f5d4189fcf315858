"""The two tables of a study, rebuilt from its cell folders: one writer, a fixed order, nothing appended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import atomic, read_json
from genret_core.modeling import CellSpec, LossEval, SearchEval, StudyFolder
from genret_core.modeling.whole import cell_is_whole, checkpoint_is_broken, evaluation_is_whole, json_is_whole
from genret_core.readable import readable
from genret_core.workbench.study.answers import PREFIX, match_answers
from genret_core.workbench.study.file import METHODS, StudySpec
from genret_core.workbench.study.grid import cell_specs
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.lock import in_turn
from genret_core.workbench.study.variants import DEFAULT, Switches, variant_names

CELL_COLUMNS = (
    "cell", "study", "corpus", "method", "family", "backbone", "P", "P_total", "D", "n_queries", "fraction",
    "seed", "lr", "lr_rule", "steps", "tokens", "train_flops", "train_seconds", "peak_memory",
)  # fmt: skip
RESULT_COLUMNS = (
    "cell", "method", "family", "backbone", "P", "D", "fraction", "seed", "split", "n_negatives", "variant",
    "beam", "C", "C_no_head", "seconds", "metric", "value", "stderr", "n_queries", "run_id",
    "C_prefill", "C_unshared", "C_rescoring", "model_seconds", "index_seconds", "scoring_seconds",
    "build_seconds",
)  # fmt: skip
ORDER = ["method", "family", "P", "backbone", "fraction", "seed", "cell"]
_WHOLE = ("seed", "n_queries", "steps", "tokens")  # beam and N stay floats: half of the rows have none
_TEXT = {
    "cell",
    "study",
    "corpus",
    "method",
    "family",
    "backbone",
    "lr_rule",
    "split",
    "variant",
    "metric",
    "run_id",
}


def evaluation_folder(folder: Path, run_id: str) -> Path:
    """Find the evaluation that a row of `results.parquet` came from (`run_id`: cell/evaluation)."""
    cell, _, evaluation = run_id.partition("/")
    if not evaluation:
        return StudyFolder(folder).sample(cell)
    return StudyFolder(folder).evaluation(cell, evaluation)


def is_trained(cell: CellSpec) -> bool:
    """Whether a cell has its weights, all of them."""
    checkpoint = cell.layout.checkpoint(cell.key)
    trained = json_is_whole(cell.layout.cell_file(cell.key)) and checkpoint.is_dir()
    return trained and not checkpoint_is_broken(checkpoint)


def is_done(cell: CellSpec) -> bool:
    """Whether a cell is trained and everything asked of it is measured, every file whole."""
    return cell_is_whole(cell)


def collect(
    folder: Path, spec: StudySpec, inputs: Inputs, plan: Sequence[CellSpec] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rebuild `cells.parquet` and `results.parquet` from what lies in the study folder.

    Parameters
    ----------
    folder : Path
        The study folder.
    spec : StudySpec
        Cells and evaluations outside of its grid are left out (they stay on disk).
    inputs : Inputs
        Keys of its inputs.
    plan : sequence of CellSpec, optional
        Its cells, where they are known already.

    Returns
    -------
    cells, results : DataFrame
        As written.
    """
    with in_turn(folder / "tables-lock.json", "the tables"):
        return _collect(folder, spec, inputs, plan)


def _collect(
    folder: Path, spec: StudySpec, inputs: Inputs, plan: Sequence[CellSpec] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = {method: variant_names(spec, method) for method in METHODS}
    plan = cell_specs(spec, inputs, folder) if plan is None else plan
    match_answers(folder, inputs, _searched(plan, folder, inputs))
    cells: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for cell in plan:
        row, own = rows_of_cell(cell, names[cell.method])
        if row is not None:
            cells.append(row)
            results += own
    results += rows_of_bm25(folder, inputs)
    tables = as_tables(cells, results)
    at = StudyFolder(folder)
    for table, path in zip(tables, (at.cells_table, at.results_table), strict=True):
        if not _holds(path, table):  # a file that is as it should be keeps its date
            with atomic(path) as part:
                table.to_parquet(part, index=False)
    return tables


def rows_of_cell(
    cell: CellSpec, names: Mapping[Switches, str]
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Read a cell's row and those of what was measured on it; None and none while it has no weights."""
    row = _cell_row(cell)
    return row, [] if row is None else list(_result_rows(cell, row, names))


def as_tables(
    cells: list[dict[str, Any]], results: list[dict[str, Any]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay rows out as the two tables."""
    searched = ["split", "n_negatives", "variant", "beam", "metric", "run_id"]
    return _table(cells, CELL_COLUMNS, ORDER), _table(results, RESULT_COLUMNS, [*ORDER, *searched])


def _holds(path: Path, table: pd.DataFrame) -> bool:
    try:
        return pd.read_parquet(path).equals(table)
    except (OSError, ValueError):
        return False


def _cell_row(cell: CellSpec) -> dict[str, Any] | None:
    path = cell.layout.cell_file(cell.key)
    if not json_is_whole(path):
        return None
    with _no_others_values(path):
        return _row_of(cell, read_json(path))


def _row_of(cell: CellSpec, found: dict[str, Any]) -> dict[str, Any]:
    row = {name: _number(name, found.get(name)) for name in CELL_COLUMNS}
    row |= {
        "cell": cell.key,
        "study": cell.study,
        "backbone": cell.backbone.name,
        "lr_rule": str(cell.lr_rule),
    }
    before = found.get("pretraining") or {}  # of a study that pretrains: not in train_flops
    row |= {f"pretrain_{name}": before[name] for name in ("flops", "seconds") if before}
    for name, value in (found.get("provenance") or {}).items():
        row[name] = json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
    return row


def _searched(plan: Iterable[CellSpec], folder: Path, inputs: Inputs) -> Iterable[Path]:
    """List the folders of the searches that are done, BM25's among them."""
    own = [
        cell.layout.evaluation(cell.key, search.key)
        for cell in plan
        for search in cell.searches
        if evaluation_is_whole(cell.layout.evaluation(cell.key, search.key), search)
    ]
    words = [StudyFolder(folder).sample(key) for key in inputs.bm25.values()]
    return [*own, *(path for path in words if (path / "eval.json").is_file())]


def _result_rows(
    cell: CellSpec, row: dict[str, Any], names: Mapping[Switches, str]
) -> Iterable[dict[str, Any]]:
    same = {
        name: row[name] for name in ("cell", "method", "family", "backbone", "P", "D", "fraction", "seed")
    }
    found: list[tuple[LossEval | SearchEval, str]] = [(loss, DEFAULT) for loss in cell.losses]
    listed = set()
    for search in cell.searches:
        variant = names[Switches.of(search)]
        alike = (search.split, search.beam, search.n_queries, variant)
        if alike not in listed:  # two blocks may write the same options in two ways
            listed.add(alike)
            found.append((search, variant))
    for evaluation, variant in found:
        path = cell.layout.evaluation(cell.key, evaluation.key)
        if evaluation_is_whole(path, evaluation):
            yield from _evaluation_rows(path, {**same, "variant": variant}, f"{cell.key}/{evaluation.key}")


def rows_of_bm25(folder: Path, inputs: Inputs) -> Iterable[dict[str, Any]]:
    """Read what BM25 found on the same queries."""
    same = {"method": "bm25", "family": "bm25", "backbone": "bm25", "fraction": 1.0, "seed": 0}
    for key in inputs.bm25.values():
        path = StudyFolder(folder).sample(key)
        if (path / "eval.json").is_file():
            yield from _evaluation_rows(path, {**same, "cell": key, "variant": DEFAULT}, key)


def _evaluation_rows(path: Path, same: dict[str, Any], run_id: str) -> Iterable[dict[str, Any]]:
    with _no_others_values(path / "eval.json"):
        yield from _rows_of(read_json(path / "eval.json"), {**same, "run_id": run_id})


def _rows_of(found: dict[str, Any], same: dict[str, Any]) -> Iterable[dict[str, Any]]:
    own = {
        name: _number(name, found.get(name))
        for name in (
            "split", "n_negatives", "beam", "C", "C_no_head", "seconds", "n_queries",
            "model_seconds", "index_seconds", "scoring_seconds", "build_seconds",
        )
    }  # fmt: skip
    own |= _items(found.get("flops") or {})
    for metric, (value, stderr) in sorted(found["metrics"].items()):
        measured = {"value": _number(metric, value), "stderr": _number(metric, stderr)}
        row = {**same, **own, "metric": metric, **measured}
        if metric.startswith(PREFIX):
            row["n_queries"] = found["answered_queries"]
        yield row


def _number(name: str, value: Any) -> Any:
    """Give a value of a column of numbers as it is."""
    if name not in _TEXT and not (value is None or isinstance(value, int | float)):
        raise TypeError(f"{name} is {readable(value, 40)!r}, which is no number")
    return value


@contextlib.contextmanager
def _no_others_values(path: Path) -> Iterator[None]:
    """Say which record it was that holds something else than what is written there."""
    try:
        yield
    except BadInput:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else readable(error, 120)
        told = f"{path} is not the record of a finished run ({what}); remove its folder"
        raise BadInput(f"{told}, and run the study again.") from None


def _items(flops: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Name the items of C: reading the query, what it costs more if every beam reads it, and rescoring."""
    if not flops:
        return {}
    again = flops.get("rescoring")
    return {
        "C_prefill": flops["search"]["prefill"],
        "C_unshared": flops["search"]["unshared"],
        "C_rescoring": again["without_head"] + again["head"] if again else 0.0,
    }


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...], order: list[str]) -> pd.DataFrame:
    more = dict.fromkeys(name for row in rows for name in row if name not in columns)
    table = pd.DataFrame(rows, columns=[*columns, *more])
    numbers = [name for name in columns if name not in _TEXT]
    table[numbers] = table[numbers].astype(np.float64)
    whole = [name for name in _WHOLE if name in columns]
    table[whole] = table[whole].astype(np.int64)
    return table.sort_values(order, kind="stable", ignore_index=True)
