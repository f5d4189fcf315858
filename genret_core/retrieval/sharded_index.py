"""Several token indexes that answer as one, for a corpus that outgrows one file.

A prefix is an interval in every shard. Outside it is held as one number that names the shard and row of its
first occurrence (and its length), and that number plus the count; the intervals of all shards are found again
from there. So a search handles it like the interval of one index: it is empty where ``lo == hi``, the count
is ``hi - lo``, and different prefixes of one length have different `lo`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.arrays import Arrays
from genret_core.retrieval.prefix_index import Children
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.shard_files import HEADER, TOKENS, build_shards, open_shards, shard_folder
from genret_core.retrieval.suffix_array import Packing, sort_rows
from genret_core.retrieval.text_index import TextIndex
from genret_core.retrieval.token_index import TokenIndex

_ROW_BITS = 46
_ROW = (1 << _ROW_BITS) - 1
_REMEMBERED = 65_536  # prefixes of one length whose intervals are kept, some 16 bytes per shard each


@dataclass(frozen=True, eq=False)
class ShardedIndex(TextIndex):
    """Token indexes of consecutive parts of a corpus.

    Attributes
    ----------
    shards : tuple of TokenIndex
        With the same vocabulary, separator and tokenizer. Document rows and positions are counted on from
        one to the next.
    max_depth : int
        Of the shard that has the smallest.
    """

    shards: tuple[TokenIndex, ...]
    vocab_size: int
    separator_id: int
    tokenizer_key: str
    max_depth: int

    @staticmethod
    def build(
        ids: np.ndarray,
        doc_starts: np.ndarray,
        folder: str | os.PathLike[str],
        *,
        tokens_per_shard: int = TOKENS,
        max_depth: int = 64,
        **options: Any,
    ) -> ShardedIndex:
        """Cut a token stream between documents and index each part, see `TokenIndex.build`.

        Parameters
        ----------
        folder : path-like
            Gets one folder per shard. Shards that stand there already are kept, so that a build that was cut
            short goes on.
        tokens_per_shard : int
            At most; a single longer document is refused.
        """
        build_shards(
            ids, doc_starts, folder, tokens_per_shard=tokens_per_shard, max_depth=max_depth, **options
        )
        return ShardedIndex.open(folder, options.get("tokenizer_key"))

    @staticmethod
    def open(folder: str | os.PathLike[str], tokenizer_key: str | None = None) -> ShardedIndex:
        """Open the shards that `build` made, or raise BadInput if one is missing, changed or another's."""
        return ShardedIndex.of(open_shards(folder, tokenizer_key))

    @staticmethod
    def of(shards: Sequence[TokenIndex]) -> ShardedIndex:
        """Join indexes that were built one by one, in the order of their documents."""
        kinds = {(x.vocab_size, x.separator_id, x.tokenizer_key) for x in shards}
        if len(kinds) != 1:
            raise BadInput(
                "The shards have not the same vocabulary, separator and tokenizer: "
                + ", ".join(str(kind) for kind in sorted(kinds))
                + "."
            )
        return ShardedIndex(tuple(shards), *kinds.pop(), min(shard.max_depth for shard in shards))

    def to(self, device: Any) -> ShardedIndex:
        """Copy all shards to a torch device."""
        return ShardedIndex.of([shard.to(device) for shard in self.shards])

    @property
    def arrays(self) -> Arrays:
        """What intervals and tokens are made of."""
        return self.shards[0].arrays

    @cached_property
    def _tokens_before(self) -> Any:
        return self._before([shard.n_tokens for shard in self.shards])

    @cached_property
    def _documents_before(self) -> Any:
        return self._before([shard.n_documents for shard in self.shards])

    def _before(self, sizes: list[int]) -> Any:
        return self.arrays.ints(np.concatenate([[0], np.cumsum(sizes)]))

    @property
    def n_tokens(self) -> int:
        """Tokens of the corpus, separators included."""
        return int(self._tokens_before[-1])

    @property
    def n_rows(self) -> int:
        """Number of sorted rows: one per token of the corpus."""
        return self.n_tokens

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return int(self._documents_before[-1])

    def _in_shards(self, before: Any, numbers: Any) -> Any:
        """Say which shard some positions, rows or documents are in."""
        xp = self.arrays
        shard = xp.searchsorted(before, numbers, right=True) - 1
        last = xp.full(len(shard), len(self.shards) - 1)
        return xp.where(shard > last, last, shard)

    def _ask_each(self, before: Any, numbers: Any, answer: Any) -> Any:
        """Let ``answer(shard, numbers counted from its start, its number)`` tell for each number."""
        shard = self._in_shards(before, numbers)
        result = numbers * 0
        for i, own in enumerate(self.shards):
            rows = self.arrays.flatnonzero(shard == i)
            if len(rows):
                result[rows] = self.arrays.ints(answer(own, numbers[rows] - before[i], i))
        return result

    def column(self, rows: np.ndarray, depth: int) -> np.ndarray:
        """Tokens of the first occurrences of some prefixes at a column."""
        rows = self.arrays.ints(rows) & _ROW
        return self._ask_each(self._tokens_before, rows, lambda own, some, _: own.column(some, depth))

    def tokens_at(self, positions: np.ndarray) -> np.ndarray:
        """Tokens at some positions, int64; those behind the end are the separator."""
        positions = self.arrays.ints(positions)
        return self._ask_each(self._tokens_before, positions, lambda own, some, _: own.tokens_at(some))

    def document_at(self, positions: np.ndarray) -> np.ndarray:
        """Document rows that hold some positions, int64."""
        before = self._documents_before
        return self._ask_each(
            self._tokens_before, positions, lambda own, some, i: own.document_at(some) + before[i]
        )

    def document_start(self, documents: np.ndarray) -> np.ndarray:
        """Positions at which some documents begin, int64; that of `n_documents` is the end."""
        before = self._tokens_before
        return self._ask_each(
            self._documents_before, documents, lambda own, some, i: own.document_start(some) + before[i]
        )

    @cached_property
    def _known(self) -> dict[int, tuple[Any, list[tuple[Any, Any]]]]:
        """By length: numbers of prefixes that were looked up lately, rising, and their intervals."""
        return {}

    def _intervals(self, lo: Any) -> list[tuple[Any, Any]]:
        """Intervals of different, occurring prefixes of one length in every shard, rising in `lo`.

        A step of a search asks several times for the same prefixes, so those asked for lately are remembered.
        """
        xp = self.arrays
        if not len(lo):
            return self._looked_up(lo, 0)
        depth = int(lo[0] >> _ROW_BITS)
        numbers, known = self._known.get(depth, (lo[:0], []))
        place = xp.searchsorted(numbers, lo)
        if len(numbers):
            last = xp.full(len(lo), len(numbers) - 1)
            hit = numbers[xp.where(place > last, last, place)] == lo
        else:
            hit = xp.full(len(lo), False)
        if not hit.all():
            if len(numbers) + len(lo) > _REMEMBERED:
                numbers, known, hit = lo[:0], [], xp.full(len(lo), False)
            found = self._looked_up(lo[~hit], depth)
            numbers = xp.concatenate([numbers, lo[~hit]])
            order = xp.argsort(numbers)
            numbers = numbers[order]
            if known:
                pairs = [zip(a, b, strict=True) for a, b in zip(known, found, strict=True)]
                found = [(xp.concatenate(left), xp.concatenate(right)) for left, right in pairs]
            known = [(left[order], right[order]) for left, right in found]
            self._known[depth] = numbers, known
            place = xp.searchsorted(numbers, lo)
        return [(left[place], right[place]) for left, right in known]

    def _looked_up(self, lo: Any, depth: int) -> list[tuple[Any, Any]]:
        """Find prefixes in every shard, token by token."""
        xp = self.arrays
        columns = [xp.numpy(self.column(lo, j)) for j in range(depth)]
        values = np.stack(columns, axis=1).ravel() if depth else np.empty(0, np.int64)
        patterns = Ragged(values, np.arange(len(lo) + 1) * depth)
        return [shard.find(patterns) for shard in self.shards]

    def _number(self, shard: int, rows: Any, depth: Any) -> Any:
        """Name prefixes by a shard, their first rows in it and their lengths."""
        return rows + self._tokens_before[shard] + (depth << _ROW_BITS)

    def find(self, patterns: Ragged | Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Find the intervals of whole patterns (lo = hi where one does not occur), int64[n] each."""
        xp = self.arrays
        ragged = patterns if isinstance(patterns, Ragged) else Ragged.of(patterns)
        depth = xp.ints(ragged.lengths)
        lo, count = self.root(len(ragged))[0], xp.full(len(ragged), 0)
        for i, shard in enumerate(self.shards):
            left, right = shard.find(ragged)
            lo = xp.where((count == 0) & (right > left), self._number(i, left, depth), lo)
            count += right - left
        return lo, lo + count

    def lookup(
        self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the first occurrence of each longer prefix and whether there is one."""
        self.check_depth(depth)
        xp = self.arrays
        found = xp.full(len(lo), False)
        start = lo + 0
        asked = xp.flatnonzero(lo < hi)
        parents, _, which = xp.distinct(lo[asked])
        for i, (left, right) in enumerate(self._intervals(parents)):
            first, here = self.shards[i].lookup(left[which], right[which], depth, token[asked])
            new = here & ~found[asked]
            start[asked[new]] = self._number(i, first[new], depth + 1)
            found[asked[new]] = True
        return start, found

    def end(self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray) -> np.ndarray:
        """Add the count to each longer prefix, given its first occurrence."""
        prefixes, _, which = self.arrays.distinct(lo)
        return lo + sum(right - left for left, right in self._intervals(prefixes))[which]

    def _children(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        xp = self.arrays
        parts = []
        for i, (left, right) in enumerate(self._intervals(lo)):
            own = self.shards[i].allowed(left, right, depth)
            parts.append((own.parent, own.token, self._number(i, own.lo, depth + 1), own.hi - own.lo))
        parent, token, number, count = (xp.concatenate(column) for column in zip(*parts, strict=True))
        order = xp.lexsort((token, parent))  # stable: the first shard that has it comes first
        parent, token, number, count = parent[order], token[order], number[order], count[order]
        new = xp.changes(parent, token)
        first = xp.flatnonzero(new)
        total = xp.ints(xp.counts(xp.cumsum(xp.ints(new)) - 1, len(first), xp.floats(count)))
        return Children(parent[first], token[first], number[first], number[first] + total)

    def ended(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> np.ndarray:
        """Tell which prefixes nothing but separators can follow."""
        self.check_depth(depth)
        xp = self.arrays
        lo, hi = xp.ints(lo), xp.ints(hi)
        over = xp.full(len(lo), True)
        asked = xp.flatnonzero(lo < hi)
        prefixes, _, which = xp.distinct(lo[asked])
        for own, (left, right) in zip(self.shards, self._intervals(prefixes), strict=True):
            over[asked] &= own.ended(left, right, depth)[which]
        return over

    def occurrences(
        self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give for every occurrence the number of its interval and its position in the corpus, int64."""
        xp = self.arrays
        lo, hi = xp.ints(lo), xp.ints(hi)
        owners, positions = [xp.full(0, 0)], [xp.full(0, 0)]
        for depth in sorted(set(xp.numpy(lo >> _ROW_BITS).tolist())):
            asked = xp.flatnonzero((lo < hi) & (lo >> _ROW_BITS == depth))
            prefixes, _, which = xp.distinct(lo[asked])
            for i, (left, right) in enumerate(self._intervals(prefixes)):
                owner, position = self.shards[i].occurrences(left[which], right[which], max_hits)
                owners.append(asked[owner])
                positions.append(position + self._tokens_before[i])
        owner, position = xp.concatenate(owners), xp.concatenate(positions)
        order = xp.argsort(owner, stable=True) if max_hits is None else self._in_suffix_order(owner, position)
        owner, position = owner[order], position[order]
        if max_hits is not None:
            kept = xp.arange(0, len(owner)) - xp.searchsorted(owner, owner) < max_hits
            owner, position = owner[kept], position[kept]
        return owner, position

    def _in_suffix_order(self, owner: Any, position: Any) -> Any:
        """Give the order by owner, then by what follows, as one index would have sorted it."""
        xp = self.arrays
        order = xp.lexsort((position, owner))
        places = position[order]
        packing = Packing.of(np.empty(0), self.vocab_size)

        def key_of(rows: np.ndarray, depth: int) -> np.ndarray:
            window = xp.ints(rows)
            key = np.zeros(len(rows), np.uint64)
            for j in range(packing.per_key):
                key <<= np.uint64(packing.bits)
                key |= xp.numpy(self.tokens_at(places[window] + (depth + j))).astype(np.uint64)
            return key

        rank = sort_rows(np.arange(len(places)), key_of, step=packing.per_key, max_depth=self.max_depth)
        order = order[xp.ints(rank)]
        return order[xp.argsort(owner[order], stable=True)]


def open_text_index(folder: str | os.PathLike[str], tokenizer_key: str | None = None) -> TextIndex:
    """Open an index of one file or of several."""
    kind = ShardedIndex if (Path(folder) / HEADER).exists() else TokenIndex
    return kind.open(folder, tokenizer_key)


def verify_text_index(folder: str | os.PathLike[str]) -> None:
    """Read every byte of an index of one file or of several, or raise BadInput."""
    folder = Path(folder)
    index = open_text_index(folder)
    if isinstance(index, ShardedIndex):
        for i in range(len(index.shards)):
            TokenIndex.verify(shard_folder(folder, i))
    else:
        TokenIndex.verify(folder)
