"""The files of an index in several shards: a folder for each, and a header that is written last."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import content_key, read_json, write_json
from genret_core.retrieval.index_files import AGAIN
from genret_core.retrieval.token_index import TokenIndex

VERSION = 1
HEADER = "shards.json"
TOKENS = 4_000_000_000  # of a shard: below 2^32, a position takes 4 bytes


def shard_folder(folder: Path, number: int) -> Path:
    """Folder of a shard."""
    return folder / f"{number:04d}"


def build_shards(
    ids: np.ndarray,
    doc_starts: np.ndarray,
    folder: str | os.PathLike[str],
    *,
    tokens_per_shard: int,
    max_depth: int,
    **options: Any,
) -> None:
    """Cut a token stream between documents and index each part, see `ShardedIndex.build`."""
    folder, doc_starts = Path(folder), np.asarray(doc_starts, np.int64)
    cuts = _cuts(doc_starts, tokens_per_shard)
    for i, (first, last) in enumerate(pairwise(cuts)):
        start, stop = int(doc_starts[first]), int(doc_starts[last])
        TokenIndex.build(
            ids[start:stop],
            doc_starts[first : last + 1] - start,
            shard_folder(folder, i),
            max_depth=max_depth,
            ahead=ids[stop : stop + max_depth + 64],
            **options,
        )
    header = {
        "version": VERSION,
        "documents": np.diff(cuts).tolist(),
        "seals": [_seal(shard_folder(folder, i)) for i in range(len(cuts) - 1)],
    }
    write_json(folder / HEADER, header | {"seal": content_key(header)})


def open_shards(folder: str | os.PathLike[str], tokenizer_key: str | None = None) -> list[TokenIndex]:
    """Open all shards, or raise BadInput if one is missing, changed or another index's."""
    folder = Path(folder)
    try:
        header = read_json(folder / HEADER)
        sound = header.pop("seal") == content_key(header) and header["version"] == VERSION
    except FileNotFoundError:
        raise BadInput(f"{folder}: the shards are not complete (no {HEADER}); build them on.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{folder / HEADER} is damaged; {AGAIN}.") from None
    if not sound:
        raise BadInput(f"{folder / HEADER} was changed or is of another version; {AGAIN}.")
    shards = []
    for i, (documents, seal) in enumerate(zip(header["documents"], header["seals"], strict=True)):
        shard = TokenIndex.open(shard_folder(folder, i), tokenizer_key)
        if shard.n_documents != documents or _seal(shard_folder(folder, i)) != seal:
            raise BadInput(f"{shard_folder(folder, i)} is a shard of another index; {AGAIN}.")
        shards.append(shard)
    return shards


def _cuts(doc_starts: np.ndarray, tokens_per_shard: int) -> np.ndarray:
    """Documents at which shards begin, and the number of documents."""
    if np.diff(doc_starts).max(initial=0) > tokens_per_shard:
        raise BadInput(f"A document has more than {tokens_per_shard} tokens; allow more to a shard.")
    cuts = [0]
    while cuts[-1] < len(doc_starts) - 1:
        limit = doc_starts[cuts[-1]] + tokens_per_shard
        cuts.append(int(np.searchsorted(doc_starts, limit, side="right")) - 1)
    return np.array(cuts)


def _seal(folder: Path) -> str:
    return str(read_json(folder / "header.json")["seal"])
