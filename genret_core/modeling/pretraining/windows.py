"""The corpus cut into windows, and the order in which they are read.

A window never reaches over the end of a document, so that no text is predicted from a stranger's. A
document that is too long is cut into windows of about equal length, none of which is a short rest. Batches
hold windows of about the same length, so that little of them is padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.modeling.pretraining.recipe import PretrainRecipe

Ints = npt.NDArray[np.int64]

SHORTEST = 2
"""Tokens that a window needs: one to predict, and one to predict it from."""

DRAWN_TOGETHER = 32
"""Batches whose windows are sorted by length together."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a row of tokens.

    Attributes
    ----------
    begins, lengths : int64[n]
    """

    begins: Ints
    lengths: Ints

    @classmethod
    def of(cls, doc_starts: npt.NDArray[np.integer], longest: int, *, ends: bool) -> Windows:
        """Cut documents into windows.

        Parameters
        ----------
        doc_starts : int64[n_documents + 1]
            Of a token stream, in which an end token follows every document.
        longest : int
            Most tokens of a window.
        ends : bool
            Whether the end token belongs to the document.
        """
        starts = np.asarray(doc_starts, np.int64)
        sizes = np.diff(starts) - (not ends)
        parts = -(-sizes // longest)
        document = np.repeat(np.arange(len(sizes)), parts)
        number = np.arange(len(document)) - np.repeat(np.cumsum(parts) - parts, parts)
        edges = [sizes[document] * (number + i) // parts[document] for i in (0, 1)]
        lengths = edges[1] - edges[0]
        kept = lengths >= SHORTEST
        if not kept.any():
            raise BadInput("pretrain: the corpus has no text to learn from; its documents are empty.")
        return cls((starts[document] + edges[0])[kept], lengths[kept])

    def __len__(self) -> int:
        return len(self.begins)

    def steps(self, recipe: PretrainRecipe) -> int:
        """Count the updates of a run."""
        if recipe.steps is not None:
            return recipe.steps
        assert recipe.epochs is not None
        return max(1, math.ceil(recipe.epochs * math.ceil(len(self) / recipe.batch)))

    def batches(self, recipe: PretrainRecipe) -> Iterator[Ints]:
        """Draw the windows of every update, without end; the same seed gives the same ones."""
        epoch = 0
        while True:
            yield from self._epoch(recipe.batch, (recipe.seed, epoch))
            epoch += 1

    def _epoch(self, batch: int, seed: tuple[int, int]) -> Iterator[Ints]:
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(len(self))
        cut: list[Ints] = []
        for i in range(0, len(drawn), batch * DRAWN_TOGETHER):
            some = drawn[i : i + batch * DRAWN_TOGETHER]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            cut += [some[j : j + batch] for j in range(0, len(some), batch)]
        for at in rng.permutation(len(cut)):
            yield cut[at]
