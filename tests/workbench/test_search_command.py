"""`genret search` on the test study: what led to a document stands where it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from genret_core.workbench.cli.app import build
from genret_core.workbench.retriever.led import Key, marked_text
from genret_core.workbench.runs import Study


@pytest.fixture(scope="module")
def query(test_study: Study) -> str:
    return str(test_study.corpus.query_text(0))


def genret(study: Study, query: str, *options: str) -> str:
    done = CliRunner().invoke(build(), ["search", str(study.folder), query, "--method", "ngram", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def keys_of(answer: dict) -> Iterator[tuple[dict, dict]]:
    for hit in answer["hits"]:
        for key in hit["keys"]:
            yield hit, key


@pytest.mark.parametrize(
    "options", [(), ("--full-score", "--query-keys", "--unigrams", "--rescore")], ids=["study", "all"]
)
def test_keys_stand_where_they_are_said_to_and_add_up(
    test_study: Study, query: str, options: tuple[str, ...]
) -> None:
    answer = json.loads(genret(test_study, query, "-k", "5", "--explain", "--json", *options))
    assert len(answer["hits"]) == 5
    for hit in answer["hits"]:
        assert sum(key["contribution"] for key in hit["keys"]) == pytest.approx(hit["score"])
    texts = {test_study.corpus.document_id(i): i for i in range(test_study.corpus.n_documents)}
    for hit, key in keys_of(answer):
        tokens = test_study.stream.document(texts[hit["document"]])
        assert key["places"] and len(key["places"]) == len(key["characters"])
        for place, (begin, end) in zip(key["places"], key["characters"], strict=True):
            said = re.sub(r"\s", "", hit["text"][begin:end]).lower()
            own = re.sub(r"\s", "", key["text"]).lower()
            assert own in said or said in own
            assert test_study.tokenizer.decode(tokens[place:]).lower().startswith(key["text"].lower())
    sources = {key["source"] for _, key in keys_of(answer)}
    assert sources == {"beam"} if not options else "beam" in sources and len(sources) > 1
    assert set(answer["flops"]) == ({"search", "rescoring"} if options else {"search"})
    assert answer["switches"].get("rescore", False) == bool(options)


def test_without_asking_there_are_no_keys_and_the_text_is_short(test_study: Study, query: str) -> None:
    answer = json.loads(genret(test_study, query, "--json"))
    assert all("keys" not in hit and len(hit["text"]) <= 90 for hit in answer["hits"])


def test_people_see_marks_and_on_demand_the_keys(test_study: Study, query: str) -> None:
    plain, told = genret(test_study, query, "-k", "3"), genret(test_study, query, "-k", "3", "--explain")
    assert "[" in plain.splitlines()[2]  # not in a terminal: brackets
    without = [line for line in told.splitlines() if not line.startswith("       ")]
    assert without[1:] == plain.splitlines()[1:] and len(without) == 1 + 2 * 3
    assert re.search(r"beam 10, .*overlaps count.*, \d+ ms, .*FLOPs$", plain.splitlines()[0])
    assert "weight" not in plain and re.search(r"\d in the corpus, beam, at token \d", told)
    switched = genret(test_study, query, "-k", "3", "--full-score", "--query-keys")
    assert "query keys" in switched.splitlines()[0] and "full score" in switched.splitlines()[0]


def test_codes_are_told_as_well(test_study: Study, query: str) -> None:
    options = ["search", str(test_study.folder), query, "--method", "codebook"]
    done = CliRunner().invoke(build(), [*options, "--explain", "--json"])
    for hit, key in keys_of(json.loads(done.stdout)):
        assert (key["contribution"], key["weight"]) == (hit["score"], None)
        row = test_study.corpus.document_rows([hit["document"]])[0]
        assert key["text"] == " ".join(f"c{code}" for code in test_study.codebook.codes[row])
    refused = CliRunner().invoke(build(), [*options, "--unigrams"])
    assert refused.exit_code == 2 and "codebook" in refused.stderr


def key(characters: tuple[tuple[int, int], ...], contribution: float) -> Key:
    return Key("", "beam", -1.0, 1, 1.0, contribution, tuple(range(len(characters))), characters)


def test_the_stretch_that_is_shown_holds_what_weighs_most() -> None:
    text = "one two three four five six seven"
    keys = (key(((24, 27), (0, 3)), 1.0), key(((28, 33),), 2.0))
    shown = marked_text(text, keys, 15)
    assert "".join(piece for piece, _ in shown) == "… five six seven"
    assert [piece for piece, marked in shown if marked] == ["six", "seven"]
    assert marked_text(text, (), 99) == [(text, False)]
    assert marked_text(text, (key(((0, 3),), 1.0),), 8) == [("one", True), (" two ", False), (" …", False)]
    assert marked_text("", (), 9) == []
