"""Small corpora and keys, for tests of ranking."""

from __future__ import annotations

import numpy as np

from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.token_index import TokenIndex

SEP = 1


def build(folder, documents, vocab=50) -> TokenIndex:
    ids = np.array([t for d in documents for t in [*d, SEP]], np.uint16)
    starts = np.concatenate([[0], np.cumsum([len(d) + 1 for d in documents])])
    return TokenIndex.build(ids, starts, folder, vocab_size=vocab, tokenizer_key="t", separator_id=SEP)


def hypotheses(index, keys: list[tuple[int, list[int], float]], n_queries: int, final=None) -> Hypotheses:
    """Hypotheses from (query, tokens, log-probability)."""
    lo, hi = index.find([tokens for _, tokens, _ in keys])
    width = max((len(tokens) for _, tokens, _ in keys), default=1)
    padded = [tokens + [-1] * (width - len(tokens)) for _, tokens, _ in keys]
    return Hypotheses(
        query=np.array([q for q, _, _ in keys], np.int32),
        ids=np.array(padded, np.int32).reshape(-1, width),
        length=np.array([len(tokens) for _, tokens, _ in keys], np.int16),
        score=np.array([s for _, _, s in keys], float),
        lo=lo,
        hi=hi,
        final=np.ones(len(keys), bool) if final is None else np.array(final),
        filled=np.ones(n_queries, np.int32),
        n_queries=n_queries,
        beam=1,
    )  # fmt: skip


def random_search(seed, documents, n_queries, n_keys):
    """Keys as a search leaves them: prefixes of n-grams of the corpus, with falling log-probabilities."""
    rng = np.random.default_rng(seed)
    keys = []
    for query in range(n_queries):
        found = {}
        while len(found) < n_keys:
            d = documents[rng.integers(len(documents))]
            start = rng.integers(len(d))
            s = -rng.exponential(0.5)
            for stop in range(start + 1, min(len(d), start + 6) + 1):
                s -= rng.exponential(0.3)
                found.setdefault(tuple(d[start:stop]), s)
        keys += [(query, list(tokens), s) for tokens, s in found.items()]
    return keys
