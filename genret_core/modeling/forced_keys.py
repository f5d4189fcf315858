"""Log-probabilities of given keys by teacher forcing, with the decoder that searches.

The keys of a query make a tree: each prefix that any of them shares is read once, after a single reading of
the prompt. With the prompt of the search it gives what the search gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from genret_core.retrieval.batches import in_batches, rows_per_step
from genret_core.retrieval.decoders import Decoder, make_decoder
from genret_core.retrieval.key_sources import Unigrams
from genret_core.retrieval.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forced:
    """What teacher forcing found.

    Attributes
    ----------
    log_prob : float64[n]
        Sum of the log-probabilities of each key's tokens.
    reads : int64[Q, T - 1]
        Prefixes of 1, 2, ... tokens that were read for each query (what the FLOPs are counted from).
    first : Unigrams or None
        The likeliest first tokens of each query.
    """

    log_prob: Floats
    reads: Ints
    first: Unigrams | None


def force_keys(
    model: Any,
    prompts: Ragged,
    query: npt.NDArray[np.integer],
    keys: Ragged,
    *,
    family: str,
    pad_id: int,
    first_tokens: int = 0,
    device: Any = None,
) -> Forced:
    """Score keys given their queries.

    Parameters
    ----------
    model : transformers model
        Put into evaluation mode meanwhile.
    prompts : Ragged
        A prompt per query.
    query : int[n]
        The prompt that each key belongs to.
    keys : Ragged of int, n sequences
        Of one token at least.
    family : {"llama", "t5", "causal", "seq2seq"}
        As in `beam_search`.
    pad_id : int
    first_tokens : int
        Keep so many of the likeliest first tokens of each query.
    device : torch device, optional
        None: where the model is.
    """
    owner = np.asarray(query, np.int64)
    n, longest = len(prompts), int(keys.lengths.max(initial=1))
    log_prob, reads = np.zeros(len(keys)), np.zeros((n, longest - 1), np.int64)
    ids = keys.padded(-1).astype(np.int64)
    where = device or next(model.parameters()).device
    tables: list[tuple[Ints, Ints, Floats]] = []
    training = model.training
    model.eval()

    def read(places: Ints) -> None:
        decoder = make_decoder(family, model, prompts.take(places), pad_id=pad_id, device=where)
        local = np.full(n, -1)
        local[places] = np.arange(len(places))
        rows = np.flatnonzero(local[owner] >= 0)
        tree = _Tree(decoder, len(places), pad_id, first_tokens)
        log_prob[rows] = tree.run(local[owner[rows]], ids[rows], keys.lengths[rows])
        reads[places, : len(tree.reads)] = np.array(tree.reads).reshape(-1, len(places)).T
        if tree.first is not None:
            tables.append((places, *tree.first))

    try:
        with torch.inference_mode():
            order = np.argsort(prompts.lengths, kind="stable")
            size = max(1, rows_per_step(model, where, longest) // _widest(owner, ids, keys.lengths))
            in_batches(order, size, read, "the keys of one query")
    finally:
        model.train(training)
    return Forced(log_prob, reads, _unigrams(tables) if first_tokens else None)


def _widest(query: Ints, ids: Ints, lengths: Ints) -> int:
    """Count the prefixes of one length that a query has to read at most."""
    widest = 1
    width = int(ids.max(initial=0)) + 1
    rows = np.flatnonzero(lengths > 1)
    node = query[rows]
    for depth in range(int(lengths.max(initial=1)) - 1):
        longer = lengths[rows] > depth + 1
        rows, node = rows[longer], node[longer]
        _, first, node = np.unique(node * width + ids[rows, depth], return_index=True, return_inverse=True)
        widest = max(widest, int(np.bincount(query[rows[first]]).max()))
    return widest


def _unigrams(tables: list[tuple[Ints, Ints, Floats]]) -> Unigrams:
    query = np.concatenate([np.repeat(places, token.shape[1]) for places, token, _ in tables])
    token, log_prob = (np.concatenate([table[i].reshape(-1) for table in tables]) for i in (1, 2))
    order = np.argsort(query, kind="stable")
    return Unigrams(query[order], token[order], log_prob[order])


class _Tree:
    """The keys of a batch of queries, read from length to length."""

    def __init__(self, decoder: Decoder, n_queries: int, pad_id: int, first_tokens: int) -> None:
        self.decoder, self.n_queries, self.pad_id = decoder, n_queries, pad_id
        self.first_tokens = first_tokens
        self.first: tuple[Ints, Floats] | None = None
        self.reads: list[Ints] = []

    def run(self, query: Ints, ids: Ints, lengths: Ints) -> Floats:
        """Give the log-probability of each key."""
        logits = self.decoder.start().float()
        if self.first_tokens:
            self.first = self._likeliest(logits)
        found = np.zeros(len(query))
        node = query.copy()  # of each key: its prefix of `depth` tokens, counted through all queries
        owner, score = np.arange(self.n_queries), np.zeros(self.n_queries)
        place = np.arange(self.n_queries)  # of each prefix that is read: its row of the logits
        for depth in range(int(lengths.max(initial=0))):
            longer = np.flatnonzero(lengths > depth)
            width = int(ids.max(initial=0)) + 1
            step, node[longer] = np.unique(node[longer] * width + ids[longer, depth], return_inverse=True)
            parent, token = np.divmod(step, width)
            score = score[parent] + self._given(logits, place[parent], token)
            owner = owner[parent]
            ends = lengths == depth + 1
            found[ends] = score[node[ends]]
            inner = np.unique(node[lengths > depth + 1])
            if not len(inner):
                break
            logits, place = self._read(inner, owner, token, place[parent])
        return found

    def _read(self, inner: Ints, owner: Ints, token: Ints, parent_place: Ints) -> tuple[Tensor, Ints]:
        """Read the prefixes that go on; they come in order of query."""
        own = owner[inner]
        counts = np.bincount(own, minlength=self.n_queries)
        self.reads.append(counts)
        width = int(counts.max())
        at = own * width + np.arange(len(inner)) - np.searchsorted(own, own)
        tokens = np.full(self.n_queries * width, self.pad_id, np.int64)
        parents = np.zeros(self.n_queries * width, np.int64)
        tokens[at], parents[at] = token[inner], parent_place[inner]
        logits = self.decoder.step(tokens.reshape(self.n_queries, width), parents).float()
        place = np.full(len(owner), -1)
        place[inner] = at
        return logits, place

    def _given(self, logits: Tensor, place: Ints, token: Ints) -> Floats:
        """Give the log-probabilities of tokens after the prefixes at some rows."""
        norm = torch.logsumexp(logits, dim=-1)
        rows, columns = (torch.from_numpy(x).to(logits.device) for x in (place, token))
        given = logits[rows, columns].double() - norm[rows].double()
        result: Floats = given.cpu().numpy()
        return result

    def _likeliest(self, logits: Tensor) -> tuple[Ints, Floats]:
        top = torch.log_softmax(logits.double(), dim=-1).topk(min(self.first_tokens, logits.shape[1]), dim=-1)
        return top.indices.cpu().numpy(), top.values.cpu().numpy()
