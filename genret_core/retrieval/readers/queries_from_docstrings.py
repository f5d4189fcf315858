"""Queries for a docstring, as a person might type them: name and summary, a parameter, keywords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from genret_core.retrieval.overlap import stop_words
from genret_core.retrieval.readers.prose import Prose

_PARAMETER_QUERIES = 3
_SUMMARY_WORDS = 12
_KEYWORDS = (4, 7)
_ALIKE = 0.58  # keyword queries of one document share at most this part of their words (Jaccard)
_WORD = re.compile(r"[^\W\d][\w'’]*(?:[.-]?\w[\w'’]*)+|\d{3,}")  # no single letters, no small numbers
_EDGES = "()[]{}<>\"'`.,;:!?*=-’"


def docstring_queries(
    name: str, owner: str, parameters: tuple[str, ...], prose: Prose, passage: list[str], *, n: int, seed: int
) -> list[str]:
    """Make up to `n` different queries for one passage.

    One is the name and the summary, up to three are "<name> argument <parameter>", the others are four to
    seven content words of one sentence, in order.

    Parameters
    ----------
    name, owner : str
        Name of the function or class, and of the class it belongs to (or empty).
    parameters : tuple of str
        Names in the signature; those that the passage speaks of serve, too.
    prose : Prose
    passage : list of str
        The sentences of the document.
    n : int
    seed : int
        With the name, it settles every choice: whatever else is drawn, a document's queries are the same.
    """
    digest = blake2b(f"{seed} {owner} {name} {passage[0]}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    called = f"{owner} {name}".strip()
    queries: list[str] = []
    if prose.summary:
        queries.append(f"{called} {_plain(prose.summary, _SUMMARY_WORDS)}")
    words = set(" ".join(passage).replace(":", " ").split())
    mentioned = [parameter for parameter in parameters if parameter not in stop_words()]
    known = [parameter for parameter in dict.fromkeys([*prose.parameters, *mentioned]) if parameter in words]
    for place in rng.permutation(len(known))[:_PARAMETER_QUERIES]:
        queries.append(f"{called} argument {known[place]}")
    keywords = _keyword_queries(passage, rng, tries=4 * n)
    while len(queries) < n and (query := next(keywords, None)) is not None:
        queries.append(query)
    return list(dict.fromkeys(queries))[:n]


def _keyword_queries(passage: list[str], rng: np.random.Generator, *, tries: int) -> Iterator[str]:
    fewest, most = _KEYWORDS
    sentences = [words for words in map(_content, passage) if len(words) >= fewest]
    if not sentences:
        return
    weights = np.array([len(words) for words in sentences], float)
    drawn: list[set[str]] = []
    for _ in range(tries):
        words = sentences[rng.choice(len(sentences), p=weights / weights.sum())]
        n_words = int(rng.integers(fewest, min(most, len(words)) + 1))
        kept = [words[i] for i in np.sort(rng.permutation(len(words))[:n_words])]
        if all(len(other & set(kept)) <= _ALIKE * len(other | set(kept)) for other in drawn):
            drawn.append(set(kept))
            yield " ".join(kept)


def _content(sentence: str) -> list[str]:
    """Content words of a sentence, in order, each once."""
    words = (word.rstrip("'’").lower() for word in _WORD.findall(sentence))
    return list(dict.fromkeys(word for word in words if word not in stop_words()))


def _plain(sentence: str, n_words: int) -> str:
    return " ".join(sentence.split()[:n_words]).rstrip(_EDGES).lower()
