"""Answer match of finished searches: by hand, once, and only where there are answers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted import spec

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.modeling import StudyFolder
from genret_core.retrieval.bm25 import Bm25Index, bm25_ranking
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.metrics import per_query_metrics
from genret_core.retrieval.readers import read_corpus
from genret_core.workbench.study.answers import keep_answers, kept_answers, match_answers
from genret_core.workbench.study.baseline import measure_bm25

TEXTS = {
    "d0": "Paris is the capital of France.",
    "d1": "Lyon lies on the Rhône.",
    "d2": "The Eiffel tower stands in Paris.",
    "d3": "Bread and cheese.",
}
QUERIES = {
    "q0": ("What is the capital?", ["Paris"], "d0"),
    "q1": ("Which river?", ["the rhone", "Rhône"], "d1"),
    "q2": ("What do people eat?", [], "d3"),
    "q3": ("Where is the tower?", [" ", "Paris"], "d2"),
}


@pytest.fixture
def world(tmp_path: Path) -> Any:
    """A collection with answers, read into a study folder; the inputs' keys."""
    source, folder = tmp_path / "source", tmp_path / "study"
    (source / "qrels").mkdir(parents=True)

    def lines(name: str, rows: Any) -> None:
        (source / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    lines("corpus.jsonl", [{"_id": name, "title": "", "text": text} for name, text in TEXTS.items()])
    lines(
        "queries.jsonl",
        [{"_id": q, "text": text, "metadata": {"answers": a}} for q, (text, a, _) in QUERIES.items()],
    )
    judged = "".join(f"{q}\t{document}\t1\n" for q, (_, _, document) in QUERIES.items())
    (source / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    (source / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n")
    at = StudyFolder(folder)
    corpus = read_corpus("beir", folder / "corpus" / "part", {"path": str(source), "test_fraction": 0.9})
    (folder / "corpus" / "part").rename(at.corpus(corpus.key))
    inputs = SimpleNamespace(corpus=corpus.key)
    plain = {**spec().model_dump(), "corpus": {"reader": "beir", "path": str(source)}}
    made = type(spec())(**plain)
    return SimpleNamespace(folder=folder, at=at, inputs=inputs, spec=made, source=source)


def searched(path: Path, corpus: Corpus, rows: np.ndarray, ranked: list[list[int]]) -> None:
    """Write a finished search of some queries."""
    path.mkdir(parents=True)
    pairs = [(int(q), i, d) for q, own in zip(rows, ranked, strict=True) for i, d in enumerate(own)]
    found = pd.DataFrame(pairs, columns=["query", "rank", "document"]).assign(score=1.0)
    found.to_parquet(path / "searches.parquet", index=False)
    ranking = bm25_ranking(corpus, rows)
    per_query_metrics(corpus, rows, ranking).to_parquet(path / "per_query.parquet", index=False)
    write_json(path / "eval.json", {"kind": "search", "metrics": {"R@1": [0.5, 0.1]}})


def test_hits_are_counted_over_the_queries_that_have_answers(world: Any) -> None:
    keep_answers(world.folder, world.spec, world.inputs)
    assert kept_answers(world.folder, world.inputs) == {
        "q0": ["Paris"], "q1": ["the rhone", "Rhône"], "q3": ["Paris"],
    }  # fmt: skip
    corpus = Corpus.open(world.at.corpus(world.inputs.corpus))
    rows = np.sort(corpus.query_rows(["q0", "q1", "q2", "q3"]))
    row = {corpus.document_id(i): i for i in range(4)}
    by_query = {"q0": ["d2", "d0"], "q1": ["d0", "d3", "d1"], "q2": ["d3"], "q3": []}
    ranked = [[row[d] for d in by_query[corpus.query_id(int(q))]] for q in rows]
    path = world.folder / "cells" / "c" / "evals" / "e"
    searched(path, corpus, rows, ranked)
    before = pd.read_parquet(path / "per_query.parquet")
    match_answers(world.folder, world.inputs, [path])
    told = read_json(path / "eval.json")
    assert told["answered_queries"] == 3 and told["metrics"]["R@1"] == [0.5, 0.1]
    # q0: d2 holds Paris, though d0 was asked for; q1: third; q3: nothing was found
    hits = {k: told["metrics"][f"answer_hit@{k}"][0] for k in (1, 3, 5)}
    assert hits == {1: pytest.approx(1 / 3), 3: pytest.approx(2 / 3), 5: pytest.approx(2 / 3)}
    after = pd.read_parquet(path / "per_query.parquet")
    pd.testing.assert_frame_equal(after.head(len(before)), before)
    dates = [p.stat().st_mtime_ns for p in sorted(path.iterdir())]
    match_answers(world.folder, world.inputs, [path])
    assert dates == [p.stat().st_mtime_ns for p in sorted(path.iterdir())]  # once is enough


def test_without_answers_nothing_is_added(world: Any) -> None:
    lines = (world.source / "queries.jsonl").read_text().replace("answers", "other")
    (world.source / "queries.jsonl").write_text(lines)
    keep_answers(world.folder, world.spec, world.inputs)
    assert kept_answers(world.folder, world.inputs) == {}
    match_answers(world.folder, world.inputs, [world.folder / "nowhere"])  # not even looked at


def test_bm25_is_measured_once_and_its_index_is_mapped(world: Any, tmp_path: Path) -> None:
    corpus = Corpus.open(world.at.corpus(world.inputs.corpus))
    rows = corpus.split_queries("test")
    index = Bm25Index.of(tmp_path / "bm25", corpus)
    assert isinstance(index.engine.scores["data"], np.memmap)
    direct = bm25_ranking(corpus, rows)
    asked = index.rank(list(corpus.query_texts(rows)))
    np.testing.assert_array_equal(asked.document, direct.document)
    np.testing.assert_array_equal(asked.score, direct.score)
    assert len(index.rank([])) == 0 and index.rank(["unheardof"]).n_queries == 1
    target = tmp_path / "eval"
    measure_bm25(index, corpus, "test", rows, target)
    told = read_json(target / "eval.json")
    assert told["n_queries"] == len(rows) and told["seconds"] > 0 and told["build_seconds"] > 0
    expected = per_query_metrics(corpus, rows, direct)
    pd.testing.assert_frame_equal(pd.read_parquet(target / "per_query.parquet"), expected)
    found = pd.read_parquet(target / "searches.parquet")
    assert found["query"].tolist() == rows[direct.query].tolist()
    assert found["document"].tolist() == direct.document.tolist()
    stamp = (target / "eval.json").stat().st_mtime_ns
    measure_bm25(index, corpus, "test", rows, target)
    assert (target / "eval.json").stat().st_mtime_ns == stamp


def test_an_index_of_another_corpus_is_refused(world: Any, tmp_path: Path) -> None:
    corpus = Corpus.open(world.at.corpus(world.inputs.corpus))
    Bm25Index.build(corpus).save(tmp_path / "bm25")
    header = read_json(tmp_path / "bm25" / "bm25.json")
    write_json(tmp_path / "bm25" / "bm25.json", {**header, "corpus": "other"})
    with pytest.raises(BadInput, match="another corpus"):
        Bm25Index.open(tmp_path / "bm25", corpus)
    (tmp_path / "bm25" / "data.csc.index.npy").write_bytes(b"")
    with pytest.raises(BadInput, match="holds no index of BM25"):
        Bm25Index.open(tmp_path / "bm25", corpus)
