"""Beam search that can only write what stands in the corpus.

One search for all models that write from left to right and for both kinds of identifier. Scores are
log-probabilities over the whole vocabulary; the index only decides which tokens may follow, nothing is
renormalised. Every step keeps the best `beam` prefixes of each query. The best ``2 * beam`` of every step are
remembered, since most of what tells documents apart in a small corpus are short prefixes, not full-length
n-grams.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.arrays import NUMPY
from genret_core.retrieval.batches import in_batches, rows_per_step
from genret_core.retrieval.decoders import Decoder, make_decoder
from genret_core.retrieval.hypotheses import Hypotheses, join_hypotheses
from genret_core.retrieval.prefix_index import PrefixIndex
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.top_valid import Continuations, top_valid

if TYPE_CHECKING:
    from torch import Tensor


def beam_search(
    model: Any,
    index: PrefixIndex,
    prompts: Ragged,
    *,
    beam: int,
    max_new_tokens: int,
    family: str,
    pad_id: int,
    eos_id: int,
    keep_history: bool = True,
    first_tokens: np.ndarray | None = None,
    stop_at_count: int = 0,
    batch_queries: int | None = None,
    device: Any = None,
) -> Hypotheses:
    """Search identifiers for each prompt.

    Parameters
    ----------
    model : transformers model
        A causal or encoder-decoder language model; put into evaluation mode during the search.
    index : TokenIndex, ShardedIndex or CodeIndex
        What may be written; an index that was moved to a device answers there. A beam that nothing can follow
        (the document or the codes end) finishes.
    prompts : Ragged of int[Q]
        Token ids that the model reads before it writes, separators and end tokens included.
    beam : int
        Prefixes of a query that go on at every step.
    max_new_tokens : int
        Tokens of the longest prefix.
    family : {"llama", "t5", "causal", "seq2seq"}
        LLaMA, T5, or any decoder-only or encoder-decoder model of transformers; see `decoders`.
    pad_id : int
        Fills up shorter prompts; never attended to. No identifier holds it.
    eos_id : int
        Must be the separator of a token index, so that no identifier can run into the next document.
    keep_history : bool
        Remember the best ``2 * beam`` prefixes of every step, else only the beams left at the end.
    first_tokens : bool[V], optional
        Tokens that may begin an identifier (for n-grams: those that begin a word).
    stop_at_count : int
        A prefix that occurs this often or less in the index finishes too, since it tells documents apart well
        enough. 0: all identifiers have `max_new_tokens`, unless their document ends before.
    batch_queries : int, optional
        Queries searched together; None: as many as make about 1,600 beams, fewer on a GPU that cannot hold
        them. Where its memory is full, half as many, and again.
    device : torch device, optional
        None: where the model is.

    Returns
    -------
    Hypotheses
        Every prefix of a query once, with its cumulative log-probability and its interval in the index.

    Raises
    ------
    BadInput
        If a prompt is empty, an argument is out of range or does not fit the index, the model gives NaN or
        (`causal`, `seq2seq`) gives other probabilities than in a plain call.
    MemoryError
        If the device cannot hold the search of one query.
    """
    import torch

    _check(prompts, beam, max_new_tokens, batch_queries)
    if stop_at_count < 0:
        raise BadInput(f"stop_at_count must be at least 0, not {stop_at_count}.")
    if index.separator_id not in (None, eos_id):
        raise BadInput(f"The index ends documents with token {index.separator_id}, not with eos_id {eos_id}.")
    where = device or _device_of(model)
    size = batch_queries or max(1, rows_per_step(model, where, max_new_tokens) // beam)
    order = np.argsort(prompts.lengths, kind="stable")  # prompts of like length together: little padding

    def search(places: np.ndarray) -> Hypotheses:
        decoder = make_decoder(family, model, prompts.take(places), pad_id=pad_id, device=where)
        one = _Search(decoder, index, len(places), beam, max_new_tokens, pad_id, first_tokens, stop_at_count)
        return one.run(keep_history)

    with torch.inference_mode(), _evaluating(model):
        parts = in_batches(order, size, search, f"the search of one query with {beam} beams")
    return join_hypotheses(parts, len(prompts))


@dataclass
class _Beams:
    """The live beams of a batch, [Q, B] flattened; a place without a beam has an empty interval.

    `record` is the number of each beam among the recorded prefixes.
    """

    ids: np.ndarray
    score: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    record: np.ndarray


@dataclass
class _Search:
    """One batch of queries, step by step."""

    decoder: Decoder
    index: PrefixIndex
    n_queries: int
    beam: int
    max_new_tokens: int
    pad_id: int
    first_tokens: np.ndarray | None
    stop_at_count: int
    steps: list[tuple[Continuations, np.ndarray]] = field(default_factory=list)
    final: list[np.ndarray] = field(default_factory=list)
    recorded: int = 0

    def run(self, keep_history: bool) -> Hypotheses:
        n = self.n_queries
        filled = np.zeros(n, np.int64)
        lo, hi = (self.index.arrays.numpy(x) for x in self.index.root(n))
        beams = _Beams(np.empty((n, 0), np.int64), np.zeros(n), lo, hi, np.full(n, -1))
        logits = self.decoder.start()
        self._check_vocabulary(logits.shape[-1])
        for depth in range(self.max_new_tokens):
            top, rows = self._continue(beams, logits, depth)
            beams, parents, alive = self._keep(beams, top, rows)
            filled = np.maximum(filled, alive)
            over = beams.lo < beams.hi
            if depth + 1 < self.max_new_tokens:
                over &= self.index.arrays.numpy(self.index.ended(beams.lo, beams.hi, depth + 1))
                over |= (beams.lo < beams.hi) & (beams.hi - beams.lo <= self.stop_at_count)
            self.final.append(beams.record[over])
            beams.hi = np.where(over, beams.lo, beams.hi)
            if not (beams.lo < beams.hi).any():
                break
            logits = self.decoder.step(beams.ids[:, -1].reshape(n, -1), parents)
        found = self._hypotheses(filled)
        return found if keep_history else found.select(found.final)

    def _check_vocabulary(self, vocab_size: int) -> None:
        if self.index.vocab_size <= vocab_size:
            return
        largest = self.index.vocab_size - 1  # of codes; a text need not hold all of its tokenizer's tokens
        if self.index.separator_id is not None:
            tokens = self.index.allowed(*self.index.root(), 0).token
            largest = int(tokens.max()) if len(tokens) else 0
        if largest >= vocab_size:
            raise BadInput(
                f"The index holds token {largest}, the model knows {vocab_size} tokens only; search with a "
                "model for the tokenizer that the index was built with."
            )

    def _continue(self, beams: _Beams, logits: Tensor, depth: int) -> tuple[Continuations, np.ndarray]:
        """Find the best continuations of all beams and record them; also their rank within the query."""
        import torch

        logits = logits.float()
        norm = torch.logsumexp(logits, dim=-1).double().cpu().numpy()
        live = beams.lo < beams.hi
        if np.isnan(norm[live]).any():
            raise BadInput(
                "The model gives NaN for its next token: its training has diverged; train it again."
            )
        top = top_valid(
            self.index,
            logits.cpu().numpy() if self.index.arrays is NUMPY else logits,
            beams.score - norm,
            beams.lo,
            beams.hi,
            depth,
            2 * self.beam,
            np.repeat(np.arange(self.n_queries), len(beams.lo) // self.n_queries),
            tokens=self.first_tokens if depth == 0 else None,
        ).numpy()
        ids = np.concatenate([beams.ids[top.beam], top.token[:, None]], axis=1)
        self.steps.append((top, ids))
        return top, np.arange(len(top.group)) - np.searchsorted(top.group, top.group)

    def _keep(
        self, beams: _Beams, top: Continuations, rank: np.ndarray
    ) -> tuple[_Beams, np.ndarray, np.ndarray]:
        """Let the best `beam` continuations of each query be the next beams."""
        kept = np.flatnonzero(rank < self.beam)
        group = top.group[kept]
        alive = np.bincount(group, minlength=self.n_queries)
        width = int(alive.max(initial=1))
        place = group * width + rank[kept]
        n = self.n_queries * width
        ids = self.steps[-1][1]
        new = _Beams(
            ids=np.full((n, ids.shape[1]), self.pad_id),
            score=np.zeros(n),
            lo=np.zeros(n, np.int64),
            hi=np.zeros(n, np.int64),
            record=np.full(n, -1),
        )
        new.ids[place], new.score[place] = ids[kept], top.score[kept]
        new.lo[place], new.hi[place] = top.lo[kept], top.hi[kept]
        new.record[place] = self.recorded + kept
        self.recorded += len(top.group)
        parents = np.zeros(n, np.int64)
        parents[place] = top.beam[kept]
        return new, parents, alive

    def _hypotheses(self, filled: np.ndarray) -> Hypotheses:
        """Put the steps together."""
        width = len(self.steps)
        ids = np.full((self.recorded, width), -1, np.int32)
        length = np.zeros(self.recorded, np.int16)
        start = 0
        for top, step_ids in self.steps:
            stop = start + len(top.group)
            ids[start:stop, : step_ids.shape[1]] = step_ids
            length[start:stop] = step_ids.shape[1]
            start = stop
        final = np.zeros(self.recorded, bool)
        final[np.concatenate(self.final)] = True
        names = ("group", "score", "lo", "hi")
        query, score, lo, hi = (np.concatenate([getattr(t, name) for t, _ in self.steps]) for name in names)
        return Hypotheses(
            query=query.astype(np.int32),
            ids=ids,
            length=length,
            score=score,
            lo=lo,
            hi=hi,
            final=final,
            filled=filled.astype(np.int32),
            n_queries=self.n_queries,
            beam=self.beam,
        )


def _check(prompts: Ragged, beam: int, max_new_tokens: int, batch_queries: int | None) -> None:
    for name, value in (("beam", beam), ("max_new_tokens", max_new_tokens), ("batch_queries", batch_queries)):
        if value is not None and value < 1:
            raise BadInput(f"{name} must be at least 1, not {value}.")
    if not len(prompts):
        raise BadInput("There are no prompts to search for.")
    if not prompts.lengths.all():
        raise BadInput(
            f"prompt {int(np.argmin(prompts.lengths))} is empty; a model needs at least one token."
        )


def _device_of(model: Any) -> Any:
    return next(model.parameters()).device


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Switch dropout off for the search."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
