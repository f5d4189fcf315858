"""Answer match against hand cases and against a plain search through lists of tokens."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from genret_core.errors import BadInput
from genret_core.retrieval.answer_match import normalise, per_query_answer_hits, read_answers
from genret_core.retrieval.corpus import Corpus, Document, Query, write_corpus
from genret_core.retrieval.ranking import Ranking

TOKEN = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]", regex.IGNORECASE | regex.UNICODE | regex.MULTILINE)


def tokens(text: str) -> list[str]:
    return [token.lower() for token in TOKEN.findall(unicodedata.normalize("NFD", text))]


def stands_in(answer: str, text: str) -> bool:
    wanted, found = tokens(answer), tokens(text)
    return bool(wanted) and any(
        found[i : i + len(wanted)] == wanted for i in range(len(found) - len(wanted) + 1)
    )


@pytest.mark.parametrize(
    ("answer", "text", "hit"),
    [
        ("Beyoncé", "BEYONCE\u0301 sang", True),  # composed and decomposed
        ("Beyonce", "Beyoncé sang", False),  # a mark is part of the word
        ("the beatles", "The  Beatles' first", True),
        ("beat", "The Beatles", False),  # whole tokens only
        ("U.S.", "in the U.S. of", True),
        ("US", "in the U.S. of", False),
        ("54\xa0Mbit/s", "at 54 Mbit/s.", True),
        ("snake_case", "snake _ case", True),  # the sign is a token of its own
        ("well-known", "well known", False),
        ("ΟΔΟΣ", "η οδος.", True),  # a last sigma has its own lower case
        ("ΟΔΟΣ", "η οδοσ", False),
        ("1,000", "about 1,000 men", True),
        ("a b", "a\x00b", True),  # control characters separate
        ("?", "who? me", True),
        ("", "anything", False),
    ],
)
def test_hand_cases(answer: str, text: str, hit: bool) -> None:
    wanted = normalise(answer)
    assert (bool(wanted) and wanted in normalise(text)) == hit == stands_in(answer, text)


ALPHABET = st.sampled_from(list("aAbBéÉ'_-. \t\xa0\x07Σσßİſ١中…\u0301\u200b1"))


@settings(max_examples=500)
@given(st.text(ALPHABET, max_size=4), st.text(ALPHABET, max_size=14))
def test_as_lists_of_tokens(answer: str, text: str) -> None:
    wanted = normalise(answer)
    assert (bool(wanted) and wanted in normalise(text)) == stands_in(answer, text)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    documents = [
        Document("d0", "Anne Frank", "wrote a diary"),
        Document("d1", "", "nothing here || who was Anne Frank"),
        Document("d2", "Mars", "a planet"),
    ]
    return write_corpus(tmp_path / "c", documents, [Query(f"q{i}", "who") for i in range(3)], [], {})


def ranking(*found: list[int]) -> Ranking:
    query = np.repeat(np.arange(len(found)), [len(of) for of in found]).astype(np.int32)
    rank = np.concatenate([np.arange(len(of)) for of in found]).astype(np.int32)
    document = np.array([row for of in found for row in of], np.int32)
    return Ranking(query, document, -rank.astype(np.float64), rank, len(found))


def test_hits_by_depth(corpus: Corpus) -> None:
    answers = {"q0": ["Otto", "anne frank"], "q1": ["Frank wrote"], "q2": ["planet"]}
    found = per_query_answer_hits(corpus, [0, 1, 2], ranking([1, 2, 0], [0], []), answers, (1, 2, 3))
    assert found["metric"].tolist() == ["answer_hit@1", "answer_hit@2", "answer_hit@3"] * 3
    # behind || nothing counts; title and text are one; an empty result is no hit
    assert found["value"].tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert found["query"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_refuses_what_means_nothing(corpus: Corpus) -> None:
    answers = {"q0": ["x"], "q1": [" \t"]}
    with pytest.raises(BadInput, match="no answer to the query 'q2'"):
        per_query_answer_hits(corpus, [0, 2], ranking([1], [1]), answers)
    with pytest.raises(BadInput, match="Query 1 of the ranking has no answer"):
        per_query_answer_hits(corpus, [0, 1], ranking([1], [1]), answers)
    with pytest.raises(BadInput, match="1 queries and 2 are given"):
        per_query_answer_hits(corpus, [0, 1], ranking([1]), answers)
    with pytest.raises(BadInput, match="each 1 or larger"):
        per_query_answer_hits(corpus, [0], ranking([1]), answers, (0,))


def test_answers_of_a_collection(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no answers"):
        read_answers(tmp_path)
    records = [{"_id": "1", "text": "a", "metadata": {"answers": ["x"]}}, {"_id": "2", "text": "b"}]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, records)))
    assert read_answers(tmp_path) == {"1": ["x"]}
    (tmp_path / "answers.jsonl").write_text('{"_id": "2", "answers": ["y", "z"]}\n')
    assert read_answers(tmp_path) == {"2": ["y", "z"]}
    (tmp_path / "answers.jsonl").write_text('{"_id": "2", "answers": "y"}\n')
    with pytest.raises(BadInput, match=r"answers.jsonl:1: the answers must be a list"):
        read_answers(tmp_path)
