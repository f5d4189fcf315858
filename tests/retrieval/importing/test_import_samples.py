"""Every sample of a foreign format, against the rows that its own library reads from it."""

from __future__ import annotations

import ast
import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.importing import Choices, import_corpus
from genret_core.retrieval.readers import read_corpus

DATA = Path(os.environ.get("GENRET_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
SAMPLES = DATA / "format-samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the format samples are not here")
DPR, MINDER, RIPOR = SAMPLES / "dpr", SAMPLES / "minder", SAMPLES / "ripor"


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter="\t", quotechar='"'))


def test_dpr_as_csv_reads_it(tmp_path: Path) -> None:
    files = [DPR / name for name in ("nq-test.made.csv", "psgs_w100.made.tsv", "biencoder-nq.made.json")]
    found = import_corpus(list(map(str, files)), tmp_path / "out")
    documents = jsonl(tmp_path / "out" / "corpus.jsonl")
    assert [[d["_id"], d["text"], d["title"]] for d in documents] == rows(files[1])[1:]
    queries = {q["_id"]: q["text"] for q in jsonl(tmp_path / "out" / "queries.jsonl")}
    answers = {a["_id"]: a["answers"] for a in jsonl(tmp_path / "out" / "answers.jsonl")}
    for number, (question, literal) in enumerate(rows(files[0])):
        assert queries[f"nq-test.made-{number}"] == question
        assert answers[f"nq-test.made-{number}"] == ast.literal_eval(literal)
    judged = rows(tmp_path / "out" / "qrels" / "train.tsv")[1:]
    for number, item in enumerate(json.loads(files[2].read_text())):
        ids = [ctx["passage_id"] for ctx in item["positive_ctxs"]]
        assert [d for q, d, _ in judged if q == f"biencoder-nq.made-{number}"] == list(dict.fromkeys(ids))
    assert (found.counts["documents"], found.counts["queries"]) == (9, 28)


def test_gold_passage_given_twice_is_one_document(tmp_path: Path) -> None:
    import_corpus([str(DPR / "biencoder-nq-dev.head.json")], tmp_path / "out")
    (item,) = json.loads((DPR / "biencoder-nq-dev.head.json").read_text())
    assert len(item["positive_ctxs"]) > 1
    (document,) = jsonl(tmp_path / "out" / "corpus.jsonl")
    assert document["text"] == item["positive_ctxs"][0]["text"]
    assert (tmp_path / "out" / "qrels" / "test.tsv").is_file()  # dev alone is what there is to test on


def test_minder_questions_find_their_passages(tmp_path: Path) -> None:
    files = [MINDER / "train.made.source", MINDER / "train.made.target", MINDER / "pid2query.made.json"]
    found = import_corpus([*map(str, files), str(DPR / "psgs_w100.made.tsv")], tmp_path / "out")
    texts = {q["_id"]: q["text"] for q in jsonl(tmp_path / "out" / "queries.jsonl")}
    of = {q: d for q, d, _ in rows(tmp_path / "out" / "qrels" / "train.tsv")[1:]}
    truth = {item["question"]: item["positive_ctxs"][0]["passage_id"]
             for item in json.loads((DPR / "biencoder-nq.made.json").read_text())}  # fmt: skip
    assert {texts[q]: d for q, d in of.items()} == {text: truth[text] for text in texts.values()}
    pairs = jsonl(tmp_path / "out" / "pairs.jsonl")
    assert [pair["target"] for pair in pairs] == [line.strip() for line in files[1].read_text().splitlines()]
    assert {pair["query"] for pair in pairs if pair["mark"] == "p"} == {None}
    told = {a["_id"]: a["queries"] for a in jsonl(tmp_path / "out" / "pseudo_queries.jsonl")}
    assert told == json.loads(files[2].read_text())
    assert not found.notes


def test_ripor_whole(tmp_path: Path) -> None:
    files = sorted(str(path) for path in RIPOR.iterdir())
    found = import_corpus(files, tmp_path / "out", Choices(format="ripor"))
    codes = {c["_id"]: c["codes"] for c in jsonl(tmp_path / "out" / "codes.jsonl")}
    given = json.loads((RIPOR / "docid_to_smtid.made.json").read_text())
    assert codes == {name: code[1:] for name, code in given.items()}
    assert found.codes == {"L_c": 32, "N_c": 1 + max(max(code) for code in codes.values()), "distinct": 8}
    texts = [line.split("\t") for line in (RIPOR / "collection-raw.made.tsv").read_text().splitlines()]
    assert [[d["_id"], d["text"]] for d in jsonl(tmp_path / "out" / "corpus.jsonl")] == texts
    qrels = json.loads((RIPOR / "dev_qrel.made.json").read_text())
    dev = rows(tmp_path / "out" / "qrels" / "dev.tsv")[1:]
    assert dev == [[q, d, str(r)] for q, of in qrels.items() for d, r in of.items()]
    corpus = read_corpus("beir", tmp_path / "corpus", {"path": str(tmp_path / "out")})
    assert (corpus.n_documents, len(corpus.split_queries("validation"))) == (9, 8)


def test_squad(tmp_path: Path) -> None:
    path = SAMPLES / "source-records" / "squad-v1.1.head.json"
    import_corpus([str(path)], tmp_path / "out")
    (article,) = json.loads(path.read_text())["data"]
    (paragraph,) = article["paragraphs"]
    assert jsonl(tmp_path / "out" / "corpus.jsonl") == [
        {"_id": "squad-v1.1.head-0-0", "title": "University of Notre Dame", "text": paragraph["context"]}
    ]
    asked = [{"_id": qa["id"], "text": qa["question"]} for qa in paragraph["qas"]]
    assert jsonl(tmp_path / "out" / "queries.jsonl") == asked


def test_beir_is_copied_whole(tmp_path: Path) -> None:
    import gzip

    source = DATA / "tldr-pages"
    import_corpus([str(source)], tmp_path / "out")
    for name in ("corpus.jsonl", "queries.jsonl"):
        with gzip.open(source / f"{name}.gz", "rt", encoding="utf-8") as file:
            assert jsonl(tmp_path / "out" / name) == [json.loads(line) for line in file]
    for split in ("train", "test"):
        assert rows(tmp_path / "out" / "qrels" / f"{split}.tsv") == rows(source / "qrels" / f"{split}.tsv")
    again = import_corpus([str(tmp_path / "out")], tmp_path / "again")
    assert again.counts["documents"] == len(jsonl(tmp_path / "again" / "corpus.jsonl"))


@pytest.mark.parametrize("name", ["source-records/NQ-open.dev.head.jsonl", "dpr/nq-dev.head.csv"])
def test_questions_alone_are_no_collection(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="hold no document"):
        import_corpus([str(SAMPLES / name)], tmp_path / "out")
    assert not list(tmp_path.iterdir())
