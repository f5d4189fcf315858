"""Given codes become a codebook: rows by id, centroids against a plain loop, old keys unchanged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.files import content_key
from genret_core.retrieval.codebook import Codebook, CodebookConfig, fit_codebook
from genret_core.retrieval.codebook_quality import depth_table, oracle_retrieval
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.given_codes import read_codes

CODES = {"d0": [3, 0, 5], "d1": [3, 0, 5], "d2": [1, 4, 4], "d3": [1, 0, 2]}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    documents = [Document(f"d{i}", "", f"words of number{i} and kind{i % 2}") for i in range(4)]
    qrels = [Qrel("q", "d2", 1, "test")]
    return write_corpus(tmp_path / "c", documents, [Query("q", "number2 kind0")], qrels, {})


def ripor(tmp_path: Path, codes: dict[str, list[int]]) -> str:
    path = tmp_path / "docid_to_smtid.json"
    path.write_text(json.dumps({name: [-1, *of] for name, of in codes.items()}))
    return str(path)


def test_both_forms_are_read_by_document_id(corpus: Corpus, tmp_path: Path) -> None:
    shuffled = {"0": [9, 9, 9], **dict(reversed(CODES.items()))}  # "0" is no document of the corpus
    found = read_codes(ripor(tmp_path, shuffled), corpus)
    assert found.tolist() == list(CODES.values())
    lines = [json.dumps({"_id": name, "codes": codes}) for name, codes in shuffled.items()]
    (tmp_path / "codes.jsonl").write_text("\n".join(lines))
    assert read_codes(tmp_path / "codes.jsonl", corpus).tolist() == list(CODES.values())


def test_a_codebook_of_given_codes(corpus: Corpus, tmp_path: Path) -> None:
    book = fit_codebook(corpus, CodebookConfig(codes=ripor(tmp_path, CODES)))
    assert (book.N_c, book.L_c, book.n_collisions) == (8, 3, 1)
    assert book.codes.tolist() == list(CODES.values())
    assert "2 of 4 documents share" in book.notes[0]
    left = book.embedding.transform(corpus.document_texts()).astype(np.float64)
    for level in range(3):
        for code in range(8):
            rows = [i for i, codes in enumerate(CODES.values()) if codes[level] == code]
            expected = left[rows].mean(axis=0) if rows else np.zeros(left.shape[1])
            np.testing.assert_allclose(book.centroids[level, code], expected, atol=1e-6)
        left -= book.centroids[level][[codes[level] for codes in CODES.values()]]
    assert depth_table(book)["identified"].tolist() == [0, 0.5, 0.5]
    assert oracle_retrieval(corpus, book, [0], k=(1,)).set_index("ranking")["recall"]["codes"] == 1
    book.save(tmp_path / "book")
    assert Codebook.open(tmp_path / "book").config == book.config


def test_sizes_asked_for_and_codes_told_apart(corpus: Corpus, tmp_path: Path) -> None:
    path = ripor(tmp_path, CODES)
    larger = fit_codebook(corpus, CodebookConfig(codes=path, N_c=256, L_c=3))
    assert (larger.N_c, larger.centroids.shape[1], larger.codes.tolist()) == (256, 256, list(CODES.values()))
    unique = fit_codebook(corpus, CodebookConfig(codes=path, collisions="unique"))
    assert unique.codes[[0, 2, 3]].tolist() == [CODES[name] for name in ("d0", "d2", "d3")]
    assert unique.codes[1, :2].tolist() == [3, 0]
    assert unique.codes[1, 2] != 5
    assert unique.n_collisions == 1
    assert "told apart" in unique.notes[0]


def test_a_published_set_over_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L_c = 32 and N_c = 256 as published; documents in any order, read in blocks, twice the same in two."""
    monkeypatch.setattr("genret_core.retrieval.given_codes._BLOCK", 7)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (100, 32))
    documents = [Document(str(i), "", f"word{i} word{i % 9}") for i in range(100)]
    corpus = write_corpus(tmp_path / "c", documents, [Query("q", "x")], [], {})
    order = [*rng.permutation(100), 3, 3]
    path = tmp_path / "docid_to_smtid.json"
    pairs = ", ".join(f'"{i}": [-1, {", ".join(map(str, codes[i]))}]' for i in order)
    path.write_text("{" + pairs + "}")
    np.testing.assert_array_equal(read_codes(path, corpus), codes)
    changed = pairs.replace(f'"3": [-1, {codes[3][0]}', f'"3": [-1, {(codes[3][0] + 1) % 256}', 1)
    path.write_text("{" + changed + "}")
    with pytest.raises(BadInput, match="'3' has two different codes"):
        read_codes(path, corpus)


def test_what_does_not_fit_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    def said(codes: dict[str, list[int]] = CODES, **asked: int) -> str:
        with pytest.raises(BadInput) as caught:
            fit_codebook(corpus, CodebookConfig(codes=ripor(tmp_path, codes), **asked))
        return str(caught.value)

    assert "no codes for 1 of 4 documents, such as 'd3'" in said(
        {n: c for n, c in CODES.items() if n != "d3"}
    )
    assert "'d3' has 1 codes, and the first has 3" in said({**CODES, "d3": [1]})
    assert "L_c = 4 is asked for" in said(L_c=4)
    assert "N_c = 5 is asked for, but the codes" in said(N_c=5)
    assert "go up to 5" in said(N_c=5)
    twice = tmp_path / "codes.jsonl"
    lines = [{"_id": name, "codes": codes} for name, codes in CODES.items()]
    for last, told in (([3, 0, 5], None), ([3, 0, 4], "codes.jsonl:5: the document 'd0' has two different")):
        twice.write_text("\n".join(json.dumps(line) for line in [*lines, {"_id": "d0", "codes": last}]))
        if told is None:
            assert read_codes(twice, corpus).tolist() == list(CODES.values())
        else:
            with pytest.raises(BadInput, match=told):
                read_codes(twice, corpus)
    twice.write_text(twice.read_text()[:-9])
    with pytest.raises(BadInput, match=r"codes\.jsonl:5"):
        read_codes(twice, corpus)
    (tmp_path / "empty.json").write_text("{}")
    for name in ("none.json", "empty.json"):
        with pytest.raises(BadInput):
            read_codes(tmp_path / name, corpus)


def test_keys_of_learned_codes_stay() -> None:
    from genret_core.workbench.study.inputs import LATER, _plain

    learned = {
        "N_c": None,
        "L_c": None,
        "embedding": "tfidf",
        "embedding_dim": 64,
        "seed": 0,
        "fields": "text",
        "beam": 1,
    }
    assert _plain(CodebookConfig()) == learned
    assert content_key(_plain(CodebookConfig(codes="x"))) != content_key(learned)
    assert set(asdict(CodebookConfig())) == {*learned, *LATER}
    assert _plain(CodebookConfig(positions="shared")) == learned
    others = [{"collisions": "shared"}, {"collisions": "unique"}, {"positions": "own"}, {"N_c": 48}]
    assert len({content_key(_plain(CodebookConfig(**other))) for other in [{}, *others]}) == 5
