"""A made-up language, instantly: for tests, and for machines without sources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.readers.withholding import withhold

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_COMMON = 50  # the words of highest frequency play the part of stop words
_TOPIC_WORDS = 80


def read(
    folder: str | os.PathLike[str],
    *,
    n_documents: int = 120,
    queries_per_document: int = 10,
    test_queries: int = 60,
    validation_queries: int = 20,
    unseen_documents: int = 0,
    n_topics: int = 12,
    vocabulary: int = 2_000,
    local_words: int = 25,
    seed: int = 0,
) -> Corpus:
    """Write a synthetic corpus.

    Words are drawn from a Zipf law over the whole vocabulary, from the words of the document's topic, and
    from some of its own. A query is four to seven words of one of the document's sentences, in order, without
    the commonest words of the language.

    Parameters
    ----------
    folder : path-like
        Where the corpus goes.
    n_documents, queries_per_document : int
    test_queries, validation_queries : int
        Documents that withhold one query for the split.
    unseen_documents : int
        Documents that withhold all their queries for test.
    n_topics : int
    vocabulary : int
        Different words of the language.
    local_words : int
        Words that a document draws for itself (others may draw them too).
    seed : int
    """
    parameters = {name: value for name, value in locals().items() if name != "folder"}
    if n_documents < 1 or queries_per_document < 1 or n_topics < 1 or local_words < 1 or vocabulary < 200:
        raise BadInput(
            "the synthetic corpus needs at least one document, query, topic and local word, and 200 words."
        )
    rng = np.random.default_rng(seed)
    language = _Language.draw(rng, vocabulary, n_topics)
    documents: list[Document] = []
    queries: dict[str, list[str]] = {}
    texts: dict[str, str] = {}  # query text: query id; no text serves twice
    for number in range(n_documents):
        topic = number % n_topics
        sentences = language.sentences(rng, topic, local_words)
        text = " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)
        documents.append(Document(f"s{number}", f"topic {topic}", text))
        queries[f"s{number}"] = []
        for query in language.queries(rng, sentences, queries_per_document):
            name = f"s{number}-{len(queries[f's{number}'])}"
            if texts.setdefault(query, name) == name:
                queries[f"s{number}"].append(name)
    split = withhold(
        queries,
        test_queries=test_queries,
        validation_queries=validation_queries,
        unseen_documents=unseen_documents,
        seed=seed,
    )
    return write_corpus(
        folder,
        documents,
        (Query(name, text) for text, name in texts.items()),
        (Qrel(query, document, 1, split[query]) for document, names in queries.items() for query in names),
        {"name": "synthetic", "reader": "synthetic", "parameters": parameters},
    )


@dataclass(frozen=True, eq=False)
class _Language:
    words: np.ndarray  # by falling frequency
    topics: np.ndarray  # [n_topics, words of a topic], indices of words

    @staticmethod
    def draw(rng: np.random.Generator, vocabulary: int, n_topics: int) -> _Language:
        syllables = [a + b for a in _CONSONANTS for b in _VOWELS]
        words = list(rng.permutation(syllables))
        n_syllables = 2
        while len(words) < vocabulary:
            longer = rng.choice(syllables, (2 * vocabulary, n_syllables))
            words = list(dict.fromkeys([*words, *map("".join, longer)]))
            n_syllables += 1
        topics = [rng.choice(np.arange(_COMMON, vocabulary), _TOPIC_WORDS) for _ in range(n_topics)]
        return _Language(np.array(words[:vocabulary]), np.array(topics))

    def sentences(self, rng: np.random.Generator, topic: int, local_words: int) -> list[list[str]]:
        zipf = 1 / np.arange(1, len(self.words) + 1)
        local = rng.choice(np.arange(_COMMON, len(self.words)), local_words)
        drawn = []
        for length in rng.integers(8, 17, rng.integers(4, 7)):
            sources = np.stack(
                [
                    rng.choice(len(zipf), length, p=zipf / zipf.sum()),
                    rng.choice(self.topics[topic], length),
                    rng.choice(local, length),
                ]
            )
            chosen = sources[rng.choice(3, length, p=[0.4, 0.3, 0.3]), np.arange(length)]
            drawn.append(self.words[chosen].tolist())
        return drawn

    def queries(self, rng: np.random.Generator, sentences: list[list[str]], n: int) -> Iterator[str]:
        common = set(self.words[:_COMMON].tolist())
        for _ in range(n):
            sentence = sentences[rng.integers(len(sentences))]
            content = [word for word in sentence if word not in common] or sentence
            kept = rng.permutation(len(content))[: rng.integers(4, 8)]
            yield " ".join(content[i] for i in sorted(kept))
