"""Sequences of different lengths in one flat array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike


@dataclass(frozen=True, eq=False)
class Ragged:
    """`n` sequences, one after the other; sequence `i` is ``values[starts[i]:starts[i + 1]]``.

    Parameters
    ----------
    values : ndarray, shape (total,)
        The sequences end to end.
    starts : ndarray of int64, shape (n + 1,)
        Where each sequence begins; the last entry is the total.
    """

    values: np.ndarray
    starts: np.ndarray

    @staticmethod
    def of(sequences: Iterable[Sequence[int] | np.ndarray], dtype: DTypeLike = np.int32) -> Ragged:
        """Join sequences into one flat array."""
        parts = [np.asarray(sequence, dtype=dtype) for sequence in sequences]
        starts = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=starts[1:])
        return Ragged(np.concatenate(parts) if parts else np.empty(0, dtype), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        """Give sequence `i` as a view."""
        i = range(len(self))[i]
        return self.values[self.starts[i] : self.starts[i + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of the sequences, shape (n,)."""
        return np.diff(self.starts)

    def take(self, rows: ArrayLike) -> Ragged:
        """Copy the sequences `rows` (indices or a mask), in that order."""
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        lengths = self.lengths[chosen]
        starts = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][chosen] - starts[:-1], lengths)
        return Ragged(self.values[places], starts)

    def padded(self, fill: int, width: int | None = None) -> np.ndarray:
        """Lay the sequences out as rows of a matrix, filled up on the right.

        Parameters
        ----------
        fill : int
            Value behind the end of a sequence.
        width : int, optional
            Number of columns; default: the longest sequence.

        Returns
        -------
        ndarray, shape (n, width)
        """
        lengths = self.lengths
        longest = int(lengths.max(initial=0))
        if width is not None and width < longest:
            raise ValueError(f"a sequence of {longest} does not fit into {width} columns")
        matrix = np.full((len(self), longest if width is None else width), fill, self.values.dtype)
        matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = self.values[self.starts[0] : self.starts[-1]]
        return matrix
