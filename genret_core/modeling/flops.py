"""FLOPs by formula: of training, and C, of answering one query with a beam.

A product of an m x k and a k x n matrix counts 2 m k n. Norms, softmax and element-wise operations are left
out; attention counts the full square of positions, as dense kernels compute it. A test holds the formulas
against torch's own counter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BACKWARDS = {True: 2.0, False: 3.0}
"""A training pass over a forward one, by whether only adapters are trained: then no gradient is taken of the
matrices that stay."""


class Sizes(Protocol):
    """What of a backbone decides its FLOPs."""

    @property
    def decoder_only(self) -> bool:
        """Whether it is a decoder alone."""

    @property
    def d_model(self) -> int:
        """Width d."""

    @property
    def n_layers(self) -> int:
        """Layers; of an encoder-decoder those of the encoder."""

    @property
    def decoder_layers(self) -> int:
        """Layers of the decoder; of a decoder alone all layers."""

    @property
    def n_heads(self) -> int:
        """Attention heads."""

    @property
    def head_width(self) -> int:
        """Width of one attention head."""

    def matrix_parameters(self) -> dict[str, int]:
        """Count the weights that multiply activations, by part of the body."""


def row_flops(backbone: Sizes, vocab_size: int, prompt: npt.ArrayLike, identifiers: npt.ArrayLike) -> Array:
    """FLOPs of one forward pass over packed rows; training costs three times as much.

    Parameters
    ----------
    prompt : int[R]
        Tokens of each row's query.
    identifiers : int[R, K]
        Tokens of each row's identifiers, 0 for none.

    Returns
    -------
    float64[R]
    """
    n, t = np.asarray(prompt, np.float64), np.asarray(identifiers, np.float64)
    weights, inner = backbone.matrix_parameters(), backbone.n_heads * backbone.head_width
    targets = t.sum(-1)
    if backbone.decoder_only:
        total = n + np.maximum(t - 1, 0).sum(
            -1
        )  # an identifier's last token predicts nothing: it is not read
        body = 2 * weights["decoder"] * total + 4 * backbone.n_layers * inner * total**2
        targets = targets - np.maximum(
            (t > 0).sum(-1) - 1, 0
        )  # all first tokens are predicted at one position
    else:
        attention = backbone.n_layers * n**2 + backbone.decoder_layers * ((t**2).sum(-1) + n * targets)
        body = 2 * (weights["encoder"] + weights["cross_kv"]) * n + 2 * weights["decoder"] * targets
        body = body + 4 * inner * attention
    return np.asarray(body + 2 * backbone.d_model * vocab_size * targets)


def train_flops(backbone: Sizes, vocab_size: int, prompt: npt.ArrayLike, identifiers: npt.ArrayLike) -> float:
    """FLOPs of training on rows once: the forward pass and twice as much backwards (see `row_flops`)."""
    return 3.0 * float(row_flops(backbone, vocab_size, prompt, identifiers).sum())


@dataclass(frozen=True)
class QueryFlops:
    """FLOPs of answering one query, item by item; the mean over queries.

    Attributes
    ----------
    prefill : float
        Reading the query once, its attention included: LLaMA's body; T5's encoder and the projection of what
        it says to the keys and values of the cross-attention.
    decoder : float
        The decoder's matrices, for every token that is read after the query.
    attention : float
        Of these tokens, to the query (LLaMA) and to each other.
    cross_attention : float
        Of these tokens to the query, T5 only.
    head : float
        The output head, for every prediction.
    unshared : float
        What is added if every beam reads the query itself, as `generate` of transformers does: LLaMA's body
        and the first prediction B times; T5's encoder still once, the projection and the first step B times.
    without_head : float
        The sum of all but the head, the query read once.
    """

    prefill: float
    decoder: float
    attention: float
    cross_attention: float
    head: float
    unshared: float
    without_head: float

    @property
    def total(self) -> float:
        """All, the query read once."""
        return self.without_head + self.head

    def to_dict(self) -> dict[str, float]:
        """Give the items by name."""
        return asdict(self)


def decoding_flops(
    backbone: Sizes,
    vocab_size: int,
    prompt: npt.ArrayLike,
    reads: npt.ArrayLike,
    *,
    beam: int = 1,
) -> QueryFlops:
    """Count the FLOPs of reading queries and, after them, prefixes with cached keys and values.

    Parameters
    ----------
    prompt : int[Q]
        Tokens of each query.
    reads : int[T - 1] or int[Q, T - 1]
        Prefixes of 1, 2, ... tokens that are read: one token each, the rest is cached.
    beam : int
        B, for `unshared`.
    """
    n = np.asarray(prompt, np.float64).reshape(-1)
    read = np.broadcast_to(np.asarray(reads, np.float64), (len(n), np.shape(reads)[-1]))
    later = np.arange(1, read.shape[1] + 1, dtype=np.float64)  # tokens of the prefix at each further step
    weights, inner = backbone.matrix_parameters(), backbone.n_heads * backbone.head_width
    per_pair = 4.0 * inner * backbone.decoder_layers
    predictions = 1 + read.sum(1)
    head = 2.0 * backbone.d_model * vocab_size
    if backbone.decoder_only:
        prefill = 2 * weights["decoder"] * n + per_pair * n**2
        decoder = 2 * weights["decoder"] * (predictions - 1)
        attention, cross = per_pair * (read * (n[:, None] + later)).sum(1), np.zeros(len(n))
        again = prefill + head
    else:
        projected = 2 * weights["cross_kv"] * n
        prefill = 2 * weights["encoder"] * n + projected + 4.0 * inner * backbone.n_layers * n**2
        decoder = 2 * weights["decoder"] * predictions
        attention = per_pair * (1 + (read * (1 + later)).sum(1))
        cross = per_pair * n * predictions
        again = projected + 2 * weights["decoder"] + per_pair * (1 + n) + head
    body = prefill + decoder + attention + cross
    items = (prefill, decoder, attention, cross, head * predictions, (beam - 1) * again, body)
    return QueryFlops(*(float(np.mean(item)) for item in items))


def search_flops(
    backbone: Sizes, vocab_size: int, prompt: npt.ArrayLike, *, beam: int, n_tokens: int
) -> QueryFlops:
    """Count the FLOPs of a beam search item by item; see `query_flops`."""
    reads = np.full(n_tokens - 1, beam)
    return decoding_flops(backbone, vocab_size, prompt, reads, beam=beam)


def query_flops(
    backbone: Sizes, vocab_size: int, prompt: npt.ArrayLike, *, beam: int, n_tokens: int
) -> tuple[float, float]:
    """C: FLOPs of answering one query, with and without the output head.

    One prefill of the query, then the decoder on every beam with cached keys and values. Identifiers of T
    tokens take 1 + (T - 1) B predictions: the first is shared by all beams, the last token is not read
    again. Rescoring is counted apart (`decoding_flops`); the index's constraint and the scoring of documents
    are no FLOPs and are reported as seconds.

    Parameters
    ----------
    prompt : int or int[Q]
        Tokens of the query; for several queries C is their mean.
    beam : int
        B.
    n_tokens : int
        T, tokens of an identifier.

    Returns
    -------
    C, C_no_head : float
    """
    found = search_flops(backbone, vocab_size, prompt, beam=beam, n_tokens=n_tokens)
    return found.total, found.without_head
