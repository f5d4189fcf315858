"""Span corruption: spans of a text replaced by sentinels, and the spans as what is to be written.

``a b c d e f g h`` becomes ``a b <0> e f <1>`` to read and ``<0> c d <1> g h`` to write. As in T5's code, a
text begins with what stays and ends with a span, so that as many spans are corrupted as stay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def span_mask(length: int, noise: int, mean_span: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw which tokens of a text are corrupted (Raffel et al. 2020, `random_spans_noise_mask`).

    Parameters
    ----------
    length : int
        Tokens of the text, 2 or more.
    noise : int
        Tokens to corrupt, from 1 to `length` - 1.
    mean_span : float
        Mean length of a span; the number of spans is `noise` / `mean_span`, rounded.
    rng : Generator

    Returns
    -------
    bool[length]
        True at exactly `noise` tokens.
    """
    spans = min(max(1, round(noise / mean_span)), noise, length - noise)
    lengths = np.empty(2 * spans, np.int64)
    lengths[0::2] = _parts(length - noise, spans, rng)
    lengths[1::2] = _parts(noise, spans, rng)
    return np.repeat(np.arange(2 * spans) % 2 == 1, lengths)


def _parts(total: int, n: int, rng: np.random.Generator) -> Ints:
    """Divide a number into n parts of 1 or more, every way alike likely."""
    cuts = np.sort(rng.choice(total - 1, n - 1, replace=False)) + 1 if n > 1 else np.empty(0, np.int64)
    return np.diff(np.concatenate([[0], cuts, [total]]))


def corrupt(ids: npt.ArrayLike, mask: npt.NDArray[np.bool_], first_sentinel: int) -> tuple[Ints, Ints]:
    """Give what is read and what is written instead of a text.

    Parameters
    ----------
    ids : int[length]
    mask : bool[length]
        Which tokens are corrupted.
    first_sentinel : int
        Token id of the first sentinel; the others follow it.

    Returns
    -------
    read, written : int64
        The text with a sentinel for every span; the spans, each behind its sentinel.
    """
    tokens = np.asarray(ids, np.int64)
    begins = mask & ~np.concatenate([[False], mask[:-1]])
    sentinels = first_sentinel + np.cumsum(begins) - 1
    read = np.where(begins, sentinels, tokens)[~mask | begins]
    places = np.flatnonzero(begins)
    within = np.cumsum(mask)[places] - 1  # where each span begins among the corrupted tokens
    written = np.insert(tokens[mask], within, sentinels[places])
    return read, written


def restored(read: npt.ArrayLike, written: npt.ArrayLike, first_sentinel: int, sentinels: int) -> Ints:
    """Put the spans back in place of their sentinels: the text that `corrupt` was given."""
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in np.asarray(written, np.int64).tolist():
        if first_sentinel <= token < first_sentinel + sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    text: list[int] = []
    for token in np.asarray(read, np.int64).tolist():
        text += spans.get(token, [token])
    return np.array(text, np.int64)
