"""The files of a token index: what may go in, and what is refused when they are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.retrieval.suffix_array import CHUNK

VERSION = 1
ARRAYS = ("tokens", "suffixes", "doc_starts", "first")
FIELDS = ("n_tokens", "n_documents", "vocab_size", "separator_id", "tokenizer_key", "max_depth", "bytes")


def checked_counts(ids: np.ndarray, doc_starts: np.ndarray, vocab_size: int, separator_id: int) -> np.ndarray:
    """Check a token stream and give the cumulative counts of its tokens, int64[vocab_size + 1]."""
    n = len(ids)
    if not len(doc_starts) > 1 or doc_starts[0] != 0 or doc_starts[-1] != n or np.diff(doc_starts).min() < 1:
        raise BadInput(
            f"doc_starts must rise from 0 to the number of tokens ({n}), one entry per document and one."
        )
    counts = np.zeros(vocab_size, np.int64)
    for start in range(0, n, CHUNK):
        chunk = np.asarray(ids[start : start + CHUNK])
        if chunk.min() < 0 or chunk.max() >= vocab_size:
            where = start + int(np.flatnonzero((chunk < 0) | (chunk >= vocab_size))[0])
            raise BadInput(f"token {where} is {ids[where]}, outside the vocabulary of {vocab_size} tokens.")
        counts += np.bincount(chunk.astype(np.int64), minlength=vocab_size)
    open_ended = np.flatnonzero(ids[doc_starts[1:] - 1] != separator_id)
    if len(open_ended):
        raise BadInput(f"document {open_ended[0]} does not end in the separator (token {separator_id}).")
    if counts[separator_id] != len(doc_starts) - 1:
        inside = int(counts[separator_id]) - (len(doc_starts) - 1)
        raise BadInput(f"the separator (token {separator_id}) stands inside documents, {inside} times.")
    return np.concatenate([[0], np.cumsum(counts)])


def create(path: Path, dtype: Any, n: int) -> np.memmap[Any, Any]:
    """Make an array on disk, to be filled."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n,))


def read_header(folder: Path) -> dict[str, Any]:
    """Read the header, or raise BadInput."""
    try:
        header = read_json(folder / "header.json")
        version = header["version"]
    except FileNotFoundError:
        raise BadInput(f"{folder}: there is no token index here (no header.json); build one.") from None
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{folder / 'header.json'} is damaged; build the index again.") from None
    if version != VERSION:
        raise BadInput(f"{folder}: the index has version {version}, this is {VERSION}; build it again.")
    missing = [name for name in FIELDS if name not in header]
    if missing:
        raise BadInput(f"{folder / 'header.json'} lacks {', '.join(missing)}; build the index again.")
    return header


def map_array(folder: Path, name: str, header: dict[str, Any]) -> np.ndarray:
    """Map one array read-only, or raise BadInput if it is missing, cut short or damaged."""
    path = folder / f"{name}.npy"
    try:
        size = path.stat().st_size
        if size != header["bytes"][name]:
            raise BadInput(
                f"{path} has {size} bytes where {header['bytes'][name]} are expected; build the index again."
            )
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} is missing or damaged; build the index again.") from None
