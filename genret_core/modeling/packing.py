"""One query with several of its identifiers in one row, so that the query is read once.

LLaMA reads ``[query | identifier 1 | identifier 2 | ...]``: each identifier sees the query and itself, at
positions that go on from the query's end. T5's encoder reads the query, its decoder ``[start, identifier]``
for each. Queries are padded on the left, so that identifiers stand at the same columns in every row; with
rotary and relative positions only distances count, and padding is masked, so that a row's losses do not
depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a query and K identifiers of T tokens.

    Attributes
    ----------
    prompts : int64[B, S]
        Queries, padded on the left with token 0.
    padding : bool[B, S] or None
        Where `prompts` is padding; None if nowhere.
    ids : int64[B, K, T]
        Identifiers, padded on the right with token 0.
    scored : float[B, K, T] or None
        1 where `ids` is a target, 0 where it is padding; None if all are targets.
    """

    prompts: Tensor
    padding: Tensor | None
    ids: Tensor
    scored: Tensor | None


@dataclass(frozen=True, eq=False)
class Packer:
    """Prompts and identifiers as padded matrices on the device, from which batches are cut.

    Attributes
    ----------
    prompts : int64[Q, S]
        Padded on the left.
    prompt_lengths : int64[Q] (numpy)
    ids : int64[n + 1, T]
        The last row is blank: index -1 stands for "no identifier".
    lengths : int64[n + 1] (numpy)
        0 for the blank row.
    """

    prompts: Tensor
    prompt_lengths: Ints
    ids: Tensor
    lengths: Ints

    @classmethod
    def of(
        cls, prompts: Ragged, pairs: Pairs, *, eos_id: int | None = None, device: torch.device | str = "cpu"
    ) -> Packer:
        """Lay out prompts and identifiers.

        Parameters
        ----------
        prompts : Ragged
            A prompt per query (`Template.prompts`).
        pairs : Pairs
            Identifiers.
        eos_id : int, optional
            Appended to every identifier as a target; by default no end token is.
        """
        lengths = np.append(np.asarray(pairs.length, np.int64), 0)
        ids = np.vstack([np.maximum(pairs.ids, 0), np.zeros((1, pairs.ids.shape[1]), np.int32)]).astype(
            np.int64
        )
        if eos_id is not None:
            ids = np.hstack([ids, np.zeros((len(ids), 1), np.int64)])
            ids[np.arange(len(ids) - 1), lengths[:-1]] = eos_id
            lengths[:-1] += 1
        ids = ids[:, : max(int(lengths.max()), 1)]
        flipped = Ragged(prompts.values[::-1], (prompts.starts[-1] - prompts.starts)[::-1])
        left = np.ascontiguousarray(flipped.padded(0)[::-1, ::-1], np.int64)
        return cls(
            torch.from_numpy(left).to(device), np.asarray(prompts.lengths, np.int64),
            torch.from_numpy(np.ascontiguousarray(ids)).to(device), lengths,
        )  # fmt: skip

    def batch(self, queries: Ints, identifiers: Ints) -> Batch:
        """Cut a batch.

        Parameters
        ----------
        queries : int64[B]
            Rows of the prompts.
        identifiers : int64[B, K]
            Rows of the identifiers; -1 for none.
        """
        device = self.prompts.device
        sizes, lengths = self.prompt_lengths[queries], self.lengths[identifiers]
        width, longest = int(sizes.max()), max(int(lengths.max()), 1)
        prompts = self.prompts[torch.from_numpy(queries).to(device)][:, self.prompts.shape[1] - width :]
        ids = self.ids[torch.from_numpy(identifiers).to(device), :longest]
        padding = scored = None
        if sizes.min() < width:
            padding = torch.from_numpy(np.arange(width) < (width - sizes)[:, None]).to(device)
        if lengths.min() < longest:
            real = np.arange(longest) < lengths[:, :, None]
            scored = torch.from_numpy(real.astype(np.float32)).to(device)
        return Batch(prompts, padding, ids, scored)

    def tokens(self, queries: Ints, identifiers: Ints) -> int:
        """Count tokens without padding: prompts and identifiers."""
        return int(self.prompt_lengths[queries].sum() + self.lengths[identifiers].sum())


@dataclass(frozen=True, eq=False)
class Rows:
    """What stands in each row.

    Attributes
    ----------
    query : int64[R]
        Row of the prompts.
    identifiers : int64[R, K]
        Rows of the identifiers, -1 for none.
    """

    query: Ints
    identifiers: Ints

    def __len__(self) -> int:
        return len(self.query)

    def take(self, rows: slice | Ints) -> Rows:
        """Choose rows, in that order."""
        return Rows(self.query[rows], self.identifiers[rows])

    def batches(self, size: int) -> Iterator[Rows]:
        """Cut into batches of `size` rows; the last may be shorter."""
        return (self.take(slice(at, at + size)) for at in range(0, len(self), size))


def group_rows(owner: npt.NDArray[np.integer], per_row: int | Ints, order: Ints | None = None) -> Rows:
    """Put identifiers of the same query together in rows.

    Parameters
    ----------
    owner : int[n]
        The query of each identifier, as a row of the prompts.
    per_row : int or int64[Q]
        K, at most; as an array by query.
    order : int64[n], optional
        Order in which a query's identifiers fill its rows; by default as they come.
    """
    order = np.arange(len(owner)) if order is None else order
    order = order[np.argsort(owner[order], kind="stable")]
    own = np.asarray(owner, np.int64)[order]
    per = (
        np.broadcast_to(np.asarray(per_row, np.int64), int(own.max(initial=0)) + 1)[own] if len(own) else own
    )
    first = np.r_[True, own[1:] != own[:-1]] if len(own) else np.zeros(0, bool)
    place = np.arange(len(own)) - np.maximum.accumulate(np.where(first, np.arange(len(own)), 0))
    column = place % per if len(own) else place
    row = np.cumsum(column == 0) - 1
    identifiers = np.full((int(row[-1]) + 1 if len(row) else 0, int(column.max(initial=0)) + 1), -1, np.int64)
    identifiers[row, column] = order
    return Rows(own[column == 0], identifiers)


def training_rows(
    owner: npt.NDArray[np.integer],
    prompt_lengths: Ints,
    *,
    per_row: int,
    batch: int,
    window: int,
    seed: int | tuple[int, ...],
) -> Rows:
    """Order the rows of one epoch: every identifier once, at random.

    The rows are shuffled; inside each run of `window` batches they are sorted by the length of the prompt,
    and the full batches are shuffled again. An incomplete batch stays last.

    Parameters
    ----------
    owner : int[n]
        The query of each identifier, as a row of the prompts.
    prompt_lengths : int64[Q]
    per_row, batch : int
        Identifiers in a row, rows in a batch.
    window : int
        Batches among which rows are sorted by length; 1: none are.
    """
    rng = np.random.default_rng(seed)
    rows = group_rows(owner, per_row, rng.permutation(len(owner)))
    order = rng.permutation(len(rows))
    if window > 1:
        lengths = prompt_lengths[rows.query[order]]
        order = order[np.lexsort((lengths, np.arange(len(order)) // (window * batch)))]
    full = len(order) // batch * batch
    shuffled = order[:full].reshape(-1, batch)[rng.permutation(full // batch)]
    return rows.take(np.concatenate([shuffled.reshape(-1), order[full:]]))
