"""The best continuations that the corpus allows, found without looking at every token of every beam.

A dense mask over beams x vocabulary costs far more than the answer is worth. Here the children of prefixes
with few occurrences are listed and scored; for the others, candidate tokens are tested from the best score
downwards until enough of them occur. The result is the same as that of the mask, ties included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genret_core.retrieval.arrays import Array, Arrays, arrays_of
from genret_core.retrieval.prefix_index import Children, PrefixIndex

NARROW = 512  # rows up to which listing all children beats testing candidates
OVERSAMPLE = 8  # candidates tested at first, and the factor of the second try
BLOCK = 32  # tokens summed up by their maximum when looking for the best scores


@dataclass(frozen=True)
class Continuations:
    """One-token continuations, in order of group, then falling score, then beam, then token.

    Attributes
    ----------
    group, beam, token, lo, hi : int64[m]
        The group and number of the beam, its next token, and the interval of the longer prefix.
    score : float64[m]
    """

    group: np.ndarray
    beam: np.ndarray
    token: np.ndarray
    score: np.ndarray
    lo: np.ndarray
    hi: np.ndarray

    def select(self, rows: Array) -> Continuations:
        """Keep some rows (a mask or row numbers)."""
        return Continuations(
            self.group[rows],
            self.beam[rows],
            self.token[rows],
            self.score[rows],
            self.lo[rows],
            self.hi[rows],
        )

    def numpy(self) -> Continuations:
        """Give the same as numpy arrays."""
        xp = arrays_of(self.lo)
        return Continuations(*(xp.numpy(getattr(self, name)) for name in _FIELDS))


_FIELDS = ("group", "beam", "token", "score", "lo", "hi")


def top_valid(
    index: PrefixIndex,
    scores: Array,
    beam_scores: np.ndarray,
    lo: np.ndarray,
    hi: np.ndarray,
    depth: int,
    k: int,
    group: np.ndarray,
    *,
    tokens: np.ndarray | None = None,
) -> Continuations:
    """Find the `k` best valid continuations of each group of beams.

    Parameters
    ----------
    scores : float[R, V]
        Score of every token after every beam. -inf never continues a beam.
    beam_scores : float64[R]
        Added to the scores of a beam.
    lo, hi : int64[R]
        Intervals of the beams' prefixes, all of length `depth`. Beams of a group are different prefixes.
    group : int64[R]
        The query of each beam, ascending.
    tokens : bool[V], optional
        Tokens that may continue at all.

    Returns
    -------
    Continuations
        Fewer than `k` of a group where the corpus allows no more. Of equal scores the one of the first beam,
        then of the smallest token, comes first.
    """
    xp = index.arrays
    lo, hi, group = (xp.ints(x) for x in (lo, hi, group))
    scores, beam_scores = xp.given(scores), xp.floats(beam_scores)
    tokens = None if tokens is None else xp.given(tokens)
    listed = (hi - lo <= NARROW) if depth and tokens is None else xp.full(len(lo), True)
    found = _score(index.allowed(lo, xp.where(listed, hi, lo), depth), scores, beam_scores, group, tokens)
    if not listed.all():
        search = _Search(index, scores, beam_scores, lo, hi, depth, k, group)
        found = search.add_wide(found, xp.flatnonzero(~listed))
    found = _best(found, k)
    open_ = xp.flatnonzero(found.hi < 0)
    found.hi[open_] = index.end(found.lo[open_], hi[found.beam[open_]], depth, found.token[open_])
    return found


def _best(found: Continuations, k: int) -> Continuations:
    """Sort continuations (in order of group) and keep the `k` best of each group."""
    xp = arrays_of(found.lo)
    if len(found.group):
        n = int(found.group[-1]) + 1
        found = found.select(found.score >= xp.kth_largest(found.score, found.group, k, n)[found.group])
    order = xp.lexsort((found.token, found.beam, -found.score, found.group))
    group = found.group[order]
    return found.select(order[xp.arange(0, len(group)) - xp.searchsorted(group, group) < k])


def _score(
    children: Children, scores: Array, beam_scores: Array, group: Array, tokens: Array | None = None
) -> Continuations:
    if tokens is not None:
        children = children.select(tokens[children.token])
    beam, token = children.parent, children.token
    score = scores[beam, token] + beam_scores[beam]
    found = Continuations(group[beam], beam, token, score, children.lo, children.hi)
    return found.select(score > -np.inf)


def _block_maxima(xp: Arrays, scores: Array) -> Array:
    """Largest score among tokens b, b + n, b + 2n, ... for each of the n blocks b, [R, n]."""
    rows, width = scores.shape
    n = -(-width // BLOCK)
    whole = width // n * n
    maxima = xp.largest(scores[:, :whole].reshape(rows, whole // n, n), axis=1)
    rest = width - whole
    maxima[:, :rest] = xp.maximum(maxima[:, :rest], scores[:, whole:])
    return maxima


def _merged(*parts: Continuations) -> Continuations:
    xp = arrays_of(parts[0].lo)
    group, *rest = (xp.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS)
    return Continuations(group, *rest).select(xp.argsort(group, stable=True))


@dataclass(frozen=True)
class _Search:
    """Candidates of beams whose intervals are too wide to list, tested in order of their scores."""

    index: PrefixIndex
    scores: Array
    beam_scores: Array
    lo: Array
    hi: Array
    depth: int
    k: int
    group: Array

    def add_wide(self, found: Continuations, beams: Array) -> Continuations:
        """Add to what was listed what the wide `beams` have to offer, enough for each group's best `k`.

        The candidates above a floor are tested; a group is done when its k-th best valid score is not below
        the floor, since everything untested is. Groups that are not get a second, lower floor, and after that
        all children of their beams.
        """
        xp = self.index.arrays
        n = int(self.group[-1]) + 1
        blocks = _block_maxima(xp, self.scores)[beams] + self.beam_scores[beams, None]
        ceiling = xp.full(n, np.inf)
        for m in (OVERSAMPLE * self.k, OVERSAMPLE**2 * self.k):
            group = self.group[beams]
            floor = xp.maximum(
                xp.kth_largest(found.score, found.group, self.k, n),
                xp.kth_largest(blocks.reshape(-1), xp.repeat(group, blocks.shape[1]), m, n),
            )
            hit = (blocks >= floor[group, None]) & (blocks > -np.inf)
            flooded = xp.counts(group, n, xp.floats(hit.sum(1))) > 4 * m  # floods of equal scores
            hit &= ~flooded[group, None]
            candidates, floor = self._candidates(beams, hit, floor, ceiling, m)
            found = _merged(found, candidates)
            done = (xp.kth_largest(found.score, found.group, self.k, n) >= floor) & ~flooded
            left = ~done[group]
            if not left.any():
                return found
            ceiling = xp.where(flooded, ceiling, floor)
            beams, blocks = beams[left], blocks[left]
        rest = self.index.allowed(self.lo[beams], self.hi[beams], self.depth)
        rest = Children(beams[rest.parent], rest.token, rest.lo, rest.hi)
        every = _score(rest, self.scores, self.beam_scores, self.group)
        return _merged(found, every.select(every.score < ceiling[every.group]))

    def _candidates(
        self, beams: Array, hit: Array, floor: Array, ceiling: Array, m: int
    ) -> tuple[Continuations, Array]:
        """Test tokens of the blocks that were hit, with totals in floor .. ceiling; raise the floor to fit.

        The far ends of the intervals are left open (-1): only the winners need them.
        """
        xp = self.index.arrays
        row, block = xp.nonzero(hit)
        beam = xp.repeat(beams[row], BLOCK)
        token = (block[:, None] + xp.arange(0, BLOCK) * hit.shape[1]).reshape(-1)
        inside = token < self.scores.shape[1]
        beam, token = beam[inside], token[inside]
        total = self.scores[beam, token] + self.beam_scores[beam]
        below = total < ceiling[self.group[beam]]
        beam, token, total = beam[below], token[below], total[below]
        floor = xp.maximum(floor, xp.kth_largest(total, self.group[beam], m, len(floor)))
        wanted = (total >= floor[self.group[beam]]) & (total > -np.inf)
        beam, token, total = beam[wanted], token[wanted], total[wanted]
        start, valid = self.index.lookup(self.lo[beam], self.hi[beam], self.depth, token)
        beam, token, total, start = beam[valid], token[valid], total[valid], start[valid]
        return Continuations(self.group[beam], beam, token, total, start, xp.full(len(beam), -1)), floor
