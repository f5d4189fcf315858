"""Data sets of Hugging Face, written here and read from disk; nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.importing import Choices, import_corpus

HF = Choices(format="hf")


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_without_the_package_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(BadInput, match=r"pip install 'genret\[hub\]'"):
        import_corpus(["somebody/something"], tmp_path / "out", HF)


def test_a_name_is_not_fetched_unless_asked(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(BadInput, match="--hub lets it be fetched") as caught:
        import_corpus(["nobody-here/no-such-set"], tmp_path / "out", HF)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_tables_of_beir_as_parquet(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    tables = {
        "corpus/train.parquet": {
            "_id": ["1", "2"],
            "title": ["A", None],
            "text": ["one", "two"],
            "lang": ["en", "de"],
            "embeddings": [[0.5, 1.0], [2.0, 3.0]],
        },
        "queries/train.parquet": {"_id": ["q"], "text": ["which"]},
        "qrels/test.parquet": {"query-id": ["q"], "corpus-id": ["2"], "score": [1.0]},
    }
    for name, columns in tables.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        datasets.Dataset.from_dict(columns).to_parquet(str(tmp_path / "set" / name))
    found = import_corpus([str(tmp_path / "set")], tmp_path / "out")
    assert jsonl(tmp_path / "out" / "corpus.jsonl")[1] == {
        "_id": "2",
        "title": "",
        "text": "two",
        "lang": "de",
    }
    assert jsonl(tmp_path / "out" / "queries.jsonl") == [{"_id": "q", "text": "which"}]
    assert found.counts == {"documents": 2, "queries": 1, "judgements, test": 1}
    assert found.notes == ("left out: 2 values of the column 'embeddings'",)


def test_saved_sets_of_squads_and_tevatrons_kind(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    squad = {
        "id": ["a", "b", "c"],
        "title": ["The_T"] * 3,
        "context": ["p one", "p one", "p two"],
        "question": ["q a", "q b", "q c"],
        "answers": [{"text": ["x", "x"], "answer_start": [0, 0]}, {"text": ["y"], "answer_start": [1]},
                    {"text": [], "answer_start": []}],
    }  # fmt: skip
    part = datasets.Dataset.from_dict(squad)
    datasets.DatasetDict({"train": part}).save_to_disk(str(tmp_path / "squad"))
    found = import_corpus([str(tmp_path / "squad")], tmp_path / "out")
    assert jsonl(tmp_path / "out" / "corpus.jsonl") == [{"_id": "train-0", "title": "The T", "text": "p one"}]
    assert [a["answers"] for a in jsonl(tmp_path / "out" / "answers.jsonl")] == [["x"], ["y"]]
    assert found.counts["judgements, train"] == 2 and "1 questions without an answer" in found.notes[0]
    passage = {"docid": "7", "title": "t", "text": "words"}
    rows = [
        {"query_id": str(i), "query": f"q {i}", "positive_passages": [passage], "negative_passages": []}
        for i in (1, 2)
    ]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "tevatron"))
    found = import_corpus([str(tmp_path / "tevatron")], tmp_path / "tout", Choices(format="hf", split="test"))
    assert found.counts == {"documents": 1, "queries": 2, "judgements, test": 2}


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"img": [1], "mask": [2]}).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(BadInput, match="columns img, mask"):
        import_corpus([str(tmp_path / "set")], tmp_path / "out")
