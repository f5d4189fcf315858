"""The corpus as a sorted list of all its suffixes: which token may follow an n-gram, where n-grams stand.

A suffix array in flat files that are memory-mapped, 6 bytes a token for vocabularies up to 65,536. Built and
read with numpy alone. It answers what an FM-index answers (count, locate, continuations), by binary search.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, write_json
from genret_core.retrieval import index_files
from genret_core.retrieval.prefix_index import Children, PrefixIndex, distinct, spread
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.suffix_array import CHUNK, build_suffix_array


@dataclass(frozen=True, eq=False)
class TokenIndex(PrefixIndex):
    """A suffix array over documents that each end in a separator.

    Attributes
    ----------
    tokens : uint16[N] or uint32[N]
        The corpus, separators included.
    suffixes : uint32[N] or uint64[N]
        Positions in `tokens`, sorted by the `max_depth` tokens from there on.
    doc_starts : int64[n_documents + 1]
        Where each document begins; the last entry is N.
    first : int64[vocab_size + 1]
        Rows of `suffixes` that begin with token t: first[t] .. first[t + 1] - 1.
    separator_id : int
        Ends every document and stands nowhere else. No prefix runs past it.
    tokenizer_key : str
        Key of the tokenizer that made the ids.
    """

    tokens: np.ndarray
    suffixes: np.ndarray
    doc_starts: np.ndarray
    first: np.ndarray
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
        vocab_size: int,
        tokenizer_key: str,
        separator_id: int,
        max_depth: int = 64,
        rows_in_memory: int = 8_000_000,
    ) -> TokenIndex:
        """Sort a token stream and write the index into `folder` (whole or not at all).

        Parameters
        ----------
        ids : uint[N]
            Documents end to end, each closed by the separator; may be memory-mapped.
        doc_starts : int64[n_documents + 1]
        folder : path-like
            An index that stands there already is kept and opened.
        max_depth : int
            Longest prefix that can be asked for.
        rows_in_memory : int
            Rows sorted at once, about 50 bytes each.

        Raises
        ------
        BadInput
            If a document does not end in the separator or holds it inside, or an id is not in the vocabulary.
        """
        doc_starts = np.asarray(doc_starts, np.int64)
        first = index_files.checked_counts(ids, doc_starts, vocab_size, separator_id)
        n = len(ids)
        with atomic_folder(folder) as part:
            tokens = index_files.create(
                part / "tokens.npy", np.uint16 if vocab_size <= 2**16 else np.uint32, n
            )
            for start in range(0, n, CHUNK):
                tokens[start : start + CHUNK] = ids[start : start + CHUNK]
            suffixes = index_files.create(part / "suffixes.npy", np.uint32 if n < 2**32 else np.uint64, n)
            build_suffix_array(
                np.asarray(tokens),
                suffixes,
                vocab_size=vocab_size,
                max_depth=max_depth,
                rows_in_memory=rows_in_memory,
            )
            np.save(part / "doc_starts.npy", doc_starts)
            np.save(part / "first.npy", first)
            tokens.flush()
            suffixes.flush()
            write_json(
                part / "header.json",
                {
                    "version": index_files.VERSION,
                    "n_tokens": n,
                    "n_documents": len(doc_starts) - 1,
                    "vocab_size": int(vocab_size),
                    "separator_id": int(separator_id),
                    "tokenizer_key": tokenizer_key,
                    "max_depth": int(max_depth),
                    "bytes": {name: (part / f"{name}.npy").stat().st_size for name in index_files.ARRAYS},
                },
            )
        index = TokenIndex.open(folder, tokenizer_key=tokenizer_key)
        same = np.array_equal(index.doc_starts, doc_starts) and all(
            np.array_equal(index.tokens[start : start + CHUNK], ids[start : start + CHUNK])
            for start in range(0, n, CHUNK)
        )
        if not same:
            raise BadInput(f"{folder} holds the index of another corpus; choose another folder.")
        return index

    @staticmethod
    def open(folder: str | os.PathLike[str], tokenizer_key: str | None = None) -> TokenIndex:
        """Map an index into memory, read-only.

        Parameters
        ----------
        tokenizer_key : str, optional
            Refuse an index built with another tokenizer.

        Raises
        ------
        BadInput
            If files are missing, cut short, of another version or do not fit each other.
        """
        folder = Path(folder)
        header = index_files.read_header(folder)
        if tokenizer_key is not None and header["tokenizer_key"] != tokenizer_key:
            raise BadInput(
                f"{folder}: the index was built with tokenizer {header['tokenizer_key']}, not "
                f"{tokenizer_key}; build it again."
            )
        arrays = {name: index_files.map_array(folder, name, header) for name in index_files.ARRAYS}
        index = TokenIndex(
            **arrays,
            vocab_size=header["vocab_size"],
            separator_id=header["separator_id"],
            tokenizer_key=header["tokenizer_key"],
            max_depth=header["max_depth"],
        )
        index._check_fit(folder, header["n_tokens"], header["n_documents"])
        return index

    def _check_fit(self, folder: Path, n_tokens: int, n_documents: int) -> None:
        """Refuse files that are each whole but do not belong together; reads a few hundred rows only."""
        sizes = (len(self.tokens), len(self.suffixes), len(self.doc_starts), len(self.first))
        fits = sizes == (n_tokens, n_tokens, n_documents + 1, self.vocab_size + 1)
        if fits:
            rows = np.linspace(0, n_tokens - 1, 256).astype(np.int64)
            starting = np.searchsorted(self.first, rows, side="right") - 1
            ends = self.doc_starts[-1] == n_tokens == self.first[-1]
            fits = bool(ends and (self.column(rows, 0) == starting).all())
        if not fits:
            raise BadInput(f"{folder}: the files of the index do not belong together; build it again.")

    @property
    def n_rows(self) -> int:
        """Number of sorted rows: one per token of the corpus."""
        return len(self.suffixes)

    @property
    def n_tokens(self) -> int:
        """Tokens of the corpus, separators included."""
        return len(self.tokens)

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.doc_starts) - 1

    def column(self, rows: np.ndarray, depth: int) -> np.ndarray:
        """Tokens of some rows at a column; rows out of range give any token."""
        places = self.suffixes.take(rows, mode="clip")
        places += places.dtype.type(depth)
        return self.tokens.take(places, mode="clip")

    def lookup(
        self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the first row of each longer prefix and whether there is one."""
        self._check_depth(depth)
        if depth:
            return super().lookup(lo, hi, depth, token)
        known = (token >= 0) & (token < self.vocab_size) & (token != self.separator_id)
        start = self.first[np.where(known, token, 0)]
        return start, known & (self.first[np.where(known, token, 0) + 1] > start)

    def end(self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray) -> np.ndarray:
        """Find the row behind the last one that continues with `token`, given the first one."""
        return super().end(lo, hi, depth, token) if depth else self.first[token + 1]

    def allowed(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        """List all tokens that may follow each prefix, with the intervals they lead to."""
        self._check_depth(depth)
        if depth:
            return super().allowed(lo, hi, depth)
        tokens = np.flatnonzero(np.diff(self.first))
        tokens = tokens[tokens != self.separator_id]
        n = len(np.atleast_1d(lo))
        token = np.tile(tokens, n)
        return Children(np.repeat(np.arange(n), len(tokens)), token, self.first[token], self.first[token + 1])

    def ended(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> np.ndarray:
        """Tell which prefixes nothing but separators can follow."""
        self._check_depth(depth)
        return super().ended(lo, hi, depth)

    def _check_depth(self, depth: int) -> None:
        if depth >= self.max_depth:
            raise BadInput(
                f"The index is sorted for prefixes of up to {self.max_depth} tokens; build it with a larger "
                "max_depth for longer ones."
            )

    def occurrences(
        self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give for every occurrence the number of its interval, and its position in `tokens`, int64 each."""
        lo, hi = np.asarray(lo, np.int64), np.asarray(hi, np.int64)
        owner, rows = spread(lo, hi if max_hits is None else np.minimum(hi, lo + max_hits))
        return owner, self.suffixes.take(rows).astype(np.int64)

    def document_at(self, positions: np.ndarray) -> np.ndarray:
        """Document rows that hold some positions, int64."""
        return np.searchsorted(self.doc_starts, positions, side="right") - 1

    def locate(self, pattern: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Find a pattern: document rows and token offsets in them, in corpus order, int64 each."""
        lo, hi = self.find([pattern])
        _, positions = self.occurrences(lo, hi)
        positions.sort()
        documents = self.document_at(positions)
        return documents, positions - self.doc_starts[documents]

    def documents(self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None) -> Ragged:
        """Distinct document rows of each interval, ascending; of its first `max_hits` rows only, if given."""
        owner, positions = self.occurrences(np.atleast_1d(lo), np.atleast_1d(hi), max_hits)
        pairs = distinct(owner * self.n_documents + self.document_at(positions))
        edges = np.arange(len(np.atleast_1d(lo)) + 1) * self.n_documents
        return Ragged(pairs % self.n_documents, np.searchsorted(pairs, edges))
