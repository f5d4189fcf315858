"""Training rows: their order, and how they lie in a batch, whatever the micro-batch and the processes.

An update trains on `batch` pairs. Each of its batches is filled up with blank rows until it divides into
micro-batches of all processes; a blank row has no targets. So the micro-batch and the number of processes
change neither the pairs of an update nor what its loss is divided by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genret_core.errors import BadInput
from genret_core.modeling.recipe import Recipe
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

Ints = npt.NDArray[np.int64]

IGNORED = -100
"""Label of what is no target, as in transformers."""


def order_of(n: int, recipe: Recipe, seed: int) -> Ints:
    """Draw the pairs of every update.

    Parameters
    ----------
    n : int
        Pairs.
    recipe : Recipe
        An update trains on `batch_queries * identifiers_per_row` pairs.
    seed : int

    Returns
    -------
    int64[steps, batch]
        -1 where an epoch's last batch is not full.
    """
    batch = recipe.batch_queries * recipe.identifiers_per_row
    wanted = recipe.n_steps or math.inf
    parts: list[Ints] = []
    steps, epoch = 0, 0
    while steps < wanted and (recipe.steps == "fixed" or epoch < recipe.epochs):
        drawn = np.random.default_rng((seed, epoch)).permutation(n)
        if recipe.steps == "fixed" and n > batch:
            drawn = drawn[: n // batch * batch]  # passes join without a short batch
        filled = np.full(-(-len(drawn) // batch) * batch, -1, np.int64)
        filled[: len(drawn)] = drawn
        parts.append(filled.reshape(-1, batch))
        steps, epoch = steps + len(parts[-1]), epoch + 1
    return np.concatenate(parts)[: int(min(steps, wanted))]


@dataclass(frozen=True)
class Split:
    """How an update's pairs are divided: `parts` micro-batches of `size` rows on each of `processes`."""

    size: int
    parts: int
    processes: int

    @classmethod
    def of(cls, batch: int, size: int | None, processes: int) -> Split:
        """Divide a batch into as few micro-batches of at most `size` rows as it takes."""
        size = min(size or batch, -(-batch // processes))
        return cls(size, -(-batch // (size * processes)), processes)

    @property
    def rows(self) -> int:
        """Rows of an update, blank ones included."""
        return self.size * self.parts * self.processes


class TrainingRows(torch.utils.data.Dataset[tuple[int, int]]):
    """All rows of all updates, in order: (pair or -1, update)."""

    def __init__(self, order: Ints, split: Split) -> None:
        blank = np.full((len(order), split.rows - order.shape[1]), -1, np.int64)
        self.pairs = np.concatenate([order, blank], 1)

    def __len__(self) -> int:
        return self.pairs.size

    def __getitem__(self, at: int) -> tuple[int, int]:
        step, column = divmod(at, self.pairs.shape[1])
        return int(self.pairs[step, column]), step


@dataclass(frozen=True, eq=False)
class Layout:
    """Lays rows out as tensors.

    Attributes
    ----------
    prompts : Ragged
        A prompt per query.
    pairs : Pairs
    owner : int64[n]
        The query of each pair, as a row of `prompts`.
    decoder_only : bool
    pad_id, start_id : int
        Padding, and the decoder's first token (encoder-decoders).
    eos_id : int or None
        A target after every identifier; None: there is none.
    max_length : int or None
        Where padding counts as targets: how far a row (decoder-only) or a target reaches.
    targets : int64[steps]
        Targets of each update.
    """

    prompts: Ragged
    pairs: Pairs
    owner: Ints
    decoder_only: bool
    pad_id: int
    start_id: int
    eos_id: int | None
    max_length: int | None
    targets: Ints

    @classmethod
    def of(
        cls, order: Ints, prompts: Ragged, pairs: Pairs, owner: npt.NDArray[np.integer], **how: Any
    ) -> Layout:
        """Count the targets of every update."""
        made = cls(prompts, pairs, np.asarray(owner, np.int64), targets=np.zeros(0, np.int64), **how)
        counts = np.append(made._counts(), 0)  # the last one is the blank row's
        return cls(**{**made.__dict__, "targets": counts[order].sum(1)})

    def _counts(self) -> Ints:
        """Count each pair's targets."""
        lengths = np.asarray(self.pairs.length, np.int64) + (self.eos_id is not None)
        if self.max_length is None:
            return lengths
        before = self.prompts.lengths[self.owner] if self.decoder_only else np.zeros(len(lengths), np.int64)
        longest = int((before + lengths).max(initial=0))
        if longest > self.max_length:
            raise BadInput(
                f"max_length is {self.max_length}, but a row has {longest} tokens; give at least these."
            )
        return self.max_length - before

    def __call__(self, rows: list[tuple[int, int]]) -> dict[str, Tensor]:
        """Collate rows; `targets` is what the loss of their update is divided by."""
        prompts = [self.prompts[int(self.owner[max(pair, 0)])] for pair, _ in rows]
        identifiers = [self._identifier(pair) for pair, _ in rows]
        filled = (
            self._decoder(prompts, identifiers) if self.decoder_only else self._both(prompts, identifiers)
        )
        blank = torch.tensor([pair < 0 for pair, _ in rows])
        filled["labels"][blank] = IGNORED
        return {**filled, "targets": torch.tensor(float(self.targets[rows[0][1]]))}

    def _identifier(self, pair: int) -> Ints:
        ids = np.asarray(self.pairs.identifier(max(pair, 0)), np.int64)
        return ids if self.eos_id is None else np.append(ids, self.eos_id)

    def _decoder(self, prompts: list[Any], identifiers: list[Ints]) -> dict[str, Tensor]:
        whole = [np.concatenate([p, ids]) for p, ids in zip(prompts, identifiers, strict=True)]
        ids = self._padded(whole, self.max_length)
        labels, attention = ids.clone(), torch.ones_like(ids)
        for row, (prompt, all_ids) in enumerate(zip(prompts, whole, strict=True)):
            labels[row, : len(prompt)] = IGNORED
            if self.max_length is None:
                labels[row, len(all_ids) :] = IGNORED
                attention[row, len(all_ids) :] = 0
        return {"input_ids": ids, "attention_mask": attention, "labels": labels}

    def _both(self, prompts: list[Any], identifiers: list[Ints]) -> dict[str, Tensor]:
        source = self._padded(prompts, None)
        attention = torch.zeros_like(source)
        for row, prompt in enumerate(prompts):
            attention[row, : len(prompt)] = 1
        targets = self._padded(identifiers, self.max_length)
        labels = targets.clone()
        if self.max_length is None:
            for row, ids in enumerate(identifiers):
                labels[row, len(ids) :] = IGNORED
        start = torch.full((len(targets), 1), self.start_id)
        shifted = torch.cat([start, targets[:, :-1]], 1)
        return {
            "input_ids": source,
            "attention_mask": attention,
            "decoder_input_ids": shifted,
            "labels": labels,
        }

    def _padded(self, rows: list[Any], width: int | None) -> Tensor:
        """Pad on the right, to the longest row if no width is given."""
        filled = np.full((len(rows), width or max(len(row) for row in rows)), self.pad_id, np.int64)
        for at, row in enumerate(rows):
            filled[at, : len(row)] = row
        return torch.from_numpy(filled)
