"""The best continuations that the corpus allows, found without looking at every token of every beam.

A dense mask over beams x vocabulary costs far more than the answer is worth. Here the children of prefixes
with few occurrences are listed and scored; for the others, candidate tokens are tested from the best score
downwards until enough of them occur. The result is the same as that of the mask, ties included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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

    def select(self, rows: np.ndarray) -> Continuations:
        """Keep some rows (a mask or row numbers)."""
        return Continuations(
            self.group[rows],
            self.beam[rows],
            self.token[rows],
            self.score[rows],
            self.lo[rows],
            self.hi[rows],
        )


def top_valid(
    index: PrefixIndex,
    scores: np.ndarray,
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
    lo, hi, group = (np.asarray(x, np.int64) for x in (lo, hi, group))
    beam_scores = np.asarray(beam_scores, np.float64)
    listed = (hi - lo <= NARROW) if depth and tokens is None else np.ones(len(lo), bool)
    found = _score(index.allowed(lo, np.where(listed, hi, lo), depth), scores, beam_scores, group, tokens)
    if not listed.all():
        search = _Search(index, scores, beam_scores, lo, hi, depth, k, group)
        found = search.add_wide(found, np.flatnonzero(~listed))
    found = _best(found, k)
    open_ = np.flatnonzero(found.hi < 0)
    found.hi[open_] = index.end(found.lo[open_], hi[found.beam[open_]], depth, found.token[open_])
    return found


def _best(found: Continuations, k: int) -> Continuations:
    """Sort continuations (in order of group) and keep the `k` best of each group."""
    if len(found.group):
        n = int(found.group[-1]) + 1
        found = found.select(found.score >= _kth_largest(found.score, found.group, k, n)[found.group])
    order = np.lexsort((found.token, found.beam, -found.score, found.group))
    group = found.group[order]
    return found.select(order[np.arange(len(group)) - np.searchsorted(group, group) < k])


def _score(
    children: Children,
    scores: np.ndarray,
    beam_scores: np.ndarray,
    group: np.ndarray,
    tokens: np.ndarray | None = None,
) -> Continuations:
    if tokens is not None:
        children = children.select(tokens[children.token])
    beam, token = children.parent, children.token
    score = scores[beam, token] + beam_scores[beam]
    found = Continuations(group[beam], beam, token, score, children.lo, children.hi)
    return found.select(score > -np.inf)


def _kth_largest(values: np.ndarray, group: np.ndarray, k: int, n_groups: int) -> np.ndarray:
    """Give the k-th largest value of each group (ascending), -inf where there are fewer."""
    sizes = np.bincount(group, minlength=n_groups)
    kth = np.full(n_groups, -np.inf)
    ends = np.cumsum(sizes)
    for g in np.flatnonzero(sizes >= k):
        part = values[ends[g] - sizes[g] : ends[g]]
        kth[g] = np.partition(part, len(part) - k)[len(part) - k]
    return kth


def _block_maxima(scores: np.ndarray) -> np.ndarray:
    """Largest score among tokens b, b + n, b + 2n, ... for each of the n blocks b, [R, n]."""
    n = -(-scores.shape[1] // BLOCK)
    whole = scores.shape[1] // n * n
    maxima = scores[:, :whole].reshape(len(scores), -1, n).max(axis=1)
    rest = scores.shape[1] - whole
    np.maximum(maxima[:, :rest], scores[:, whole:], out=maxima[:, :rest])
    return maxima


def _merged(*parts: Continuations) -> Continuations:
    names = ("group", "beam", "token", "score", "lo", "hi")
    group, *rest = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Continuations(group, *rest).select(np.argsort(group, kind="stable"))


@dataclass(frozen=True)
class _Search:
    """Candidates of beams whose intervals are too wide to list, tested in order of their scores."""

    index: PrefixIndex
    scores: np.ndarray
    beam_scores: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    depth: int
    k: int
    group: np.ndarray

    def add_wide(self, found: Continuations, beams: np.ndarray) -> Continuations:
        """Add to what was listed what the wide `beams` have to offer, enough for each group's best `k`.

        The candidates above a floor are tested; a group is done when its k-th best valid score is not below
        the floor, since everything untested is. Groups that are not get a second, lower floor, and after that
        all children of their beams.
        """
        n = int(self.group[-1]) + 1
        blocks = _block_maxima(self.scores)[beams] + self.beam_scores[beams, None]
        ceiling = np.full(n, np.inf)
        for m in (OVERSAMPLE * self.k, OVERSAMPLE**2 * self.k):
            group = self.group[beams]
            floor = np.maximum(
                _kth_largest(found.score, found.group, self.k, n),
                _kth_largest(blocks.ravel(), np.repeat(group, blocks.shape[1]), m, n),
            )
            hit = (blocks >= floor[group, None]) & (blocks > -np.inf)
            flooded = (
                np.bincount(group, weights=hit.sum(axis=1), minlength=n) > 4 * m
            )  # floods of equal scores
            hit &= ~flooded[group, None]
            candidates, floor = self._candidates(beams, hit, floor, ceiling, m)
            found = _merged(found, candidates)
            done = (_kth_largest(found.score, found.group, self.k, n) >= floor) & ~flooded
            left = ~done[group]
            if not left.any():
                return found
            ceiling = np.where(flooded, ceiling, floor)
            beams, blocks = beams[left], blocks[left]
        rest = self.index.allowed(self.lo[beams], self.hi[beams], self.depth)
        rest = Children(beams[rest.parent], rest.token, rest.lo, rest.hi)
        every = _score(rest, self.scores, self.beam_scores, self.group)
        return _merged(found, every.select(every.score < ceiling[every.group]))

    def _candidates(
        self, beams: np.ndarray, hit: np.ndarray, floor: np.ndarray, ceiling: np.ndarray, m: int
    ) -> tuple[Continuations, np.ndarray]:
        """Test tokens of the blocks that were hit, with totals in floor .. ceiling; raise the floor to fit.

        The far ends of the intervals are left open (-1): only the winners need them.
        """
        row, block = np.nonzero(hit)
        beam = np.repeat(beams[row], BLOCK)
        token = (block[:, None] + np.arange(BLOCK) * hit.shape[1]).ravel()
        inside = token < self.scores.shape[1]
        beam, token = beam[inside], token[inside]
        total = self.scores[beam, token] + self.beam_scores[beam]
        below = total < ceiling[self.group[beam]]
        beam, token, total = beam[below], token[below], total[below]
        floor = np.maximum(floor, _kth_largest(total, self.group[beam], m, len(floor)))
        wanted = (total >= floor[self.group[beam]]) & (total > -np.inf)
        beam, token, total = beam[wanted], token[wanted], total[wanted]
        start, valid = self.index.lookup(self.lo[beam], self.hi[beam], self.depth, token)
        beam, token, total, start = beam[valid], token[valid], total[valid], start[valid]
        return Continuations(self.group[beam], beam, token, total, start, np.full(len(beam), -1)), floor
