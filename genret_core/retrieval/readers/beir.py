"""Collections in the layout of BEIR: `corpus.jsonl`, `queries.jsonl` and `qrels/{train,dev,test}.tsv`.

Each file may be gzipped (`.gz` behind its name).
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.qrels import is_header, relevance_of
from genret_core.retrieval.readers.jsonl import find, lines, naming_twins, records

_FILES = {"train": "train", "dev": "validation", "test": "test"}


def read(
    folder: str | os.PathLike[str],
    *,
    path: str,
    n_documents: int | None = None,
    n_queries: int | None = None,
    test_queries: int | None = None,
    validation_queries: int = 100,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Corpus:
    """Write a corpus from a folder in BEIR's layout.

    The splits are the files' own. Without `dev.tsv`, validation queries are taken from the training queries,
    as many as can be found whose documents keep another one. With only one of `train.tsv` and `test.tsv`, its
    queries are divided. Queries without a relevant document are left out. What was done is in the corpus'
    `meta["notes"]`.

    Parameters
    ----------
    folder : path-like
        Where the corpus goes.
    path : str
        The collection; "~" and environment variables are replaced.
    n_documents : int, optional
        Keep this many documents, those with a relevant query first, and the queries that are left with a
        relevant document. A smaller subset with the same seed is part of a larger one.
    n_queries, test_queries : int, optional
        Keep at most this many training and test queries.
    validation_queries : int
        Without `dev.tsv`: how many to take. With it: keep at most this many.
    test_fraction : float
        Part of the queries that become test queries when there is no such split.
    seed : int

    Raises
    ------
    BadInput
        If a file is missing or damaged, a line is malformed, or a judgement names an unknown id.
    """
    parameters = {name: value for name, value in locals().items() if name != "folder"}
    counts = {"n_documents": n_documents, "n_queries": n_queries, "test_queries": test_queries}
    for name, count in counts.items():
        if count is not None and count < 1:
            raise BadInput(f"{name} is {count}; give 1 or more, or leave it out.")
    if validation_queries < 0 or not 0 < test_fraction < 1:
        raise BadInput("validation_queries must be 0 or more, and test_fraction between 0 and 1.")
    root = Path(os.path.expandvars(path)).expanduser()
    if not root.is_dir():
        raise BadInput(f"there is no folder {root}; give the path of a collection in BEIR's layout.")
    notes: list[str] = []
    qrels = _read_qrels(root)
    _refuse_unknown("query", {q.query_id: q.where for q in reversed(qrels)}, _ids(root, "queries"))
    kept = _chooser(root, qrels, n_documents, seed, notes)
    qrels = [qrel for qrel in qrels if kept(qrel.document_id)]
    split = _split(qrels, test_fraction, seed, notes)
    if "validation" not in split.values():
        _carve_validation(split, qrels, validation_queries, seed, notes)
    limits = {"train": n_queries, "validation": validation_queries, "test": test_queries}
    split = {query: name for name in _FILES.values() for query in _chosen(split, name, limits[name], seed)}
    with naming_twins(documents=_needed(root, "corpus"), queries=_needed(root, "queries")):
        return write_corpus(
            folder,
            (document for document in _documents(root, notes) if kept(document.id)),
            (query for query in _queries(root) if query.id in split),
            (qrel._replace(split=split[qrel.query_id]) for qrel in qrels if qrel.query_id in split),
            {"name": root.name, "reader": "beir", "parameters": parameters, "notes": notes},
        )


def _read_qrels(root: Path) -> list[Qrel]:
    files = {split: find(root / "qrels" / f"{name}.tsv") for name, split in _FILES.items()}
    if files["train"] is None and files["test"] is None:
        raise BadInput(f"{root} has neither qrels/train.tsv nor qrels/test.tsv; one of them is needed.")
    return [qrel for split, path in files.items() if path is not None for qrel in _read_split(path, split)]


def _read_split(path: Path, split: str) -> Iterator[Qrel]:
    for number, (where, line) in enumerate(lines(path)):
        fields = line.split("\t")
        if len(fields) != 3:
            raise BadInput(
                f"{where}: query-id, corpus-id and score are expected, with tabs between them; this line has "
                f"{len(fields)} field{'s' * (len(fields) != 1)}."
            )
        if number == 0 and is_header(fields):
            continue
        yield Qrel(fields[0], fields[1], relevance_of(fields[2], where), split, where)


def _refuse_unknown(kind: str, named: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse the first of the ids `named` (id: file and line) that is not in the stream `known`."""
    unknown = dict(named)
    for name in known:
        unknown.pop(name, None)
    for name, where in unknown.items():
        raise BadInput(f"{where}: there is no {kind} with the id {name!r}; add it or remove the line.")


