"""The corpus as a sorted list of all its suffixes: which token may follow an n-gram, where n-grams stand.

A suffix array in flat files that are memory-mapped, 6 bytes a token for vocabularies up to 65,536. Built and
read with numpy alone. It answers what an FM-index answers (count, locate, continuations), by binary search.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval import index_files
from genret_core.retrieval.arrays import Arrays, TorchArrays, arrays_of
from genret_core.retrieval.bucket_sort import Progress
from genret_core.retrieval.index_build import build_index_files
from genret_core.retrieval.index_files import ARRAYS, CHUNK
from genret_core.retrieval.prefix_index import Children, spread
from genret_core.retrieval.text_index import TextIndex


@dataclass(frozen=True, eq=False)
class TokenIndex(TextIndex):
    """A suffix array over documents that each end in a separator.

    Attributes
    ----------
    tokens : uint16[N + m] or uint32[N + m]
        The corpus, separators included; in a shard, m tokens of the next one follow.
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
        jobs: int = 1,
        ahead: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> TokenIndex:
        """Sort a token stream and write the index into `folder` (whole or not at all).

        Parameters
        ----------
        ids : uint[N]
            Documents end to end, each closed by the separator; may be memory-mapped.
        doc_starts : int64[n_documents + 1]
        folder : path-like
            An index of the same documents that stands there already is kept and opened.
        max_depth : int
            Longest prefix that can be asked for.
        rows_in_memory : int
            Rows that one process sorts at once, about 50 bytes each.
        jobs : int
            Processes that sort.
        ahead : uint[m], optional
            What follows `ids` in a larger corpus of which this is a shard.
        progress : function (stage, done, total), optional
            Called now and then.

        Raises
        ------
        BadInput
            If a document does not end in the separator or holds it inside, an id is not in the vocabulary, or
            there is no room on the disk.
        """
        doc_starts, folder = np.asarray(doc_starts, np.int64), Path(folder)
        if not index_files.has_index(folder):
            build_index_files(
                ids,
                doc_starts,
                folder,
                vocab_size=vocab_size,
                tokenizer_key=tokenizer_key,
                separator_id=separator_id,
                max_depth=max_depth,
                rows_in_memory=rows_in_memory,
                jobs=jobs,
                ahead=ahead,
                progress=progress,
            )
        index = TokenIndex.open(folder, tokenizer_key=tokenizer_key)
        same = np.array_equal(index.doc_starts, doc_starts) and all(
            np.array_equal(index.tokens[start : min(len(ids), start + CHUNK)], ids[start : start + CHUNK])
            for start in range(0, len(ids), CHUNK)
        )
        if not same or index.separator_id != separator_id:
            raise BadInput(f"{folder} holds the index of another corpus; choose another folder.")
        if index.max_depth < max_depth:
            raise BadInput(
                f"{folder} holds an index for prefixes of up to {index.max_depth} tokens only; choose "
                "another folder."
            )
        return index

    @staticmethod
    def open(folder: str | os.PathLike[str], tokenizer_key: str | None = None) -> TokenIndex:
        """Map an index into memory, read-only, after the checks of `index_files.check_arrays`.

        Parameters
        ----------
        tokenizer_key : str, optional
            Refuse an index built with another tokenizer.

        Raises
        ------
        BadInput
            If files are missing, cut short, changed, of another version or do not fit each other.
        """
        folder = Path(folder)
        header = index_files.read_header(folder)
        if tokenizer_key is not None and header["tokenizer_key"] != tokenizer_key:
            raise BadInput(
                f"{folder}: the index was built with tokenizer {header['tokenizer_key']}, not "
                f"{tokenizer_key}; {index_files.AGAIN}."
            )
        index_files.check_arrays(folder, header)
        index = TokenIndex(
            **{name: index_files.map_array(folder, name) for name in ARRAYS},
            vocab_size=header["vocab_size"],
            separator_id=header["separator_id"],
            tokenizer_key=header["tokenizer_key"],
            max_depth=header["max_depth"],
        )
        index._check_fit(folder, header)
        return index

    @staticmethod
    def verify(folder: str | os.PathLike[str]) -> None:
        """Read every byte of an index, or raise BadInput with the file and the place that was changed."""
        folder = Path(folder)
        index_files.check_arrays(folder, index_files.read_header(folder), every_byte=True)
        TokenIndex.open(folder)

    def _check_fit(self, folder: Path, header: dict[str, Any]) -> None:
        """Refuse files that are each whole but do not belong together; reads a few hundred rows only."""
        n, documents, ahead = header["n_tokens"], header["n_documents"], header.get("n_ahead", 0)
        sizes = (len(self.tokens), len(self.suffixes), len(self.doc_starts), len(self.first))
        types = (self.tokens.dtype, self.suffixes.dtype, self.doc_starts.dtype, self.first.dtype)
        fits = sizes == (n + ahead, n, documents + 1, self.vocab_size + 1)
        fits &= types == (index_files.token_type(self.vocab_size), index_files.row_type(n), "int64", "int64")
        if fits:
            rows = np.linspace(0, n - 1, 256).astype(np.int64)
            starting = np.searchsorted(self.first, rows, side="right") - 1
            ends = self.doc_starts[-1] == n == self.first[-1]
            fits = bool(ends and (self.column(rows, 0) == starting).all())
        if not fits:
            raise BadInput(f"{folder}: the files of the index do not belong together; {index_files.AGAIN}.")

    def to(self, device: Any) -> TokenIndex:
        """Copy the index to a torch device: all questions are then answered there, in tensors.

        Parameters
        ----------
        device : torch device or str
            For instance "cuda"; takes as many bytes there as on disk.
        """
        xp = torch_arrays(device)
        return replace(self, **{name: xp.stored(getattr(self, name)) for name in ARRAYS})

    @property
    def arrays(self) -> Arrays:
        """What intervals and tokens are made of: numpy arrays, or tensors after `to`."""
        return arrays_of(self.suffixes)

    @property
    def n_rows(self) -> int:
        """Number of sorted rows: one per token of the corpus."""
        return len(self.suffixes)

    @property
    def n_tokens(self) -> int:
        """Tokens of the corpus, separators included."""
        return len(self.suffixes)

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.doc_starts) - 1

    def column(self, rows: np.ndarray, depth: int) -> np.ndarray:
        """Tokens of some rows at a column; rows out of range give any token."""
        xp = self.arrays
        return xp.gather(self.tokens, xp.gather(self.suffixes, rows) + depth)

    def lookup(
        self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the first row of each longer prefix and whether there is one."""
        self.check_depth(depth)
        if depth:
            return super().lookup(lo, hi, depth, token)
        known = (token >= 0) & (token < self.vocab_size) & (token != self.separator_id)
        token = self.arrays.where(known, token, token * 0)
        start = self.first[token]
        return start, known & (self.first[token + 1] > start)

    def end(self, lo: np.ndarray, hi: np.ndarray, depth: int, token: np.ndarray) -> np.ndarray:
        """Find the row behind the last one that continues with `token`, given the first one."""
        return super().end(lo, hi, depth, token) if depth else self.first[token + 1]

    def _children(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        if depth or not len(lo):
            return super()._children(lo, hi, depth)
        token = self.arrays.flatnonzero(self.first[1:] > self.first[:-1])
        return Children(token * 0, token, self.first[token], self.first[token + 1])

    def occurrences(
        self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give for every occurrence the number of its interval, and its position in `tokens`, int64 each."""
        xp = self.arrays
        lo, hi = xp.ints(lo), xp.ints(hi)
        if max_hits is not None:
            hi = xp.where(hi - lo > max_hits, lo + max_hits, hi)
        owner, rows = spread(lo, hi)
        return owner, xp.ints(xp.gather(self.suffixes, rows))

    def document_at(self, positions: np.ndarray) -> np.ndarray:
        """Document rows that hold some positions, int64."""
        return self.arrays.searchsorted(self.doc_starts, positions, right=True) - 1

    def document_start(self, documents: np.ndarray) -> np.ndarray:
        """Positions at which some documents begin, int64; that of `n_documents` is the end."""
        return self.doc_starts[documents]

    def tokens_at(self, positions: np.ndarray) -> np.ndarray:
        """Tokens at some positions, int64."""
        return self.arrays.ints(self.arrays.gather(self.tokens, positions))


def torch_arrays(device: Any) -> TorchArrays:
    """Give torch's array operations on a device; torch is imported here and not before."""
    import torch

    return TorchArrays(torch, device)
