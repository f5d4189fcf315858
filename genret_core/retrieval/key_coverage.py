"""Which documents each key (a generated n-gram) speaks for.

Keys are taken from the heaviest to the lightest. An occurrence counts only if none of its token positions
belongs to an occurrence of a heavier key that counted; a document is credited with a key once. So a prefix
adds nothing where a heavier n-gram has already spoken, and everything where it stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genret_core.retrieval.prefix_index import distinct
from genret_core.retrieval.text_index import TextIndex

OCCURRENCES = 4_000_000  # looked at together; about 100 bytes each


@dataclass(frozen=True)
class Keys:
    """Keys of many queries, in order of query, then falling weight.

    Attributes
    ----------
    query : int64[n]
    ids : int32[n, T]
        Tokens, padded with -1.
    length : int64[n]
    lo, hi : int64[n]
        Interval of occurrences in the index.
    """

    query: np.ndarray
    ids: np.ndarray
    length: np.ndarray
    lo: np.ndarray
    hi: np.ndarray

    def part(self, rows: slice) -> Keys:
        """Give a run of keys."""
        return Keys(self.query[rows], self.ids[rows], self.length[rows], self.lo[rows], self.hi[rows])


def credits(keys: Keys, index: TextIndex, *, allow_overlaps: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Find the documents that are credited with each key.

    Parameters
    ----------
    allow_overlaps : bool
        Let every occurrence count.

    Returns
    -------
    key, document : int64[m]
        In order of query, document, key (that is: falling weight).
    """
    parts = []
    for rows in _runs_of_queries(keys):
        part = keys.part(rows)
        owner, position = occurrences(part, index, allow_overlaps=allow_overlaps)
        pairs = distinct(owner * index.n_documents + index.document_at(position))
        key, document = np.divmod(pairs, index.n_documents)
        order = np.lexsort((document, part.query[key]))  # stable: keys stay in order of weight
        parts.append((key[order] + rows.start, document[order]))
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([key for key, _ in parts]), np.concatenate([document for _, document in parts])


def occurrences(
    keys: Keys, index: TextIndex, *, allow_overlaps: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Find the occurrences that count, of all keys at once: the key of each, and its place in the tokens."""
    owner, position = index.occurrences(keys.lo, keys.hi)
    if allow_overlaps:
        return owner, position
    counted = _counted(keys, owner, position)
    return owner[counted], position[counted]


def _runs_of_queries(keys: Keys) -> Iterator[slice]:
    """Cut the keys between queries so that a run has few enough occurrences (or is one query)."""
    queries, starts = np.unique(keys.query, return_index=True)
    ends = np.append(starts[1:], len(keys.query))
    before = np.concatenate([[0], np.cumsum(keys.hi - keys.lo)])
    first = 0
    for i in range(len(queries)):
        if i + 1 == len(queries) or before[ends[i + 1]] - before[starts[first]] > OCCURRENCES:
            yield slice(int(starts[first]), int(ends[i]))
            first = i + 1


def _counted(keys: Keys, owner: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Tell which occurrences count, bool[n]: all queries at once, from rank to rank of their keys."""
    width = keys.ids.shape[1]
    rank = np.arange(len(keys.query)) - np.searchsorted(keys.query, keys.query)
    rank = rank.astype(np.min_scalar_type(int(rank.max(initial=0))))  # 16 bits are sorted by radix
    order = np.argsort(rank[owner], kind="stable")
    cell = _cells(keys.query[owner], position, width)[order]
    length = keys.length[owner[order]]
    edges = np.concatenate([[0], np.cumsum(np.bincount(rank[owner]))])
    covered = np.zeros(int(cell.max(initial=0)) + width + 1, bool)
    nowhere = len(covered) - 1
    columns = np.arange(width)
    counted = np.zeros(len(owner), bool)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        longest = int(length[start:stop].max(initial=0))
        cells = cell[start:stop, None] + columns[:longest]
        cells[columns[:longest] >= length[start:stop, None]] = nowhere
        free = ~covered[cells].any(axis=1)
        counted[start:stop] = free
        covered[cells[free]] = True
        covered[nowhere] = False
    result = np.empty(len(owner), bool)
    result[order] = counted
    return result


def _cells(query: np.ndarray, position: np.ndarray, width: int) -> np.ndarray:
    """Give the first positions of occurrences other numbers, without the gaps between them.

    Occurrences of a query that are closer than `width` keep their distance, others get a distance of `width`.
    """
    place = query * (int(position.max(initial=0)) + width + 1) + position
    order = np.argsort(place)
    gap = np.minimum(np.diff(place[order], prepend=-width), width)
    cell = np.empty(len(place), np.int64)
    cell[order] = np.cumsum(gap)
    return cell


def fresh_share(keys: Keys, key: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Share of a key's token types that no heavier key of the same document has.

    Parameters
    ----------
    key : int64[m]
        Keys in falling weight within each group.
    group : int64[m]
        Ascending; one number per query and document.

    Returns
    -------
    float64[m]
        1 for the first key of a group.
    """
    distinct = _first_in_row(keys.ids)
    types = distinct.sum(axis=1)
    share = np.ones(len(key))
    size = np.bincount(group)[group] if len(group) else group
    several = np.flatnonzero(size > 1)
    rows, columns = np.nonzero(distinct[key[several]])
    token = keys.ids[key[several[rows]], columns].astype(np.int64)
    pair = group[several[rows]] * (int(token.max(initial=0)) + 1) + token
    order = np.argsort(pair, kind="stable")
    first = np.ones(len(pair), bool)
    first[order[1:]] = pair[order[1:]] != pair[order[:-1]]
    share[several] = np.bincount(rows, weights=first, minlength=len(several)) / types[key[several]]
    return share


def _first_in_row(ids: np.ndarray) -> np.ndarray:
    """Mark the first place of each distinct token in its row; padding is never marked."""
    distinct = ids >= 0
    for j in range(1, ids.shape[1]):
        distinct[:, j] &= ~(ids[:, :j] == ids[:, j : j + 1]).any(axis=1)
    return distinct
