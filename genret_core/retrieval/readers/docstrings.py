"""The embedded corpus: the documentation that every installation of Python brings along.

A document is the prose of one docstring of an installed package; its queries are made from its name, its
parameters and its words. Sources are parsed, never imported. The corpus changes with the versions of the
packages, which are recorded beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.readers.prose import prose
from genret_core.retrieval.readers.python_sources import Docstring, docstrings, versions_of
from genret_core.retrieval.readers.queries_from_docstrings import docstring_queries
from genret_core.retrieval.readers.withholding import withhold

_SHINGLE = 8  # words
_SHARED = 0.2  # part of a passage's shingles that earlier passages may have
_FEWEST_QUERIES = 3


def read(
    folder: str | os.PathLike[str],
    *,
    packages: Sequence[str] = ("numpy", "scipy", "stdlib"),
    n_documents: int = 500,
    queries_per_document: int = 20,
    test_queries: int = 400,
    validation_queries: int = 100,
    unseen_documents: int = 0,
    min_words: int = 25,
    max_words: int = 120,
    seed: int = 0,
) -> Corpus:
    """Write a corpus of docstrings.

    Parameters
    ----------
    folder : path-like
        Where the corpus goes.
    packages : sequence of str
        Installed packages; "stdlib" is Python's own library.
    n_documents : int
        Passages drawn, uniformly, from those that are long enough and unlike the others (8-word shingles).
    queries_per_document : int
        Queries wanted; a document gives about 17 of 20. No two queries of the corpus have the same text.
    test_queries, validation_queries : int
        Documents of which one query is withheld for the split; they keep others for training.
    unseen_documents : int
        Documents of which all queries are withheld for test.
    min_words, max_words : int
        Length of a passage; longer ones end with the last sentence that fits.
    seed : int

    Raises
    ------
    BadInput
        If a package is not installed, or there are too few passages.
    """
    parameters = {name: value for name, value in locals().items() if name != "folder"}
    packages = list(dict.fromkeys(packages))
    if min(n_documents, queries_per_document, min_words) < 1 or max_words < min_words or not packages:
        raise BadInput(
            "the reader docstrings needs a package, n_documents, queries_per_document and min_words of 1 or "
            "more, and max_words of min_words or more."
        )
    found, sources = _scan(packages)
    passages: list[_Passage] = []
    for passage in _passages(found, min_words, max_words, queries_per_document, seed):
        passages.append(passage)
        if len(passages) == n_documents:
            break
    if len(passages) < n_documents:
        raise BadInput(
            f"n_documents is {n_documents}, but {', '.join(packages)} give {len(passages)} passages of "
            f"{min_words} to {max_words} words; "
            "ask for fewer, name more packages, or take the reader synthetic."
        )
    split = withhold(
        {passage.id: list(passage.queries) for passage in passages},
        test_queries=test_queries,
        validation_queries=validation_queries,
        unseen_documents=unseen_documents,
        seed=seed,
    )
    meta = {
        "name": "docstrings",
        "reader": "docstrings",
        "parameters": {**parameters, "packages": packages},
        "versions": versions_of(packages),
        "sources": sources,
        "found": len(found),
    }
    return write_corpus(
        folder,
        (Document(passage.id, passage.title, passage.text) for passage in passages),
        (Query(name, text) for passage in passages for name, text in passage.queries.items()),
        (Qrel(name, passage.id, 1, split[name]) for passage in passages for name in passage.queries),
        meta,
    )


class _Passage(NamedTuple):
    id: str
    title: str
    text: str
    queries: dict[str, str]  # id: text


def _scan(packages: Sequence[str]) -> tuple[dict[str, Docstring], str]:
    """Docstrings by name, in the order of names, and a hash of all of them."""
    found: dict[str, Docstring] = {}
    for package in packages:
        for docstring in docstrings(package):
            found.setdefault(docstring.name, docstring)
    found = dict(sorted(found.items()))
    digest = sha256()
    for name, docstring in found.items():
        digest.update(f"{name}\0{docstring.text}\0".encode(errors="replace"))
    return found, digest.hexdigest()[:16]


def _passages(
    found: dict[str, Docstring], min_words: int, max_words: int, n_queries: int, seed: int
) -> Iterator[_Passage]:
    """Give passages in a seeded order, leaving out those that resemble an earlier one."""
    seen: set[str] = set()
    used: set[str] = set()  # texts of queries
    names = list(found)
    for place in np.random.default_rng(seed).permutation(len(names)):
        docstring = found[names[place]]
        told = prose(docstring.text)
        sentences = told.passage(max_words)
        words = " ".join(sentences).split()
        if len(words) < min_words or not told.sentences:
            continue
        shingles = {" ".join(words[i : i + _SHINGLE]).lower() for i in range(len(words) - _SHINGLE + 1)}
        if len(shingles & seen) > _SHARED * len(shingles):
            continue
        texts = docstring_queries(
            docstring.name.split(".")[-1],
            docstring.owner,
            docstring.parameters,
            told,
            sentences,
            n=n_queries,
            seed=seed,
        )
        new = [text for text in texts if text not in used]
        if len(new) < min(_FEWEST_QUERIES, n_queries):
            continue
        seen |= shingles
        used.update(new)
        queries = {f"{docstring.name}#{number}": text for number, text in enumerate(new)}
        yield _Passage(docstring.name, _public(docstring.name), " ".join(words), queries)


def _public(name: str) -> str:
    """Leave private modules out of a dotted name: scipy.stats._morestats.anderson is scipy.stats.anderson."""
    first, *others = name.split(".")
    return ".".join([first.lstrip("_"), *(part for part in others if not part.startswith("_"))])
