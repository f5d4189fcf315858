"""Windows as tensors: next tokens for a decoder alone, corrupted spans for an encoder-decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from genret_core.modeling.pretrained.rows import IGNORED
from genret_core.modeling.pretraining.corruption import corrupt, span_mask
from genret_core.modeling.pretraining.recipe import PretrainRecipe
from genret_core.modeling.pretraining.windows import Windows
from genret_core.retrieval.token_stream import TokenStream
from genret_core.retrieval.tokenizer import TextTokenizer

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lengths:
    """Tokens of each window, padding left out: read before the targets (the encoder's), and targets."""

    read: Ints
    targets: Ints

    @property
    def tokens(self) -> int:
        """All of them."""
        return int(self.read.sum() + self.targets.sum())


@dataclass(frozen=True, eq=False)
class Texts:
    """The corpus' windows as batches for one objective.

    Attributes
    ----------
    ids : uint16 or uint32 [N]
        Tokens of the corpus.
    windows : Windows
    recipe : PretrainRecipe
    objective : {"causal", "span_corruption"}
    pad_id, eos_id : int
    begin_id : int or None
        Stands before every window of a decoder alone whose tokenizer begins texts so.
    first_sentinel : int
        Token id of the first sentinel: the size of the vocabulary.
    """

    ids: Any
    windows: Windows
    recipe: PretrainRecipe
    objective: str
    pad_id: int
    eos_id: int
    begin_id: int | None
    first_sentinel: int

    @classmethod
    def of(
        cls, stream: TokenStream, tokenizer: TextTokenizer, recipe: PretrainRecipe, objective: str
    ) -> Texts:
        """Cut a corpus into windows; a decoder alone learns where documents end, too."""
        windows = Windows.of(stream.doc_starts, recipe.length, ends=objective == "causal")
        return cls(
            stream.ids, windows, recipe, objective, tokenizer.pad_id, tokenizer.eos_id, tokenizer.begin_id,
            tokenizer.size,
        )  # fmt: skip

    @property
    def sentinels(self) -> int:
        """Tokens that the vocabulary has only while it is pretrained."""
        return self.recipe.spans if self.objective == "span_corruption" else 0

    def batch(self, rows: Ints, seed: tuple[int, ...]) -> tuple[dict[str, Tensor], Lengths]:
        """Lay out windows.

        Parameters
        ----------
        rows : int64[B]
            Windows.
        seed : tuple of int
            Of what is corrupted.

        Returns
        -------
        dict
            What the model takes, and `labels`, `IGNORED` where there is no target. The label at a place is
            what the model predicts there: nothing is shifted.
        Lengths
        """
        texts = [self._text(row) for row in rows]
        return self._causal(texts) if self.objective == "causal" else self._corrupted(texts, seed)

    def _text(self, row: int) -> Ints:
        begin = int(self.windows.begins[row])
        return np.asarray(self.ids[begin : begin + int(self.windows.lengths[row])], np.int64)

    def _causal(self, texts: list[Ints]) -> tuple[dict[str, Tensor], Lengths]:
        if self.begin_id is not None:
            texts = [np.concatenate([[self.begin_id], text]) for text in texts]
        read, attention = _padded([text[:-1] for text in texts], self.pad_id)
        labels, _ = _padded([text[1:] for text in texts], IGNORED)
        n = np.array([len(text) for text in texts], np.int64)
        batch = {"input_ids": read, "attention_mask": attention, "labels": labels}
        return batch, Lengths(np.ones_like(n), n - 1)  # an identifier's last token is not read: `row_flops`

    def _corrupted(self, texts: list[Ints], seed: tuple[int, ...]) -> tuple[dict[str, Tensor], Lengths]:
        rng, recipe = np.random.default_rng(seed), self.recipe
        read: list[Ints] = []
        written: list[Ints] = []
        for text in texts:
            mask = span_mask(len(text), recipe.noise_tokens(len(text)), recipe.mean_span, rng)
            for parts, own in zip((read, written), corrupt(text, mask, self.first_sentinel), strict=True):
                parts.append(np.append(own, self.eos_id))
        source, attention = _padded(read, self.pad_id)
        labels, _ = _padded(written, IGNORED)
        start = np.full(1, self.pad_id)  # T5's decoder begins with padding
        before, _ = _padded([np.concatenate([start, own[:-1]]) for own in written], self.pad_id)
        batch = {
            "input_ids": source, "attention_mask": attention, "decoder_input_ids": before, "labels": labels,
        }  # fmt: skip
        return batch, Lengths(*(np.array([len(x) for x in part], np.int64) for part in (read, written)))


def batch_loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Mean negative log-likelihood per target (nats), in float32."""
    given = {name: value for name, value in batch.items() if name != "labels"}
    logits = model(**given, use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=IGNORED)


def _padded(rows: list[Ints], filling: int) -> tuple[Tensor, Tensor]:
    """Pad on the right; give the rows and where they are not padding."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), filling, np.int64)
    real = np.zeros((len(rows), width), np.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)], real[at, : len(row)] = row, 1
    return torch.from_numpy(ids), torch.from_numpy(real)
