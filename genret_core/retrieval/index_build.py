"""Building a token index: check, deal out, sort, seal.

Memory. Arrays of the corpus' size are mapped files: their pages are the system's to give back, and random
reading goes to `tokens` only. What a process holds itself is one range of at most `rows_in_memory` rows,
about 50 bytes each, chunks of 4 million entries, and some 30 bytes a document. Measured on documents of 130
tokens: 72, 219, 321 and 431 MB at 1, 10, 50 and 200 million tokens; a straight line through the last two
gives 2.5 GB at 3 billion (extrapolated). Every further process adds about 0.4 GB. So of 24 GB more than 20
are left to the mapped files, 6 GB of which are `tokens`.

Disk. The files take 2 or 4 bytes a token (`tokens`) and 4 (`suffixes`; 8 above 4.29 billion), and 8 a
document. They are reserved before anything is sorted, so that a disk too small is said at once. A range
that is dealt out again needs 4 bytes a row for that while: hardly ever in text, and as much as `suffixes`
again if one token stands nearly everywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval import index_files
from genret_core.retrieval.bucket_sort import Progress, deal_out, sort_range
from genret_core.retrieval.build_folder import build_folder, room_on_disk
from genret_core.retrieval.index_files import CHUNK
from genret_core.retrieval.sorting_processes import sort_ranges
from genret_core.retrieval.suffix_array import Packing


def build_index_files(
    ids: np.ndarray,
    doc_starts: np.ndarray,
    folder: str | os.PathLike[str],
    *,
    vocab_size: int,
    tokenizer_key: str,
    separator_id: int,
    max_depth: int,
    rows_in_memory: int,
    jobs: int,
    ahead: np.ndarray | None,
    progress: Progress | None,
) -> None:
    """Write the files of an index into `folder`, see `TokenIndex.build`.

    Parameters
    ----------
    ahead : uint[m], optional
        Tokens that stand behind the stream, in the next shard: they decide the order of its last suffixes.
    progress : function (stage, done, total), optional
        Called now and then with one of "checking", "counting", "dealing out", "sorting", "sealing".
    """
    for name, value in (("max_depth", max_depth), ("rows_in_memory", rows_in_memory), ("jobs", jobs)):
        if value < 1:
            raise BadInput(f"{name} must be at least 1, not {value}.")
    said = progress or (lambda *_: None)
    n, folder = len(ids), Path(folder)
    said("checking", 0, n)
    first = index_files.checked_counts(ids, doc_starts, vocab_size, separator_id)
    n_ahead = 0 if ahead is None else min(len(ahead), max_depth + 64)
    types = index_files.token_type(vocab_size), index_files.row_type(n)
    needed = n * sum(t.itemsize for t in types) + 8 * (len(doc_starts) + len(first))
    what = f"the index, which needs about {needed / 1e6:,.0f} MB"
    with room_on_disk(folder, what), build_folder(folder) as part:
        tokens = index_files.create(part / "tokens.npy", types[0], n + n_ahead)
        suffixes = index_files.create(part / "suffixes.npy", types[1], n)
        for name, column in (("doc_starts", doc_starts), ("first", first)):
            index_files.create(part / f"{name}.npy", np.int64, len(column))[:] = column
        for start in range(0, n, CHUNK):
            tokens[start : min(n, start + CHUNK)] = ids[start : start + CHUNK]
            said("checking", min(n, start + CHUNK), n)
        if ahead is not None:
            tokens[n:] = ahead[:n_ahead]
        _sort(part, tokens, suffixes, vocab_size, max_depth, rows_in_memory, jobs, said)
        said("sealing", 0, n)
        del tokens, suffixes  # written back before times are noted
        index_files.seal(
            part,
            {
                "n_tokens": n,
                "n_documents": len(doc_starts) - 1,
                "vocab_size": int(vocab_size),
                "separator_id": int(separator_id),
                "tokenizer_key": tokenizer_key,
                "max_depth": int(max_depth),
                "n_ahead": n_ahead,
            },
        )
        said("sealing", n, n)


def _sort(
    part: Path,
    tokens: np.ndarray,
    suffixes: np.ndarray,
    vocab_size: int,
    max_depth: int,
    rows_in_memory: int,
    jobs: int,
    progress: Progress,
) -> None:
    """Sort the suffixes, here or in several processes."""
    packing = Packing.of(np.asarray(tokens), vocab_size)
    ranges = deal_out(
        packing,
        suffixes,
        max_depth=max_depth,
        rows_in_memory=rows_in_memory,
        scratch=part,
        progress=progress,
    )
    if jobs > 1 and len(ranges) > 1:
        sort_ranges(
            part / "tokens.npy",
            part / "suffixes.npy",
            ranges,
            vocab_size=vocab_size,
            max_depth=max_depth,
            jobs=min(jobs, len(ranges)),
            progress=progress,
        )
        return
    done = 0
    for some in ranges:
        sort_range(packing, suffixes, some, max_depth)
        done += len(some)
        progress("sorting", done, len(suffixes))
