"""Where keys come from: the beams, the query's own words, and the tokens that the model would begin with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from string import punctuation

import numpy as np

from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.scoring import Scoring, weights
from genret_core.retrieval.text_index import TextIndex
from genret_core.retrieval.tokenizer import TextTokenizer

BEAM, QUERY, UNIGRAM = 1, 2, 4
SOURCES = {BEAM: "beam", QUERY: "query", UNIGRAM: "unigram"}
SPAN_WORDS = 3


@dataclass(frozen=True)
class Unigrams:
    """The likeliest first tokens of each query, in order of query, then falling log-probability.

    Attributes
    ----------
    query, token : int64[m]
    log_prob : float64[m]
    """

    query: np.ndarray
    token: np.ndarray
    log_prob: np.ndarray

    def counts(self, index: TextIndex) -> np.ndarray:
        """Count the occurrences of each token in the corpus, int64[m]."""
        tokens, which = np.unique(self.token, return_inverse=True)
        return index.count(Ragged(tokens, np.arange(len(tokens) + 1)))[which]


@dataclass(frozen=True)
class UnigramWeights:
    """Unigrams that weigh something, in order of query.

    Attributes
    ----------
    query, token : int64[m]
    weight : float64[m]
    """

    query: np.ndarray
    token: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class KeySet:
    """Keys of many queries with where they come from; every key of a query once.

    Attributes
    ----------
    hypotheses : Hypotheses
        The keys. Of those that no beam wrote, too.
    source : uint8[h]
        Sum of `BEAM`, `QUERY` and `UNIGRAM`.
    unigrams : Unigrams, optional
        For the tokens that no key covers (stage 2).
    """

    hypotheses: Hypotheses
    source: np.ndarray
    unigrams: Unigrams | None = None

    @staticmethod
    def of(found: Hypotheses | KeySet) -> KeySet:
        """Take what a beam search found as it is."""
        if isinstance(found, KeySet):
            return found
        return KeySet(found, np.full(len(found), BEAM, np.uint8))

    def __len__(self) -> int:
        return len(self.hypotheses)

    def weights(self, n_tokens: int, scoring: Scoring) -> np.ndarray:
        """Weigh the keys, float64[h]; those that are unigrams only are weighed without the power alpha."""
        keys = self.hypotheses
        return weights(
            scoring, n_tokens, keys.query, keys.length, keys.score, keys.count, self.source == UNIGRAM
        )

    def names(self) -> list[str]:
        """Name the sources of each key: `beam`, `query`, `unigram`, or two of them."""
        named = {
            total: ", ".join(name for bit, name in SOURCES.items() if total & bit)
            for total in np.unique(self.source).tolist()
        }
        return [named[total] for total in self.source.tolist()]

    def rescored(self, log_prob: np.ndarray) -> KeySet:
        """Give the keys other log-probabilities."""
        return _ordered(replace(self, hypotheses=replace(self.hypotheses, score=np.asarray(log_prob, float))))

    def joined(
        self,
        query: np.ndarray,
        patterns: Ragged,
        log_prob: np.ndarray,
        source: int,
        index: TextIndex,
    ) -> KeySet:
        """Add keys from another source; those that do not occur in the corpus are left out.

        A key that is there already keeps its log-probability and gets the name of this source besides.

        Parameters
        ----------
        query : int[m]
        patterns : Ragged of int, m sequences
        log_prob : float[m]
        source : int
        """
        old = self.hypotheses
        lo, hi = index.find(patterns)
        kept = np.flatnonzero(lo < hi)
        patterns, lo, hi = patterns.take(kept), lo[kept], hi[kept]
        width = max(old.ids.shape[1], int(patterns.lengths.max(initial=0)))
        owner = np.concatenate([old.query, np.asarray(query)[kept]]).astype(np.int64)
        length = np.concatenate([old.length, patterns.lengths]).astype(np.int64)
        lo = np.concatenate([old.lo, lo])
        first, which = _distinct_rows(owner, length, lo)  # an interval and a length name a key
        flags = np.zeros(len(first), np.uint8)
        np.bitwise_or.at(flags, which, np.append(self.source, np.full(len(kept), source, np.uint8)))
        ids = np.full((len(owner), width), -1, np.int32)
        ids[: len(old), : old.ids.shape[1]] = old.ids
        ids[len(old) :] = patterns.padded(-1, width)
        added = Hypotheses(
            query=owner[first].astype(np.int32),
            ids=ids[first],
            length=length[first].astype(np.int16),
            score=np.concatenate([old.score, np.asarray(log_prob, np.float64)[kept]])[first],
            lo=lo[first],
            hi=np.concatenate([old.hi, hi])[first],
            final=np.append(old.final, np.zeros(len(kept), bool))[first],
            filled=old.filled,
            n_queries=old.n_queries,
            beam=old.beam,
        )
        return _ordered(KeySet(added, flags, self.unigrams))

    def with_unigrams(self, unigrams: Unigrams, index: TextIndex, scoring: Scoring) -> KeySet:
        """Add the unigrams that weigh most as keys, at most as many as the query has others, and keep all.

        Parameters
        ----------
        unigrams : Unigrams
            Without special tokens.
        """
        weight = _weigh(unigrams, index, scoring)
        rows = np.flatnonzero(weight > 0)
        rows = rows[np.lexsort((-weight[rows], unigrams.query[rows]))]
        place = np.arange(len(rows)) - np.searchsorted(unigrams.query[rows], unigrams.query[rows])
        others = np.bincount(self.hypotheses.query, minlength=self.hypotheses.n_queries)
        rows = rows[place < others[unigrams.query[rows]]]
        rows = rows[~self._are_keys(unigrams, index)[rows]]
        patterns = Ragged(unigrams.token[rows], np.arange(len(rows) + 1))
        joined = self.joined(unigrams.query[rows], patterns, unigrams.log_prob[rows], UNIGRAM, index)
        return replace(joined, unigrams=unigrams)

    def unigram_weights(self, index: TextIndex, scoring: Scoring) -> UnigramWeights | None:
        """Weigh the unigrams for the tokens that no key covers; those that are keys have no say."""
        if self.unigrams is None:
            return None
        one = self.unigrams
        weight = _weigh(one, index, scoring)
        rows = np.flatnonzero((weight > 0) & ~self._are_keys(one, index))
        return UnigramWeights(one.query[rows], one.token[rows], weight[rows])

    def _are_keys(self, unigrams: Unigrams, index: TextIndex) -> np.ndarray:
        """Tell which unigrams are keys of their query."""
        keys = self.hypotheses
        single = keys.length == 1
        known = keys.query[single] * np.int64(index.vocab_size) + keys.ids[single, :1].reshape(-1)
        return np.isin(unigrams.query * np.int64(index.vocab_size) + unigrams.token, known)


def _weigh(unigrams: Unigrams, index: TextIndex, scoring: Scoring) -> np.ndarray:
    count = unigrams.counts(index)
    one = np.ones(len(count), np.int64)
    weight = weights(scoring, index.n_tokens, unigrams.query, one, unigrams.log_prob, count, one > 0)
    return np.where(count <= scoring.max_count, weight, 0.0)


def _ordered(found: KeySet) -> KeySet:
    keys = found.hypotheses
    order = np.lexsort((-keys.score, keys.length, keys.query))
    return replace(found, hypotheses=keys.select(order), source=found.source[order])


def _distinct_rows(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first of all equal rows, and for every row the number of its like."""
    order = np.lexsort(columns[::-1])
    new = np.zeros(len(order), bool)
    new[:1] = True
    for column in columns:
        new[1:] |= np.diff(column[order]) != 0
    which = np.empty(len(order), np.int64)
    which[order] = np.cumsum(new) - 1
    return order[new], which


