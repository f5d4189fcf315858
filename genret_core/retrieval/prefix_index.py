"""What a sorted list of identifiers can answer: which tokens may follow a prefix, and how often it occurs.

The identifiers are the rows of a matrix sorted by its columns: suffixes of a corpus (`TokenIndex`) or codes
of documents (`CodeIndex`). All rows that begin with a prefix are neighbours, so a prefix is an interval
``lo <= row < hi`` and its length, the `depth`. Everything works on many prefixes of the same depth at once,
on numpy arrays or, where an index was moved to a device, on torch tensors: the code is the same.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genret_core.retrieval.arrays import NUMPY, Arrays, arrays_of
from genret_core.retrieval.ragged import Ragged

ENUMERATE = 4096  # rows up to which an interval's children are read off one by one
SMALL_SEGMENT = 64


@dataclass(frozen=True)
class Children:
    """The tokens that may follow some prefixes, in order of prefix, then token.

    Attributes
    ----------
    parent : int64[m]
        Which of the prefixes asked about.
    token : int64[m]
    lo, hi : int64[m]
        Interval of the longer prefix.
    """

    parent: np.ndarray
    token: np.ndarray
    lo: np.ndarray
    hi: np.ndarray

    def select(self, rows: np.ndarray) -> Children:
        """Keep some rows (a mask or row numbers)."""
        return Children(self.parent[rows], self.token[rows], self.lo[rows], self.hi[rows])

    def numpy(self) -> Children:
        """Give the same as numpy arrays."""
        xp = arrays_of(self.lo)
        return Children(*(xp.numpy(x) for x in (self.parent, self.token, self.lo, self.hi)))

    def tokens(self, n: int) -> Ragged:
        """Give the tokens allowed for each of `n` prefixes."""
        own = self.numpy()
        return Ragged(own.token, np.searchsorted(own.parent, np.arange(n + 1)))


class PrefixIndex(abc.ABC):
    """Intervals over sorted rows; see the module. All methods are exact."""

    vocab_size: int
    separator_id: int | None
    max_depth: int

    @property
    @abc.abstractmethod
    def n_rows(self) -> int:
        """Number of sorted rows."""

    @property
    def arrays(self) -> Arrays:
        """What intervals and tokens are made of: numpy arrays, unless the index was moved to a device."""
        return NUMPY

    @abc.abstractmethod
    def column(self, rows: np.ndarray, depth: int) -> np.ndarray:
        """Tokens of some rows at a column; rows out of range give any token."""

    @abc.abstractmethod
    def documents(self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None) -> Ragged:
        """Distinct document rows of each interval, ascending; of its first `max_hits` rows only, if given."""

    def root(self, n: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Give the interval of the empty prefix, `n` times."""
        return self.arrays.full(n, 0), self.arrays.full(n, self.n_rows)

    def extend(
        self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Append one token to each prefix.

        Parameters
        ----------
        lo, hi : int64[n]
            Intervals of prefixes of `depth` tokens.
        depth : int
        token : int[n]

        Returns
        -------
        lo, hi : int64[n]
            Empty (lo = hi) where the longer prefix does not occur. The separator never continues a prefix.
        """
        lo, hi, token = (self.arrays.ints(x) for x in (lo, hi, token))
        start, found = self.lookup(lo, hi, depth, token)
        stop = start + 0
        stop[found] = self.end(start[found], hi[found], depth, token[found])
        return start, stop

    def lookup(
        self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the first row of each longer prefix and whether there is one; `extend` without the far end."""
        if depth >= self.max_depth:
            return lo + 0, self.arrays.full(len(lo), False)
        start = self._bound(lo, hi, depth, token)
        found = (start < hi) & (self.column(start, depth) == token)
        if self.separator_id is not None:
            found &= token != self.separator_id
        return start, found

    def end(self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray) -> np.ndarray:
        """Find the row behind the last one that continues with `token`, given the first one."""
        return self._bound(lo, hi, depth, token + 1)

    def _bound(self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray) -> np.ndarray:
        """First row of each interval whose token is not below `token`: binary search in step."""
        where = self.arrays.where
        start, width = lo + 0, hi - lo
        for _ in range(int(width.max()).bit_length() if len(width) else 0):
            half = width >> 1
            middle = start + half
            right = (self.column(middle, depth) < token) & (width > 0)
            start = where(right, middle + 1, start)
            width = where(right, width - half - 1, half)
        return start

    def allowed(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        """List all tokens that may follow each prefix, with the intervals they lead to."""
        xp = self.arrays
        lo, hi = xp.ints(lo), xp.ints(hi)
        if depth >= self.max_depth:
            return Children(*(xp.full(0, 0) for _ in range(4)))
        asked = xp.flatnonzero(lo < hi)
        # At one depth intervals are equal or disjoint: each is worked out once, however many share it.
        first_lo, where, which = xp.distinct(lo[asked])
        found = self._children(first_lo, hi[asked[where]], depth)
        if self.separator_id is not None:
            found = found.select(found.token != self.separator_id)
        edges = xp.searchsorted(found.parent, xp.arange(0, len(first_lo) + 1))
        parent, places = spread(edges[:-1][which], edges[1:][which])
        return Children(asked[parent], found.token[places], found.lo[places], found.hi[places])

    def _children(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        """List what follows each of some different, occurring prefixes, separators included."""
        wide, rows = hi - lo > ENUMERATE, self.arrays.flatnonzero
        return _joined(
            self._runs(rows(~wide), lo[~wide], hi[~wide], depth),
            self._wide_runs(rows(wide), lo[wide], hi[wide], depth),
        )

    def _runs(self, owner: np.ndarray, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        """Read intervals row by row."""
        xp = self.arrays
        place, rows = spread(lo, hi)
        token = self.column(rows, depth)
        first = xp.flatnonzero(xp.changes(token, place))
        size = xp.concatenate([first[1:], xp.ints([len(rows)])])[: len(first)] - first
        return Children(owner[place[first]], xp.ints(token[first]), rows[first], rows[first] + size)

    def _wide_runs(self, owner: np.ndarray, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        """Halve intervals until both ends of each piece hold the same token, then join the pieces."""
        xp = self.arrays
        pieces = []
        left, right = self.column(lo, depth), self.column(hi - 1, depth)
        while len(owner):
            same = left == right
            pieces.append(Children(owner[same], xp.ints(left[same]), lo[same], hi[same]))
            small = ~same & (hi - lo <= SMALL_SEGMENT)
            pieces.append(self._runs(owner[small], lo[small], hi[small], depth))
            go = ~(same | small)
            owner, lo, hi, left, right = owner[go], lo[go], hi[go], left[go], right[go]
            middle = (lo + hi) >> 1
            left, right = (
                xp.concatenate([left, self.column(middle, depth)]),
                xp.concatenate([self.column(middle - 1, depth), right]),
            )
            lo, hi = xp.concatenate([lo, middle]), xp.concatenate([middle, hi])
            owner = xp.concatenate([owner, owner])
        if not pieces:
            return self._runs(owner, lo, hi, depth)
        joined = _joined(*pieces)
        first = xp.flatnonzero(xp.changes(joined.token, joined.parent))
        last = xp.concatenate([first[1:], xp.ints([len(joined.token)])]) - 1
        return Children(joined.parent[first], joined.token[first], joined.lo[first], joined.hi[last])

    def ended(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> np.ndarray:
        """Tell which prefixes nothing can follow: only separators do, or the rows have no more columns."""
        lo, hi = self.arrays.ints(lo), self.arrays.ints(hi)
        if depth >= self.max_depth:
            return self.arrays.full(len(lo), True)
        if self.separator_id is None:
            return lo >= hi
        first, last = self.column(lo, depth), self.column(hi - 1, depth)
        return (lo >= hi) | ((first == self.separator_id) & (last == self.separator_id))

    def find(self, patterns: Ragged | Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Find the intervals of whole patterns (lo = hi where one does not occur), int64[n] each."""
        xp = self.arrays
        ragged = patterns if isinstance(patterns, Ragged) else Ragged.of(patterns)
        lo, hi = self.root(len(ragged))
        lengths, starts, values = xp.ints(ragged.lengths), xp.ints(ragged.starts), xp.ints(ragged.values)
        for depth in range(int(ragged.lengths.max(initial=0))):
            rows = xp.flatnonzero((lengths > depth) & (lo < hi))
            lo[rows], hi[rows] = self.extend(lo[rows], hi[rows], depth, values[starts[rows] + depth])
        return lo, hi

    def count(self, patterns: Ragged | Sequence[Sequence[int]]) -> np.ndarray:
        """Count the occurrences of each pattern, int64[n]; 0 if it holds the separator."""
        lo, hi = self.find(patterns)
        return hi - lo


def spread(lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write out half-open ranges: for every member the number of its range, and the member."""
    xp = arrays_of(lo)
    size = hi - lo
    owner = xp.repeat(xp.arange(0, len(lo)), size)
    before = xp.cumsum(size) - size
    return owner, xp.arange(0, len(owner)) + xp.repeat(lo - before, size)


def distinct(values: np.ndarray) -> np.ndarray:
    """Sort integers and drop doubles; on millions several times as fast as `numpy.unique`, which hashes."""
    xp = arrays_of(values)
    ordered = xp.sort(values)
    return ordered[xp.changes(ordered)]


def _joined(*parts: Children) -> Children:
    """Put children together in order of their rows (which is the order of parent, then token)."""
    xp = arrays_of(parts[0].lo)
    lo = xp.concatenate([part.lo for part in parts])
    order = xp.argsort(lo)
    return Children(
        xp.concatenate([part.parent for part in parts])[order],
        xp.concatenate([part.token for part in parts])[order],
        lo[order],
        xp.concatenate([part.hi for part in parts])[order],
    )
