"""Rows of the embedding for codes, begun from the centroids of the codebook instead of at random.

What is kept of the centroids is their inner products, as well as d numbers can: the tables, each centred
(what all codes of a position have in common tells none apart), are laid out on their principal directions,
the first d of these are turned at random into the model's space, and the whole is scaled to the size of the
random rows it replaces.

- Positions with codes of their own (L_c x N_c rows, as in RIPOR): each position's centroids are its rows,
  scaled by themselves, so that the small residuals of late positions are not lost.
- Shared positions (N_c rows for all of them): code c stands for L_c centroids at once. Its row is their
  concatenation, so that the product of two rows is the sum of their products at all positions; centroids keep
  their sizes, so that early positions, which explain most, weigh most.

Input and output embedding begin alike; where they are tied, they are one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.retrieval.codebook import Codebook

Floats = npt.NDArray[np.float64]


def centroid_rows(centroids: npt.NDArray[np.float32], d: int, *, own: bool, seed: int) -> Floats:
    """Map centroids to rows of an embedding.

    Parameters
    ----------
    centroids : float32[L_c, N_c, dim]
    d : int
        Width of the model.
    own : bool
        Whether positions have codes of their own.
    seed : int
        Of the turn in the model's space.

    Returns
    -------
    float64[L_c * N_c, d] or float64[N_c, d]
        With a root mean square of 1 (per position, if `own`); zero where all centroids of a position are
        equal.
    """
    L_c, N_c, dim = centroids.shape
    centred = centroids.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    if own:
        table = _scaled(centred).reshape(L_c * N_c, dim)
    else:
        table = centred.transpose(1, 0, 2).reshape(N_c, L_c * dim)
    left, size, _ = np.linalg.svd(table, full_matrices=False)
    kept = min(d, len(size))
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, kept)))
    rows = (left[:, :kept] * size[:kept]) @ turn.T
    return _scaled(rows.reshape(L_c if own else 1, N_c, d)).reshape(-1, d)


def begin_from_centroids(model: Any, codebook: Codebook, first_code_id: int, seed: int) -> None:
    """Overwrite a fresh model's rows for codes, in the input and the output embedding.

    Parameters
    ----------
    model : PreTrainedModel
    codebook : Codebook
    first_code_id : int
        Row of the first code.
    seed : int

    Raises
    ------
    BadInput
        If the codebook has no centroids that differ.
    """
    import torch

    tables = {id(m.weight): m.weight for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    own = codebook.config.positions == "own"
    for weight in tables.values():
        rows = centroid_rows(codebook.centroids, weight.shape[1], own=own, seed=seed)
        if not rows.any():
            raise BadInput(
                "init_codes: centroids needs centroids that differ, and this codebook has none; leave it out."
            )
        with torch.no_grad():
            place = weight[first_code_id : first_code_id + len(rows)]
            size = place.square().mean().sqrt()
            place.copy_(torch.from_numpy(rows).to(weight) * size)


def _scaled(tables: Floats) -> Floats:
    """Scale each table [n, rows, width] to a root mean square of 1, unless it is zero."""
    size = np.sqrt((tables**2).mean(axis=(1, 2), keepdims=True))
    return tables / np.where(size > 1e-12, size, 1)
