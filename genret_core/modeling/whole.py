"""Whether the files of a cell are all in place, and none was cut off or emptied since.

A file counts as whole by how it ends: what a full disk, a crash of the machine or a broken copy leaves ends
otherwise. Only a few bytes of each are read, so that thousands of cells are looked at in a second.
"""

from __future__ import annotations

import json
import os

from genret_core.modeling.spec import CellSpec, LossEval, SearchEval

HEADER = 8  # bytes of a safetensors file that say how long its header is
LONGEST_HEADER = 100_000_000


def cell_is_whole(cell: CellSpec) -> bool:
    """Whether a cell is trained and all that is asked of it is measured, every file in place.

    A checkpoint that is gone as a whole was removed to save room: the cell stays done, as nothing that was
    asked of it is missing. One of which a part is gone is not whole.
    """
    at = os.fspath(cell.layout.cell(cell.key))
    evaluations: tuple[LossEval | SearchEval, ...] = (*cell.losses, *cell.searches)
    return (
        json_is_whole(f"{at}/cell.json")
        and not checkpoint_is_broken(f"{at}/checkpoint")
        and all(evaluation_is_whole(f"{at}/evals/{e.key}", e) for e in evaluations)
    )


def evaluation_is_whole(folder: str | os.PathLike[str], evaluation: LossEval | SearchEval) -> bool:
    """Whether an evaluation is there with its tables."""
    at = os.fspath(folder)
    if not json_is_whole(f"{at}/eval.json"):
        return False
    tables = {name for name in os.listdir(at) if name.endswith(".parquet") and not name.startswith(".")}
    own = "losses.parquet" if isinstance(evaluation, LossEval) else "searches.parquet"
    return {"per_query.parquet", own} <= tables and all(parquet_is_whole(f"{at}/{name}") for name in tables)


def checkpoint_is_broken(folder: str | os.PathLike[str]) -> bool:
    """Whether a checkpoint is there, but not all of it."""
    at = os.fspath(folder)
    try:
        names = os.listdir(at)
    except FileNotFoundError:
        return False
    weights = [name for name in names if name.endswith(".safetensors")]
    told = [name for name in names if name.endswith(".json")]
    return not (
        told
        and weights
        and all(safetensors_is_whole(f"{at}/{name}") for name in weights)
        and all(json_is_whole(f"{at}/{name}") for name in told)
    )


def json_is_whole(path: str | os.PathLike[str]) -> bool:
    """Whether a JSON object was written to its end."""
    return _tail(path, 16).rstrip().endswith(b"}")


def parquet_is_whole(path: str | os.PathLike[str]) -> bool:
    """Whether a parquet file was written to its end, where it says what is in it."""
    return _tail(path, 4) == b"PAR1"


def safetensors_is_whole(path: str | os.PathLike[str]) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(HEADER), "little")
            if not 0 < length < LONGEST_HEADER:
                return False
            tensors = json.loads(file.read(length))
            size = os.fstat(file.fileno()).st_size
    except (OSError, ValueError):
        return False
    ends = [told["data_offsets"][1] for name, told in tensors.items() if name != "__metadata__"]
    return size == HEADER + length + max(ends, default=0)


def _tail(path: str | os.PathLike[str], count: int) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            os.lseek(file, max(0, os.fstat(file).st_size - count), os.SEEK_SET)
            return os.read(file, count)
        finally:
            os.close(file)
    except OSError:
        return b""