def _chooser(
    root: Path, qrels: list[Qrel], n_documents: int | None, seed: int, notes: list[str]
) -> Callable[[str], bool]:
    """Check the documents that are judged, and say which documents to keep."""
    named = {qrel.document_id: qrel.where for qrel in reversed(qrels)}
    relevant = {qrel.document_id for qrel in qrels if qrel.relevance > 0}

    def place(name: str) -> int:  # relevant documents come first, each group in a seeded order
        return _place(name, seed) // 2 + (0 if name in relevant else 1 << 63)

    if next(_ids(root, "corpus"), None) is None:
        raise BadInput(f"{_needed(root, 'corpus')} holds no document; there is nothing to retrieve.")
    places = array("Q")

    def ids() -> Iterator[str]:
        for name in _ids(root, "corpus"):
            places.append(place(name))
            yield name

    _refuse_unknown("document", named, ids())
    if n_documents is None or n_documents >= len(places):
        return lambda name: True
    notes.append(f"{n_documents} of {len(places)} documents were chosen, those with a relevant query first")
    last = int(np.partition(np.frombuffer(places, np.uint64), n_documents - 1)[n_documents - 1])
    return lambda name: place(name) <= last


def _split(qrels: list[Qrel], test_fraction: float, seed: int, notes: list[str]) -> dict[str, str]:
    """Give the split of every query that has a relevant document."""
    split: dict[str, str] = {}
    for qrel in qrels:
        if qrel.relevance > 0 and split.setdefault(qrel.query_id, qrel.split) != qrel.split:
            raise BadInput(
                f"{qrel.where}: the query {qrel.query_id!r} is judged in {split[qrel.query_id]} too; a query "
                "belongs to one split."
            )
    present = set(split.values()) & {"train", "test"}
    if len(present) == 1:
        (only,) = present
        pool = _ordered([query for query, name in split.items() if name == only], seed)
        n_test = max(1, round(test_fraction * len(pool)))
        split.update({query: "test" if i < n_test else "train" for i, query in enumerate(pool)})
        notes.append(
            f"the only split was {only}: of its {len(pool)} queries {n_test} are test, the others train"
        )
    return split


def _carve_validation(
    split: dict[str, str], qrels: list[Qrel], n_queries: int, seed: int, notes: list[str]
) -> None:
    """Move training queries to validation whose documents keep another training query."""
    documents: dict[str, list[str]] = {}
    for qrel in qrels:
        if qrel.relevance > 0 and split[qrel.query_id] == "train":
            documents.setdefault(qrel.query_id, []).append(qrel.document_id)
    left = Counter(document for of_query in documents.values() for document in set(of_query))
    taken = 0
    for query in _ordered(documents, seed):
        if taken < n_queries and all(left[document] > 1 for document in documents[query]):
            split[query] = "validation"
            left.subtract(set(documents[query]))
            taken += 1
    notes.append(f"{taken} training queries were taken for validation")


def _chosen(split: dict[str, str], name: str, n: int | None, seed: int) -> list[str]:
    return _ordered([query for query, of in split.items() if of == name], seed)[:n]


def _ordered(names: Iterable[str], seed: int) -> list[str]:
    return sorted(names, key=lambda name: (_place(name, seed), name))


def _place(name: str, seed: int) -> int:
    """Place of an id in a seeded order that does not depend on the other ids."""
    return int.from_bytes(blake2b(f"{seed} {name}".encode(), digest_size=8).digest(), "little")


def _ids(root: Path, name: str) -> Iterator[str]:
    return (_text(record, "_id", where) for where, record in records(_needed(root, name)))


def _documents(root: Path, notes: list[str]) -> Iterator[Document]:
    untitled = 0
    for where, record in records(_needed(root, "corpus")):
        name, title, text = (_text(record, key, where) for key in ("_id", "title", "text"))
        if not text.strip() and title.strip():
            text, untitled = title, untitled + 1
        yield Document(name, title, text, where)
    if untitled:
        notes.append(f"{untitled} documents had no text: their title stands for it")


def _queries(root: Path) -> Iterator[Query]:
    for where, record in records(_needed(root, "queries")):
        yield Query(_text(record, "_id", where), _text(record, "text", where), where)


def _needed(root: Path, name: str) -> Path:
    path = find(root / f"{name}.jsonl")
    if path is None:
        raise BadInput(
            f"{root} has no {name}.jsonl (or {name}.jsonl.gz); it is no collection in BEIR's layout."
        )
    return path


def _text(record: dict[str, Any], key: str, where: str) -> str:
    value = record.get(key)
    if key == "title" and value is None:
        return ""
    if key == "_id" and isinstance(value, int):
        value = str(value)
    if not isinstance(value, str) or (key == "_id" and not value):
        raise BadInput(f"{where}: {key!r} must be a text, not {value!r}.")
    return value
