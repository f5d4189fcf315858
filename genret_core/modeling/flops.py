"""FLOPs by formula: of training, and C, of answering one query with a beam.

A product of an m x k and a k x n matrix counts 2 m k n. Norms, softmax and element-wise operations are left
out; attention counts the full square of positions, as dense kernels compute it. A test holds the formulas
against torch's own counter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genret_core.modeling.backbones import Backbone

Array = npt.NDArray[np.float64]


def row_flops(
    backbone: Backbone, vocab_size: int, prompt: npt.ArrayLike, identifiers: npt.ArrayLike
) -> Array:
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
    if backbone.family == "llama":
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


def train_flops(
    backbone: Backbone, vocab_size: int, prompt: npt.ArrayLike, identifiers: npt.ArrayLike
) -> float:
    """FLOPs of training on rows once: the forward pass and twice as much backwards (see `row_flops`)."""
    return 3.0 * float(row_flops(backbone, vocab_size, prompt, identifiers).sum())


def query_flops(
    backbone: Backbone, vocab_size: int, prompt: npt.ArrayLike, *, beam: int, n_tokens: int
) -> tuple[float, float]:
    """C: FLOPs of answering one query, with and without the output head.

    One prefill of the query, then the decoder on every beam with cached keys and values. Identifiers of T
    tokens take 1 + (T - 1) B predictions: the first is shared by all beams, the last token is not read
    again. The index's constraint and the scoring of documents are not in it; they are reported as seconds.

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
    n = np.asarray(prompt, np.float64).reshape(-1)
    weights, inner = backbone.matrix_parameters(), backbone.n_heads * backbone.head_width
    predictions = 1 + (n_tokens - 1) * beam
    later = np.arange(1, n_tokens, dtype=np.float64)  # tokens read so far at each further step
    if backbone.family == "llama":
        body = 2 * weights["decoder"] * (n + predictions - 1)
        contexts = n**2 + beam * (n[:, None] + later).sum(1)
        body = body + 4 * backbone.n_layers * inner * contexts
    else:
        contexts = 1 + beam * (1 + later).sum()
        attention = backbone.n_layers * n**2 + backbone.decoder_layers * (contexts + n * predictions)
        body = 2 * (weights["encoder"] + weights["cross_kv"]) * n + 2 * weights["decoder"] * predictions
        body = body + 4 * inner * attention
    without = float(np.mean(body))
    return without + 2.0 * backbone.d_model * vocab_size * predictions, without
