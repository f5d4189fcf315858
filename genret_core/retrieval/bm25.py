"""BM25, the baseline that every ranking is shown beside: an index that is built once and asked by text."""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json, write_json
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.ranking import Ranking, top_documents

WORD = re.compile(r"\w+")
FILE = "bm25.json"
FIELDS, K1, B = "title_text", 0.9, 0.4


@dataclass(frozen=True, eq=False)
class Bm25Index:
    """BM25 (Lucene's variant) over lower-cased words, without stemming or stop words.

    Parameters
    ----------
    engine : bm25s.BM25
        Its scores, in memory or mapped from files.
    corpus : str
        Key of the corpus.
    n_documents : int
    seconds : float
        That building took.
    """

    engine: Any
    corpus: str
    n_documents: int
    seconds: float

    @staticmethod
    def build(corpus: Corpus, *, fields: str = FIELDS, k1: float = K1, b: float = B) -> Bm25Index:
        """Index a corpus; its texts are read one after the other, and only their words' numbers are kept.

        Parameters
        ----------
        corpus : Corpus
        fields : {"text", "title_text"}
            What of a document is searched.
        k1, b : float
            Saturation of term frequency, and normalisation by length.
        """
        import bm25s

        started = time.perf_counter()
        numbers: dict[str, int] = {}
        ids = [
            array("i", [numbers.setdefault(word, len(numbers)) for word in words_of(text)])
            for text in corpus.document_texts(fields=fields)
        ]
        engine = bm25s.BM25(k1=k1, b=b, method="lucene")
        numbers = numbers or {"": 0}  # a corpus without a single word: nothing is ever found
        engine.index(SimpleNamespace(ids=ids, vocab=numbers), show_progress=False)
        return Bm25Index(engine, corpus.key, corpus.n_documents, time.perf_counter() - started)

    @staticmethod
    def open(folder: Path, corpus: Corpus) -> Bm25Index:
        """Map an index from its folder; nothing is read before it is asked.

        Raises
        ------
        BadInput
            If it is none, or one of another corpus.
        """
        import bm25s

        try:
            header = read_json(folder / FILE)
            key, seconds = header["corpus"], float(header["seconds"])
            engine = bm25s.BM25.load(folder, mmap=True, show_progress=False)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            told = f"{type(error).__name__}: {error}"
            raise BadInput(f"{folder} holds no index of BM25 ({told}); remove it.") from None
        if key != corpus.key or engine.scores["num_docs"] != corpus.n_documents:
            raise BadInput(f"{folder} holds BM25's index of another corpus; remove it.")
        return Bm25Index(engine, key, corpus.n_documents, seconds)

    @staticmethod
    def of(folder: Path, corpus: Corpus) -> Bm25Index:
        """Open the index in a folder, built first if it is not there; kept in memory if it cannot be written.

        A study that was made elsewhere may lie in a folder that can only be read.
        """
        if not folder.is_dir():
            built = Bm25Index.build(corpus)
            try:
                built.save(folder)
            except OSError:
                return built
        return Bm25Index.open(folder, corpus)

    def save(self, folder: Path) -> None:
        """Write the index, whole or not at all."""
        with atomic_folder(folder) as part:
            self.engine.save(part, show_progress=False)
            write_json(part / FILE, {"corpus": self.corpus, "seconds": self.seconds})

    def rank(self, texts: Sequence[str], *, k: int = 100) -> Ranking:
        """Rank documents for each text.

        Parameters
        ----------
        texts : sequence of str
        k : int
            Documents per text at most; those without a word of it are left out.
        """
        if k < 1:
            raise BadInput(f"k of BM25 must be 1 or more, not {k}.")
        depth = min(k, self.n_documents)
        if not len(texts):
            nothing = np.empty(0, np.int64)
            return top_documents(nothing, nothing, np.empty(0), 0, k=k)
        found, scores = self.engine.retrieve([words_of(t) for t in texts], k=depth, show_progress=False)
        query = np.repeat(np.arange(len(texts)), depth)
        kept = scores.ravel() > 0
        return top_documents(query[kept], found.ravel()[kept], scores.ravel()[kept], len(texts), k=k)


def bm25_ranking(
    corpus: Corpus,
    queries: npt.ArrayLike,
    *,
    k: int = 100,
    fields: str = FIELDS,
    k1: float = K1,
    b: float = B,
) -> Ranking:
    """Rank documents for queries of a corpus by an index that is built for this alone; see `Bm25Index`.

    Parameters
    ----------
    queries : int[Q]
        Rows of the queries.
    """
    rows = np.asarray(queries, np.int64).reshape(-1)
    index = Bm25Index.build(corpus, fields=fields, k1=k1, b=b)
    return index.rank(list(corpus.query_texts(rows)), k=k)


def words_of(text: str) -> list[str]:
    """Give the words of a text as BM25 takes them: lower-cased runs of letters, digits and underscores."""
    return WORD.findall(text.lower())
