"""The corpus on disk against plain Python dictionaries, sets and sums."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval import id_table, text_table
from genret_core.retrieval.corpus import (
    SPLITS,
    Corpus,
    Document,
    Qrel,
    Query,
    fraction_queries,
    write_corpus,
)
from genret_core.retrieval.corpus_report import describe

DOCUMENTS = [
    Document("d1", "One", "first text"),
    Document("d2", "", "zweiter Text \u2028 ünï"),
    Document("d3", "", "c"),
]
QUERIES = [Query("q1", "what is one"), Query("q2", "what is two"), Query("q3", "three")]
QRELS = [Qrel("q1", "d1", 1, "train"), Qrel("q2", "d1", 2, "test"), Qrel("q3", "d3", 1, "test")]


def make(
    folder: Path,
    documents: Sequence[Document] = DOCUMENTS,
    queries: Sequence[Query] = QUERIES,
    qrels: Sequence[Qrel] = QRELS,
) -> Corpus:
    return write_corpus(folder / "corpus", documents, queries, qrels, {"name": "small", "reader": "none"})


def random_qrels(rng: random.Random, n_documents: int, n_queries: int) -> list[Qrel]:
    rows = []
    for query in range(n_queries):
        split = rng.choice(SPLITS)
        for document in rng.sample(range(n_documents), rng.randint(0, 4)):
            rows.append(Qrel(f"q{query}", f"d{document}", rng.randint(0, 2), split))
    rng.shuffle(rows)
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_holds_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(text_table, "_BATCH_ROWS", 7)  # several record batches
    rng = random.Random(seed)
    documents = [
        Document(f"d{i}", rng.choice(["", "A title"]), f"text {i} " + "x" * rng.randint(0, 9))
        for i in range(40)
    ]
    queries = [Query(f"q{i}", f"query {i}") for i in range(30)]
    qrels = random_qrels(rng, 40, 30)
    corpus = make(tmp_path, documents, queries, qrels)
    corpus = Corpus.open(corpus.folder)
    assert corpus.documents.to_pylist() == [{"id": d.id, "title": d.title, "text": d.text} for d in documents]
    assert corpus.queries.to_pylist() == [{"id": q.id, "text": q.text} for q in queries]
    assert list(corpus.document_texts()) == [d.text for d in documents]
    rows = rng.choices(range(40), k=60)
    titled = [f"{d.title} {d.text}" if d.title else d.text for d in documents]
    assert list(corpus.document_texts(rows, "title_text")) == [titled[row] for row in rows]
    assert list(corpus.document_titles(rows)) == [documents[row].title for row in rows]
    assert corpus.document_rows([documents[row].id for row in rows]).tolist() == rows
    assert corpus.query_rows(["q7", "q0"]).tolist() == [7, 0]
    assert (corpus.document_id(39), corpus.query_id(8), corpus.query_text(8)) == ("d39", "q8", "query 8")
    assert_judgements(corpus, qrels)


def assert_judgements(corpus: Corpus, qrels: list[Qrel]) -> None:
    relevant: dict[str, set[tuple[int, int]]] = {split: set() for split in SPLITS}
    for qrel in qrels:
        if qrel.relevance > 0:
            relevant[qrel.split].add((int(qrel.query_id[1:]), int(qrel.document_id[1:])))
    for split in SPLITS:
        assert corpus.split_queries(split).tolist() == sorted({query for query, _ in relevant[split]})
    trained = {document for _, document in relevant["train"]}
    seen = {query for query, document in relevant["test"] if document in trained}
    assert corpus.split_queries("seen").tolist() == sorted(seen)
    assert corpus.split_queries("unseen").tolist() == sorted({query for query, _ in relevant["test"]} - seen)
    assert list(zip(*map(np.ndarray.tolist, corpus.training_pairs()), strict=True)) == sorted(
        relevant["train"]
    )
    everything = set().union(*relevant.values())
    for query in range(corpus.n_queries):
        assert corpus.relevant(query).tolist() == sorted(d for q, d in everything if q == query)


def test_needs_no_queries(tmp_path: Path) -> None:
    corpus = make(tmp_path, DOCUMENTS, [], [])
    assert corpus.n_queries == 0
    assert corpus.split_queries("seen").tolist() == []
    assert list(corpus.query_texts()) == []
    assert "none" in str(describe(corpus))


def test_doubles_are_merged_with_the_highest_relevance(tmp_path: Path) -> None:
    qrels = [Qrel("q1", "d2", 0, "train"), Qrel("q1", "d2", 3, "train"), Qrel("q1", "d2", 1, "train")]
    corpus = make(tmp_path, qrels=qrels)
    assert corpus.qrels.to_pylist() == [{"query": 0, "document": 1, "relevance": 3, "split": 0}]
    assert corpus.meta["counts"] == {"documents": 3, "queries": 3, "qrels": 1, "qrels_merged": 2}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"documents": []}, ["empty"]),
        ({"documents": [*DOCUMENTS, DOCUMENTS[1]]}, ["'d2'", "rows 1 and 3"]),
        ({"queries": [*QUERIES, QUERIES[0]]}, ["queries", "'q1'", "rows 0 and 3"]),
        ({"documents": [*DOCUMENTS, Document("d4", "title", " \u2003\n")]}, ["row 3", "'d4'", "no words"]),
        (
            {"queries": [*QUERIES, Query("q4", "", "queries.jsonl:4")]},
            ["queries.jsonl:4", "'q4'", "no words"],
        ),
        ({"documents": [Document("d1", "", "a \ud800 b")]}, ["'d1'", "surrogate"]),
        ({"qrels": [Qrel("q1", "d9", 1, "train", "train.tsv:5")]}, ["train.tsv:5", "document", "'d9'"]),
        ({"qrels": [Qrel("q9", "d1", 1, "train")]}, ["query", "'q9'"]),
        ({"qrels": [Qrel("q1", "d1", 1, "dev")]}, ["'dev'", "validation"]),
        ({"qrels": [*QRELS, Qrel("q1", "d2", 1, "test")]}, ["'q1'", "train and in test"]),
    ],
)
def test_refuses_and_leaves_nothing(tmp_path: Path, change: dict[str, list], words: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        make(tmp_path, **change)
    assert [word for word in words if word not in str(refused.value)] == []
    assert list(tmp_path.iterdir()) == []


def test_unknown_ids_and_splits_are_named(tmp_path: Path) -> None:
    corpus = make(tmp_path)
    with pytest.raises(BadInput, match=r"document.*'d7'"):
        corpus.document_rows(["d1", "d7", "d8"])
    with pytest.raises(BadInput, match=r"query.*''"):
        corpus.query_rows([""])
    with pytest.raises(BadInput, match=r"'dev'.*validation"):
        corpus.split_queries("dev")
    with pytest.raises(BadInput, match=r"'body'.*title_text"):
        corpus.document_texts(fields="body")
    with pytest.raises(BadInput, match="holds no corpus"):
        Corpus.open(tmp_path)
    with pytest.raises(IndexError):
        corpus.document_text(3)


def test_key_is_made_of_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make(tmp_path / "a").key
    monkeypatch.setattr(text_table, "_BATCH_ROWS", 1)
    assert make(tmp_path / "b").key == key
    others = [
        make(tmp_path / "c", documents=[DOCUMENTS[0]._replace(text="first Text"), *DOCUMENTS[1:]]).key,
        make(
            tmp_path / "d", documents=[DOCUMENTS[0]._replace(title="", text="One first text"), *DOCUMENTS[1:]]
        ).key,
        make(tmp_path / "e", queries=[*QUERIES, Query("q4", "four")]).key,
        make(tmp_path / "f", qrels=[QRELS[0]._replace(split="validation"), *QRELS[1:]]).key,
    ]
    assert len({key, *others}) == 5


def test_a_folder_keeps_its_corpus(tmp_path: Path) -> None:
    key = make(tmp_path).key
    assert make(tmp_path).key == key
    with pytest.raises(BadInput, match="another corpus"):
        make(tmp_path, documents=DOCUMENTS[:1], qrels=[])
    assert Corpus.open(tmp_path / "corpus").key == key
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds no corpus"):
        write_corpus(tmp_path / "used", DOCUMENTS, [], [], {})


def test_ids_survive_colliding_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text) << 40 for text in texts], np.uint64)

    monkeypatch.setattr(id_table, "hash_texts", poor)
    monkeypatch.setattr(text_table, "hash_texts", poor)
    names = [f"n{i}" for i in range(500)]
    corpus = make(tmp_path, [Document(name, "", "x") for name in names], [], [])
    order = np.random.default_rng(0).permutation(500)
    assert corpus.document_rows([names[i] for i in order]).tolist() == order.tolist()
    with pytest.raises(BadInput, match="'m11'"):
        corpus.document_rows(["n11", "m11"])
    with pytest.raises(BadInput, match=r"'n123'.*rows 123 and 500"):
        make(tmp_path / "b", [Document(name, "", "x") for name in [*names, "n123"]], [], [])


@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.5, 1.0])
def test_fractions_are_nested(fraction: float) -> None:
    rows = np.arange(0, 4000, 4, dtype=np.int32)
    part = fraction_queries(rows, fraction, seed=3)
    assert len(part) == round(fraction * 1000)
    assert np.all(np.diff(part) > 0)
    assert set(fraction_queries(rows, fraction / 2, seed=3)) < set(part) <= set(rows)
    assert np.array_equal(part, fraction_queries(rows[::-1], fraction, seed=3))
    if fraction < 1:
        assert not np.array_equal(part, fraction_queries(rows, fraction, seed=4))
        assert abs(part.mean() / rows.mean() - 1) < 0.1  # no corner of the rows is preferred


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_fractions_outside_are_refused(fraction: float) -> None:
    with pytest.raises(BadInput, match="above 0 and at most 1"):
        fraction_queries(np.arange(5), fraction, seed=0)


def test_report_counts(tmp_path: Path) -> None:
    documents = [*DOCUMENTS, Document("d4", "", "First  TEXT")]
    queries = [*QUERIES, Query("q4", "What is  ONE")]
    corpus = make(tmp_path, documents, queries, [*QRELS, Qrel("q4", "d3", 1, "test")])
    report = describe(corpus)
    assert report.queries_by_split == {"train": 1, "validation": 0, "test": 3, "seen": 1, "unseen": 2}
    assert report.pairs_by_split == {"train": 1, "validation": 0, "test": 3}
    assert (report.repeated_documents, report.repeated_queries, report.queries_in_train_and_test) == (1, 1, 1)
    assert report.documents_without_training_query == 3
    assert report.document_words == {
        "mean": 2.0,
        "min": 1.0,
        "10 %": 1.0,
        "median": 2.0,
        "90 %": 3.0,
        "max": 3.0,
    }
    assert [example.document for example in report.examples] == ["d1", "d3", "d3"]
    assert json.loads(json.dumps(report.to_dict()))["document_words"]["mean"] == 2.0
    assert "3 queries, 3 pairs (1 seen, 2 unseen)" in str(report)
    assert "&lt;" not in report._repr_html_()


GROWTH = """
import resource, sys
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

folder, n = sys.argv[1], int(sys.argv[2])
before = peak()
write_corpus(
    folder,
    (Document(f"doc-{i}", "", f"{i} " + "some words of a passage " * 50) for i in range(n)),
    (Query(f"q{i}", f"what is {i}") for i in range(1000)),
    (Qrel(f"q{i}", f"doc-{i * 7 % n}", 1, "train") for i in range(1000)),
    {},
)
corpus = Corpus.open(folder)
ids = [i * 31 % n for i in range(1000)]
assert corpus.document_rows([f"doc-{i}" for i in ids]).tolist() == ids
assert corpus.document_text(n - 1).startswith(f"{n - 1} ")
print(peak() - before)
"""


def growth(folder: Path, n: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(folder), str(n)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """A hundred thousand passages are 120 MB of text; what is held is a batch of 4 MB, in a few forms."""
    small, large = growth(tmp_path / "small", 10_000), growth(tmp_path / "large", 100_000)
    assert (tmp_path / "large" / "documents.arrow").stat().st_size > 120e6
    assert large < small + 30


@pytest.mark.slow
def test_a_million_passages(tmp_path: Path) -> None:
    assert growth(tmp_path / "corpus", 1_000_000) < 120
