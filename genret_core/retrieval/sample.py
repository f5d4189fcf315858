"""The evaluation sample: queries, relevant documents, negatives, identifiers; drawn once for all cells.

All models of a study are scored on the same sample, so that they are compared in pairs and the noise of
drawing queries, negatives and n-grams cancels in their differences.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, content_key, read_json, write_json
from genret_core.retrieval.codebook import Codebook, code_pairs
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.draws import pair_keys
from genret_core.retrieval.ngrams import NgramConfig, sample_ngrams
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.token_stream import TokenStream


@dataclass(frozen=True, eq=False)
class EvaluationSample:
    """What all cells of a method and split are scored on.

    Attributes
    ----------
    key : str
        Hash of the content.
    split, method : str
    queries : int32[Q]
        Rows of the corpus.
    negatives : int32[Q, N]
        Documents that are not relevant, all different within a query.
    pairs : Pairs
        The identifiers of all documents, grouped by query: those of relevant documents first, then those of
        the negatives in their order.
    owner : int32[rows]
        The query of each row of `pairs`, as a position in `queries`.
    positive : bool[rows]
        Whether the row's document is relevant.
    """

    key: str
    split: str
    method: str
    queries: npt.NDArray[np.int32]
    negatives: npt.NDArray[np.int32]
    pairs: Pairs
    owner: npt.NDArray[np.int32]
    positive: npt.NDArray[np.bool_]

    @property
    def n_negatives(self) -> int:
        """N, negatives per query."""
        return self.negatives.shape[1]

    def __len__(self) -> int:
        return len(self.queries)

    def identifier(self) -> npt.NDArray[np.int16]:
        """Count up the identifiers of each document of each query from 0, int16[rows]."""
        change = (np.diff(self.owner) != 0) | (np.diff(self.pairs.document) != 0)
        starts = np.concatenate([[0], np.flatnonzero(change) + 1])
        lengths = np.diff(np.append(starts, len(self.owner)))
        return (np.arange(len(self.owner)) - np.repeat(starts, lengths)).astype(np.int16)

    def losses(self, nll: npt.ArrayLike, tokens: npt.ArrayLike) -> pd.DataFrame:
        """Put the losses of a model beside what they are losses of: the losses table that `cgl` reads.

        Parameters
        ----------
        nll : float[rows]
            Summed negative log-likelihood of each row of `pairs`.
        tokens : int[rows]
            Tokens summed.
        """
        columns = {
            "query": np.asarray(self.queries)[self.owner],
            "document": np.asarray(self.pairs.document),
            "positive": np.asarray(self.positive),
            "identifier": self.identifier(),
            "nll": np.asarray(nll, np.float64),
            "tokens": np.asarray(tokens, np.int16),
        }
        return pd.DataFrame(columns)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the sample; the folder appears whole."""
        with atomic_folder(folder) as part:
            for name in ("queries", "negatives", "owner", "positive"):
                np.save(part / f"{name}.npy", getattr(self, name))
            self.pairs.save(part / "pairs")
            header = {"key": self.key, "split": self.split, "method": self.method}
            write_json(
                part / "sample.json", {**header, "n_queries": len(self), "n_negatives": self.n_negatives}
            )

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> EvaluationSample:
        """Map a saved sample, read-only.

        Raises
        ------
        BadInput
            The folder holds none.
        """
        folder = Path(folder)
        if not (folder / "sample.json").is_file():
            raise BadInput(f"{folder} holds no evaluation sample (there is no sample.json); draw one first.")
        header = read_json(folder / "sample.json")
        names = ("queries", "negatives", "owner", "positive")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        header = {name: header[name] for name in ("key", "split", "method")}
        return EvaluationSample(**header, **arrays, pairs=Pairs.open(folder / "pairs"))


