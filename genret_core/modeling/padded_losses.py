"""What the end token and padding would add to an identifier's loss, as the published code counts them.

Published, the identifiers of a document are a batch: each ends with the end token and is padded to the
longest, and the loss is a mean over all labels, padding among them. The likelihood of a longer sequence is
that of the shorter one times what follows, so the differences of three scorings are the end's and the
padding's share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from genret_core.retrieval.pairs import Pairs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def padded_losses(
    score: Callable[[Pairs, str], Floats],
    pairs: Pairs,
    owner: npt.NDArray[np.integer],
    nll: Floats,
    *,
    eos_id: int,
    pad_id: int,
) -> dict[str, Floats | Ints]:
    """Score identifiers with the end token, and padded to the longest of their document.

    Parameters
    ----------
    score : callable
        Gives the summed losses of (pairs, what these are: `end` or `padded`), float64[n].
    pairs : Pairs
        The identifiers, without end.
    owner : int[n]
        The query of each.
    nll : float64[n]
        Their losses.
    eos_id, pad_id : int
        What stands behind an identifier.

    Returns
    -------
    dict
        `eos_nll`, `pad_nll` (nats, 0 or more) and `pads` (how many), for each identifier.
    """
    ended = _filled(pairs, np.asarray(pairs.length, np.int64) + 1, eos_id)
    longest = _longest(owner, pairs.document, ended.length)
    padded = _filled(ended, longest, pad_id)
    pads = longest - ended.length
    with_end = score(ended, "end")
    with_padding = score(padded, "padded") if pads.any() else with_end
    return {
        "eos_nll": np.maximum(with_end - nll, 0.0),
        "pad_nll": np.where(pads > 0, np.maximum(with_padding - with_end, 0.0), 0.0),
        "pads": pads,
    }


def _filled(pairs: Pairs, length: Ints, token: int) -> Pairs:
    """Lengthen identifiers to `length` with a token."""
    n, width = pairs.ids.shape
    ids = np.full((n, max(int(length.max(initial=1)), width)), -1, np.int32)
    ids[:, :width] = pairs.ids
    place = np.arange(ids.shape[1])
    ids[(place >= np.asarray(pairs.length)[:, None]) & (place < length[:, None])] = token
    return replace(pairs, ids=ids, length=length.astype(np.int16))


def _longest(
    owner: npt.NDArray[np.integer], document: npt.NDArray[np.integer], length: npt.NDArray[np.integer]
) -> Ints:
    """Give for each identifier the length of the longest of its query and document."""
    keys = np.stack([np.asarray(owner, np.int64), np.asarray(document, np.int64)], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    longest = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    np.maximum.at(longest, group, np.asarray(length, np.int64))
    return longest[group]
