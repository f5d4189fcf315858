"""What a key is worth, and the options of scoring documents by keys.

A key is an n-gram that speaks for the documents that hold it. The defaults are those of SEAL (Bevilacqua et
al., Autoregressive search engines: generating substrings as document identifiers, NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from genret_core.errors import BadInput


@dataclass(frozen=True)
class Scoring:
    """How documents are scored by the keys found for a query.

    Stage 1 finds documents by their rarer keys. Stage 2 (`full_score`) then matches all keys, frequent ones
    too, in the text of the best of these documents, and lets the tokens that no key covers speak as well.

    Parameters
    ----------
    alpha, smoothing : float
        Of `key_score`.
    length_penalty : float
        A key's log-probability is multiplied by ``(1 - length_penalty)^(length - 1)``.
    corpus_frequency : bool
        Weigh against the frequency in the corpus; else by ``s - (min s - 0.1)``, min over the query's keys.
    max_hits : int
        Keys that occur more often find no documents in stage 1.
    max_count : int
        Keys that occur more often are of no use in stage 2 either.
    repetition_penalty : float
        b: a key's weight is multiplied by ``1 - b + b * f``, f the share of its token types that no heavier
        key of the document has.
    allow_overlaps : bool
        Let keys count where they overlap heavier ones. In small corpora a prefix often outweighs the n-gram
        that it begins, and would silence it.
    single_key : float
        s: a document's score is ``(1 - s) * sum + s * best``, best being the weight of its best key.
    sort_by_length, sort_by_freq : bool
        The best key is the longest, or the rarest, that the document holds; by default the heaviest. Equal
        ones go by weight.
    full_score : bool
        Score with stage 2.
    candidates : int
        Documents that stage 1 hands to stage 2.
    top_unigrams : int
        The likeliest tokens that have a say in stage 2, where there are unigrams.
    unigrams_ignore_free_places : bool
        Let them count where keys cover them, too.
    """

    alpha: float = 2.0
    smoothing: float = 5.0
    length_penalty: float = 0.0
    corpus_frequency: bool = True
    max_hits: float = 1500
    max_count: float = 10_000_000
    repetition_penalty: float = 0.8
    allow_overlaps: bool = False
    single_key: float = 0.0
    sort_by_length: bool = False
    sort_by_freq: bool = False
    full_score: bool = False
    candidates: float = 1500
    top_unigrams: float = 5000
    unigrams_ignore_free_places: bool = False

    def __post_init__(self) -> None:
        for name in ("repetition_penalty", "single_key"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} must lie between 0 and 1, not {getattr(self, name)}.")
        for name in ("candidates", "top_unigrams"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.sort_by_length and self.sort_by_freq:
            raise BadInput("sort_by_length and sort_by_freq exclude each other; switch one off.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Scoring:
        """Build from options by name; an unknown one is refused."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise BadInput(f"scoring of a search has no option {name!r}; known are {', '.join(known)}.")
        return cls(**options)

    def order(self, length: np.ndarray, count: np.ndarray) -> np.ndarray | None:
        """Give what the best key has most of; None: weight."""
        if self.sort_by_length:
            return np.asarray(length, np.int64)
        return -np.asarray(count, np.int64) if self.sort_by_freq else None


def key_score(
    log_prob: np.ndarray,
    count: np.ndarray,
    n_tokens: int,
    *,
    alpha: float = 2.0,
    smoothing: float = 5.0,
) -> np.ndarray:
    """Weigh keys: max(0, ln[p (1 - q)] - ln[q (1 - p)])^alpha with q = (count + smoothing) / (N + smoothing).

    A squared log-odds ratio of the model's probability p and the smoothed corpus frequency q. Mind the
    smoothing in small corpora: a key weighs nothing unless the model gives it more than about smoothing / N,
    which hardly any full-length n-gram reaches.

    Parameters
    ----------
    log_prob : float[n]
        ln p.
    count : int[n]
        Occurrences in the corpus; a key that does not occur weighs 0.
    n_tokens : int
        N, separators included.
    """
    s = np.asarray(log_prob, np.float64) - 1e-10  # p = 1 stays finite
    count = np.asarray(count, np.float64)
    with np.errstate(divide="ignore"):
        odds = s - np.log(-np.expm1(s)) - np.log(count + smoothing) + np.log(n_tokens - count)
    return np.where(count > 0, np.maximum(odds, 0.0), 0.0) ** alpha


def weights(
    scoring: Scoring,
    n_tokens: int,
    query: np.ndarray,
    length: np.ndarray,
    log_prob: np.ndarray,
    count: np.ndarray,
    plain: np.ndarray | None = None,
) -> np.ndarray:
    """Weigh keys of many queries.

    Parameters
    ----------
    query, length : int[n]
    log_prob : float[n]
    count : int[n]
    plain : bool[n], optional
        Keys that are weighed without the power alpha: unigrams.

    Returns
    -------
    float64[n]
    """
    s = np.asarray(log_prob, np.float64)
    if scoring.length_penalty:
        s = s * (1 - scoring.length_penalty) ** (np.asarray(length, np.float64) - 1)
    if scoring.corpus_frequency:
        odds = key_score(s, count, n_tokens, alpha=1.0, smoothing=scoring.smoothing)
    else:
        least = np.full(int(np.max(query, initial=-1)) + 1, np.inf)
        np.minimum.at(least, query, s)
        odds = np.where(np.asarray(count) > 0, s - (least[query] - 0.1), 0.0)
    powered = odds**scoring.alpha
    return powered if plain is None else np.where(plain, odds, powered)