def draw_queries_and_negatives(
    corpus: Corpus, split: str, n_queries: int | None, n_negatives: int, seed: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw queries of a split, and for each documents that are not relevant to it.

    Parameters
    ----------
    corpus : Corpus
    split : {"train", "validation", "test", "seen", "unseen"}
    n_queries : int, optional
        None takes all.
    n_negatives : int
        N. Drawn uniformly from the documents that no judgement of any split calls relevant, without
        replacement, in time proportional to N.
    seed : int
        A query's negatives depend on it and on the query's id only: more queries leave them as they are,
        and the first of many negatives are a sample of fewer (unless N is more than a third of the corpus).

    Returns
    -------
    queries : int32[Q]
        Sorted rows.
    negatives : int32[Q, N]

    Raises
    ------
    BadInput
        More queries than the split has, or more negatives than there are documents that are not relevant.
    """
    rows = corpus.split_queries(split)
    if n_queries is not None and not 1 <= n_queries <= len(rows):
        raise BadInput(
            f"n_queries is {n_queries}, but the split {split!r} has {len(rows)} queries; "
            "take at least one and at most all of them (null takes all)."
        )
    if len(rows) == 0:
        raise BadInput(f"The split {split!r} has no query with a relevant document; choose another split.")
    if n_negatives < 1:
        raise BadInput(f"n_negatives must be 1 or more, not {n_negatives}.")
    chosen = np.random.default_rng(seed).permutation(len(rows))[:n_queries]
    queries = np.sort(rows[chosen]).astype(np.int32)
    keys = pair_keys(seed, [corpus.query_id(row) for row in queries.tolist()], ["negatives"] * len(queries))
    negatives = np.empty((len(queries), n_negatives), np.int32)
    for i, (row, key) in enumerate(zip(queries.tolist(), keys.tolist(), strict=True)):
        relevant = corpus.relevant(row)
        others = corpus.n_documents - len(relevant)
        if others < n_negatives:
            raise BadInput(
                f"n_negatives is {n_negatives}, but only {others} documents are not relevant to query "
                f"{corpus.query_id(row)!r}; take fewer negatives."
            )
        negatives[i] = _draw_others(corpus.n_documents, relevant, n_negatives, key)
    return queries, negatives


def ngram_sample(
    corpus: Corpus,
    stream: TokenStream,
    split: str,
    queries: npt.ArrayLike,
    negatives: npt.ArrayLike,
    config: NgramConfig,
    *,
    seed: int,
    ngrams_per_positive: int = 10,
    ngrams_per_negative: int = 1,
) -> EvaluationSample:
    """Draw the n-grams of relevant documents and negatives, as training n-grams are drawn.

    Negatives' n-grams are chosen by overlap with the query too. One n-gram for each negative is enough,
    because N of them are averaged; a relevant document has several.

    Parameters
    ----------
    corpus : Corpus
    stream : TokenStream
    split : str
        The split that the queries are of.
    queries, negatives
        From `draw_queries_and_negatives`.
    config : NgramConfig
    seed : int
    ngrams_per_positive, ngrams_per_negative : int
    """

    def draw(counts: int) -> Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32]], Pairs]:
        return lambda query, document: sample_ngrams(corpus, stream, query, document, config, seed, counts)

    makers = draw(ngrams_per_positive), draw(ngrams_per_negative)
    return _assemble(corpus, "ngram", split, queries, negatives, *makers)


def codebook_sample(
    corpus: Corpus,
    codebook: Codebook,
    first_code_id: int,
    split: str,
    queries: npt.ArrayLike,
    negatives: npt.ArrayLike,
) -> EvaluationSample:
    """Give the codes of the relevant documents and the negatives; one identifier for each document."""

    def codes(query: npt.NDArray[np.int32], document: npt.NDArray[np.int32]) -> Pairs:
        return code_pairs(query, document, codebook, first_code_id)

    return _assemble(corpus, "codebook", split, queries, negatives, codes, codes)


def _draw_others(n: int, excluded: npt.NDArray[np.int32], count: int, seed: int) -> npt.NDArray[np.int32]:
    """Draw `count` different integers below n that are not excluded."""
    rng = np.random.default_rng(seed)
    if 3 * (count + len(excluded)) > n:
        return rng.permutation(np.setdiff1d(np.arange(n), excluded))[:count].astype(np.int32)
    refused = set(excluded.tolist())
    drawn: list[int] = []
    while len(drawn) < count:
        for document in rng.integers(0, n, count).tolist():
            if document not in refused:
                refused.add(document)
                drawn.append(document)
    return np.array(drawn[:count], np.int32)


def _assemble(
    corpus: Corpus,
    method: str,
    split: str,
    queries: npt.ArrayLike,
    negatives: npt.ArrayLike,
    of_positives: Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32]], Pairs],
    of_negatives: Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32]], Pairs],
) -> EvaluationSample:
    query, negative = np.asarray(queries, np.int32), np.asarray(negatives, np.int32)
    relevant = [corpus.relevant(row) for row in query.tolist()]
    owner = np.repeat(np.arange(len(query)), [len(documents) for documents in relevant])
    good = of_positives(query[owner], np.concatenate(relevant).astype(np.int32))
    bad = of_negatives(np.repeat(query, negative.shape[1]), negative.ravel())
    each_good, each_bad = len(good) // len(owner), len(bad) // negative.size
    owners = np.concatenate(
        [np.repeat(owner, each_good), np.repeat(np.arange(len(query)), negative.shape[1] * each_bad)]
    )
    order = np.argsort(owners, kind="stable")  # positives were put first and stay so
    pairs = Pairs.concat([good, bad]).select(order)
    owners = owners[order].astype(np.int32)
    positive = order < len(good)
    key = _key(corpus.key, split, method, query, negative, pairs, owners, positive)
    return EvaluationSample(key, split, method, query, negative, pairs, owners, positive)


def _key(
    corpus_key: str,
    split: str,
    method: str,
    queries: npt.NDArray[np.int32],
    negatives: npt.NDArray[np.int32],
    pairs: Pairs,
    owner: npt.NDArray[np.int32],
    positive: npt.NDArray[np.bool_],
) -> str:
    digest = hashlib.sha256()
    for array in (queries, negatives, pairs.document, pairs.ids, owner, positive):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    content = {"corpus": corpus_key, "split": split, "method": method, "content": digest.hexdigest()}
    return content_key(content)
