"""Where keys stand in some documents: all keys of a query at once, whether they are rare or frequent.

The keys of all queries make a forest of tries, its nodes kept level by level as sorted numbers. Every token
of the documents is followed down from the root of its query, all tokens in step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genret_core.retrieval.key_coverage import Keys


@dataclass(frozen=True)
class Matches:
    """Occurrences of keys, in order of key, then place.

    Attributes
    ----------
    key : int64[m]
        Which of the keys.
    place : int64[m]
        Number of the token where it begins.
    """

    key: np.ndarray
    place: np.ndarray

    def select(self, rows: np.ndarray) -> Matches:
        """Keep some rows (a mask or row numbers)."""
        return Matches(self.key[rows], self.place[rows])


def find_matches(keys: Keys, query: np.ndarray, tokens: np.ndarray, vocab_size: int) -> Matches:
    """Find the keys of a query among tokens.

    Parameters
    ----------
    keys : Keys
        In order of query; every key of a query once.
    query : int64[n]
        The query whose keys are looked for at each token.
    tokens : int64[n]
        Documents end to end, each closed by a separator, which stands in no key.
    """
    node = keys.query.astype(np.int64)
    at, place = query.astype(np.int64), np.arange(len(tokens))
    found = []
    for depth in range(int(keys.length.max(initial=0))):
        longer = np.flatnonzero(keys.length > depth)
        step = node[longer] * vocab_size + keys.ids[longer, depth]
        nodes, below = np.unique(step, return_inverse=True)
        node[longer] = below
        inside = place + depth < len(tokens)
        at, place = at[inside], place[inside]
        at, place = _follow(nodes, at * vocab_size + tokens[place + depth], place, dense=depth == 0)
        ending = np.full(len(nodes), -1)
        whole = np.flatnonzero(keys.length == depth + 1)
        ending[node[whole]] = whole
        key = ending[at]
        ends = key >= 0
        found.append((key[ends], place[ends]))
    if not found:
        return Matches(np.empty(0, np.int64), np.empty(0, np.int64))
    key, place = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((place, key))
    return Matches(key[order], place[order])


def _follow(
    nodes: np.ndarray, step: np.ndarray, place: np.ndarray, *, dense: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Give the nodes that steps lead to, for those that lead anywhere, and their places."""
    if not len(nodes):
        return step[:0], place[:0]
    if dense:  # every token takes the first step: a table is quicker than a search
        table = np.full(int(max(nodes[-1], step.max(initial=0))) + 1, -1, np.int64)
        table[nodes] = np.arange(len(nodes))
        at = table[step]
        there = at >= 0
        return at[there], place[there]
    at = np.searchsorted(nodes, step)
    there = nodes[np.minimum(at, len(nodes) - 1)] == step
    return at[there], place[there]


def taken(
    keys: Keys, matches: Matches, n_places: int, *, allow_overlaps: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Take matches greedily: the heaviest key first, its places from left to right, where all are free.

    Parameters
    ----------
    keys : Keys
        In order of query, then falling weight.
    n_places : int
        Tokens that were searched.
    allow_overlaps : bool
        Take all matches.

    Returns
    -------
    taken : bool[m]
        Which matches.
    free : bool[n_places]
        Tokens that no taken match covers.
    """
    rank = (np.arange(len(keys.query)) - np.searchsorted(keys.query, keys.query))[matches.key]
    order = np.argsort(rank, kind="stable")
    place, length = matches.place[order], keys.length[matches.key[order]]
    edges = np.concatenate([[0], np.cumsum(np.bincount(rank))])
    free = np.ones(n_places + 1, bool)
    columns = np.arange(keys.ids.shape[1])
    result = np.zeros(len(order), bool)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        size = length[start:stop, None]
        inner = columns[: int(size.max(initial=0))]
        cells = np.where(inner < size, place[start:stop, None] + inner, n_places)
        open_ = np.ones(stop - start, bool)
        if not allow_overlaps:
            whole = np.flatnonzero(free[cells].all(axis=1))
            open_ = np.zeros(stop - start, bool)
            open_[whole] = _leftmost(place[start:stop][whole], length[start:stop][whole])
        result[start:stop] = open_
        free[cells[open_]] = False
        free[n_places] = True
    chosen = np.empty(len(order), bool)
    chosen[order] = result
    return chosen, free[:-1]


def _leftmost(place: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Choose intervals from left to right that do not overlap chosen ones (a key may overlap itself).

    The intervals of a document lie together; of different documents they are apart.
    """
    order = np.argsort(place, kind="stable")
    place, end = place[order], (place + length)[order]
    chosen = np.ones(len(place), bool)
    reached = 0
    for i in np.flatnonzero(np.append(False, place[1:] < end[:-1])).tolist():  # begins inside the one before
        if chosen[i - 1]:
            reached = end[i - 1]
        chosen[i] = place[i] >= reached
    result = np.empty(len(place), bool)
    result[order] = chosen
    return result