def query_spans(
    texts: Sequence[str], tokenizer: TextTokenizer, index: TextIndex
) -> tuple[np.ndarray, Ragged]:
    """Find the spans of one to three words of each query that occur in the corpus.

    A span is tried as it is written, without punctuation at its ends, in lower case and capitalised.

    Returns
    -------
    query : int64[m]
        Ascending; every span of a query once.
    patterns : Ragged of int32, m sequences
    """
    normalise = tokenizer.backend.normalizer
    spans: dict[tuple[int, str], None] = {}
    for query, text in enumerate(texts):
        for span in _spans(text):
            plain = span if normalise is None else normalise.normalize_str(span)
            spans.setdefault((query, plain))
    encoded = tokenizer.encode([span for _, span in spans])
    owner = np.array([query for query, _ in spans], np.int64)
    lo, hi = index.find(encoded)
    kept = np.flatnonzero(lo < hi)
    kept = kept[encoded.lengths[kept] > 0]
    first, _ = _distinct_rows(owner[kept], encoded.lengths[kept], lo[kept])
    kept = kept[np.sort(first)]
    return owner[kept], encoded.take(kept)


def _spans(text: str) -> Iterator[str]:
    words = text.split()
    for size in range(1, SPAN_WORDS + 1):
        for start in range(len(words) - size + 1):
            span = " ".join(words[start : start + size])
            for one in dict.fromkeys((span, span.strip(punctuation))):
                if one:
                    yield from (one, one.lower(), one[:1].upper() + one[1:])
