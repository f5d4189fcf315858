"""Awkward, damaged and wrong files: read as the format's own rules have it, or refused by file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret_core.errors import BadInput
from genret_core.retrieval.importing import Choices, import_corpus
from genret_core.retrieval.importing.json_stream import JsonStream
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.readers import read_corpus

HEAD = "id\ttext\ttitle\n"
Put = Callable[..., str]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "c"


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def refused(out: Path, *files: str, **choices: Any) -> str:
    """Import what must be refused: in one sentence, with nothing left behind."""
    with pytest.raises(BadInput) as caught:
        import_corpus(files, out, Choices(**choices))
    assert not out.parent.exists() or not list(out.parent.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- csv with tabs


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip()),
        min_size=1,
        max_size=5,
    )
)
def test_what_csv_writes_is_read_back(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with (folder / "psgs.tsv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows(
            [["id", "text", "title"], *([i, t, t] for i, t in enumerate(texts))]
        )
    import_corpus([str(folder / "psgs.tsv")], folder / "out")
    found = jsonl(folder / "out" / "corpus.jsonl")
    assert [(d["_id"], d["text"], d["title"]) for d in found] == [(str(i), t, t) for i, t in enumerate(texts)]


def test_awkward_quotings(put: Put, out: Path) -> None:
    text = HEAD + '1\t"""Hi"", she said"\tA "bare" title\r\n\r\n2\t"two\nlines"\t\n3\tit\'s 5" wide\t""\n'
    import_corpus([put("psgs_w100.tsv", "\ufeff" + text)], out)
    assert [(d["text"], d["title"]) for d in jsonl(out / "corpus.jsonl")] == [
        ('"Hi", she said', 'A "bare" title'),
        ("two\nlines", ""),
        ("it's 5\" wide", ""),
    ]


@pytest.mark.parametrize(
    ("row", "line", "said"),
    [
        ('3\t"Love" is a song\tL\n4\tx\ty\n', 4, "goes on behind"),
        ('3\tok\tt\n4\t"never closed\tt\n5\tx\ty\n', 5, "never closed"),
        ("3\tonly two\n", 4, "2 fields"),
        ("3\ta\tb\tc\n", 4, "4 fields"),
        ("3   spaces\n", 4, "1 field;"),
        ("3\t \t\n", 4, "no words"),
        ("\ttext\ttitle\n", 4, "no id"),
    ],
)
def test_bad_passages_are_named(row: str, line: int, said: str, put: Put, out: Path) -> None:
    path = put("psgs_w100.tsv", HEAD + '1\t"two\nlines"\tt\n' + row)
    told = refused(out, path)
    assert told.startswith(f"{path}:{line}: ") and said in told


def test_columns_by_the_header_or_dprs_order_without_one(put: Put, out: Path) -> None:
    import_corpus([put("a.tsv", "id\ttitle\ttext\n1\tT\tlonger text\n")], out)
    import_corpus([put("b.tsv", "1\tlonger text\tT\n")], out.with_name("d"), Choices(format="dpr"))
    assert jsonl(out / "corpus.jsonl") == jsonl(out.with_name("d") / "corpus.jsonl")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("who?\tanswer", "are no list"),
        ("who?\t['a', 3.5]", "must be a list of texts"),
        ("who?\t['a'", "are no list"),
        ("who?", "1 field"),
        ("who?\t['a']\tmore", "3 fields"),
        (" \t['a']", "no words"),
    ],
)
def test_bad_answers_are_named(row: str, said: str, put: Put, out: Path) -> None:
    path = put("nq-test.csv", f"first\t['one']\n{row}\n")
    told = refused(out, put("psgs_w100.tsv", HEAD + "1\ta\tb\n"), f"questions={path}")
    assert told.startswith(f"{path}:2: ") and said in told


def test_doubled_quotes_around_answers(put: Put, out: Path) -> None:
    written = io.StringIO()
    answers = ["A'ja Wilson", 'the "Boss"', "54\xa0Mbit/s", "back\\slash"]
    csv.writer(written, delimiter="\t").writerow(['who is "it"?', repr(answers)])
    import_corpus([put("nq-test.csv", written.getvalue()), put("psgs_w100.tsv", HEAD + "1\ta\tb\n")], out)
    assert jsonl(out / "answers.jsonl") == [{"_id": "nq-test-0", "answers": answers}]
    assert jsonl(out / "queries.jsonl")[0]["text"] == 'who is "it"?'


# ---- JSON


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    ),
    st.integers(1, 9),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_json_in_blocks_of_any_size(value: Any, block: int, indent: int | None, ascii: bool) -> None:
    written = "\n" + json.dumps([value, {"k": value}], indent=indent, ensure_ascii=ascii) + "\n"
    stream = JsonStream(Source(Path("f"), "f", "train"), io.StringIO(written), block)
    assert [item for _, item in stream.array()] == [value, {"k": value}]
    stream.end()
    assert stream.line == written.count("\n") + 1
    written = json.dumps({"a": value, "b": [value]}, indent=indent, ensure_ascii=ascii)
    stream = JsonStream(Source(Path("f"), "f", "train"), io.StringIO(written), block)
    assert [(key, stream.value()) for _, key in stream.object()] == [("a", value), ("b", [value])]


ITEM = {"question": "who", "answers": ["x"], "positive_ctxs": [{"title": "", "text": "t", "passage_id": "1"}]}


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[\n1,\n{"a" 2},\n3]' + " " * 40, 3, "Expecting ':'"),
        ('[\n1,\n"tab\there"\n]' + " " * 40, 3, "Invalid control character"),
        ("[\n1\n2]" + " " * 40, 3, "'2' stands where a comma"),
        ("[\n1,\n2", 3, "the file ends"),
        ('[\n1,\n{"a": "b', 3, "this is no JSON"),
        ("[1]\n\n]", 3, "is over, but"),
        ("[\n1,\n]" + " " * 40, 3, "Expecting value"),
        ("[\nnul\n]" + " " * 40, 2, "Expecting value"),
        ("{}", 1, "an array is expected"),
        ("[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_wrong_json_is_named_by_line(text: str, line: int, said: str, block: int) -> None:
    if block == 1 and len(text) > 1_000:
        pytest.skip("the same, slowly")
    stream = JsonStream(Source(Path("f"), "f", "train"), io.StringIO(text), block)
    with pytest.raises(BadInput, match=rf"^f:{line}: .*{said}"):
        list(stream.array())
        stream.end()


def test_a_fault_in_a_long_file_is_found_where_it_is(put: Put, out: Path) -> None:
    items = [json.dumps({**ITEM, "question": f"q {i} " + "x" * 200}) for i in range(20_000)]
    items[15_000] = items[15_000][:-1] + ",}"
    path = put("biencoder-nq-train.json", "[\n" + ",\n".join(items) + "\n]\n")
    assert refused(out, path).startswith(f"{path}:15002: this is no JSON")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positive_ctxs": "none"}, "'positive_ctxs' must be a list, not a text"),
        ({"positive_ctxs": [{"text": "t"}]}, "'passage_id' or 'psg_id' is missing"),
        ({"question": None}, "'question' must be a text, not nothing"),
        ({"answers": "x"}, "'answers' must be a list of texts"),
        ({"question": "half \ud83d"}, "half a surrogate pair"),
    ],
)
def test_wrong_items_of_dpr(change: dict[str, Any], said: str, put: Put, out: Path) -> None:
    path = put("biencoder-nq-train.json", json.dumps([ITEM, {**ITEM, **change}], indent=1))
    told = refused(out, path)
    assert told.startswith(f"{path}:15: ") and said in told


def test_trivia_items_without_positives_and_first_positives(put: Put, out: Path) -> None:
    ctx = [{"title": "T", "text": f"text {i}", "psg_id": str(i)} for i in (1, 2, 2, 3)]
    items = [
        {**ITEM, "positive_ctxs": ctx, "hard_negative_ctxs": [{**ctx[0], "psg_id": "9"}]},
        {**ITEM, "positive_ctxs": []},
    ]
    path = put("trivia-train.json", json.dumps(items))
    found = import_corpus([path], out)
    assert [d["_id"] for d in jsonl(out / "corpus.jsonl")] == ["1", "2", "3", "9"]
    assert found.counts["judgements, train"] == 3 and "1 questions without a positive" in found.notes[0]
    assert jsonl(out / "negatives.jsonl") == [{"_id": "trivia-train-0", "hard_negative": ["9"]}]
    found = import_corpus([path], out.with_name("d"), Choices(positives=1))
    assert found.counts["judgements, train"] == 1


# ---- lines


def test_truncated_and_foreign_bytes(put: Put, out: Path) -> None:
    whole = gzip.compress((HEAD + "".join(f"{i}\ttext {i * 7919}\tt\n" for i in range(5_000))).encode())
    path = put("psgs_w100.tsv.gz", whole)
    assert import_corpus([path], out).counts["documents"] == 5_000
    path = put("psgs_w100.tsv.gz", whole[: len(whole) * 3 // 4])
    told = refused(out.parent.with_name("new") / "c", path)
    assert told.startswith(f"{path}: the file is cut off or damaged somewhere behind line ")
    path = put("psgs.tsv", HEAD.encode() + b"1\tna\xefve\tt\n")
    assert "it is not UTF-8" in refused(out.parent.with_name("new") / "c", path)


def test_plain_tables_take_quotes_as_data(put: Put, out: Path) -> None:
    documents = '1\tsays "hi\r\n\r\n2\t"quoted" twice\u2028still 2\r\n'
    import_corpus([put("collection/raw.tsv", documents), put("dev/raw.tsv", '\ufeffq1\t"what?\n')], out)
    assert [d["text"] for d in jsonl(out / "corpus.jsonl")] == ['says "hi', '"quoted" twice\u2028still 2']
    assert jsonl(out / "queries.jsonl") == [{"_id": "q1", "text": '"what?'}]


def test_titled_documents_split_at_two_tabs(put: Put, out: Path) -> None:
    path = put("sample_corpus.tsv", "1\tA\ttext with\ttab\n2\tB\tand text\n")
    import_corpus([path], out, Choices(format="kilt"))
    assert [(d["title"], d["text"]) for d in jsonl(out / "corpus.jsonl")] == [
        ("A", "text with\ttab"),
        ("B", "and text"),
    ]
    path = put("sample_corpus.tsv", "1\tA\tsome text\n2  B  and text\n")
    assert refused(out.parent.with_name("n") / "c", f"titled={path}").endswith(
        "are there spaces where tabs belong?"
    )


# ---- ids


def collection(put: Put, n: int = 3) -> str:
    return put("collection.tsv", "".join(f"d{i}\ttext {i}\n" for i in range(n)))


def test_ids_twice_are_named_with_both_places(put: Put, out: Path) -> None:
    one, two = put("psgs.tsv", HEAD + "1\ta\tb\n2\tc\td\n"), put("more/psgs.tsv", HEAD + "2\te\tf\n")
    assert refused(out, one, two).startswith(f"{two}:2: the document '2' occurs twice, first at {one}:3;")
    queries = put("queries.tsv", "q\ta\nq\tb\n")
    assert refused(out, collection(put), queries).startswith(f"{queries}:2: the query 'q' occurs twice")


def test_unknown_ids_are_named(put: Put, out: Path) -> None:
    queries = put("queries.dev.tsv", "q1\ta\nq2\tb\n")
    qrels = put("qrels.dev.tsv", "q1 0 d1 1\nq2 0 d7 1\n")
    assert refused(out, collection(put), queries, qrels).startswith(
        f"{qrels}:2: there is no document with the id 'd7'"
    )
    qrels = put("dev_qrel.json", '{"q1": {"d1": 1},\n "q3": {"d2": 1}}')
    assert refused(out, collection(put), queries, qrels).startswith(
        f"{qrels}:2: there is no query with the id 'q3'"
    )


@pytest.mark.parametrize("relevance", ["0.5", "NaN", "1e999", "3000000000", "9" * 5_000, "[1]"])
def test_odd_relevances_are_refused(relevance: str, put: Put, out: Path) -> None:
    """A first line whose relevance is odd is no header."""
    queries = put("queries.dev.tsv", "q1\ta\n")
    qrels = put("dev_qrel.json", f'{{"q1":\n {{"d1": {relevance}}}}}')
    told = refused(out, collection(put), queries, qrels)
    assert told.startswith((f"{qrels}:1", f"{qrels}:2: "))
    qrels = put("dev.tsv", f"q1\td1\t{relevance}\n")
    if relevance == "NaN":  # as good a name of a column as any
        import_corpus([collection(put), queries, f"judgements={qrels}"], out)
    else:
        assert "must be a whole number" in refused(out, collection(put), queries, f"judgements={qrels}")


@pytest.mark.parametrize("nested", ["9" * 5_000, "[" * 100_000])
def test_json_that_python_will_not_read(nested: str, put: Put, out: Path) -> None:
    path = put("train.jsonl", '{"docid": "d1", "query": "a"}\n{"docid": ' + nested + "}\n")
    assert refused(out, collection(put), f"query-lines={path}").startswith(f"{path}:2: this is no JSON (")
    path = put("codes.json", '{"d1": ' + nested + "}")
    assert refused(out, collection(put), path).startswith(f"{path}:1: ")


def test_a_query_in_two_splits_is_refused(put: Put, out: Path) -> None:
    queries = put("queries.tsv", "q1\ta\nq2\tb\n")
    train, test = (
        put(f"qrels/{s}.tsv", f"query-id\tcorpus-id\tscore\nq{n}\td0\t1\nq2\td1\t1\n")
        for s, n in (("train", 1), ("test", 2))
    )
    told = refused(out, collection(put), queries, train, test)
    assert told.startswith(f"{test}:2: this query is judged in test, and at {train}:3 in train too")


# ---- codes, pairs, choices


def test_codes_are_checked_and_can_choose_the_documents(put: Put, out: Path) -> None:
    codes = put("docid_to_smtid.json", '{"0": [-1, 1, 2],\n"d0": [-1, 3, 4],\n"d2": "3_4"}')
    asked = put("filtered_query_to_docid.json", '{"what is it": ["d0", "d1"], "and who": ["d1"]}')
    found = import_corpus([collection(put), codes, asked], out)
    assert jsonl(out / "codes.jsonl")[1:] == [{"_id": "d0", "codes": [3, 4]}, {"_id": "d2", "codes": [3, 4]}]
    assert found.codes == {"L_c": 2, "N_c": 5, "distinct": 2}
    assert any("1 of 3 documents with codes are not in the collection" in note for note in found.notes)
    found = import_corpus([collection(put), codes, asked], out.with_name("d"), Choices(coded_only=True))
    assert [d["_id"] for d in jsonl(out.with_name("d") / "corpus.jsonl")] == ["d0", "d2"]
    assert found.counts["judgements, train"] == 1
    out = out.parent.with_name("n") / "c"
    for text, said in (
        ('{"d0": [-1, 3, 4],\n"d1": [-1, 3]}', "has 1 codes, those before have 2"),
        ('{"d0": [-1, 3, 4],\n"d1": [3, -1]}', "has the code -1"),
        ('{"d0": [-1, 3, 4],\n"d1": [3, 4.5]}', "list of whole numbers"),
        ('{"d0": [-1, 3, 4],\n"d0": [3, 4]}', "occurs twice"),
    ):
        path = put("docid_to_smtid.json", text)
        told = refused(out, collection(put), path)
        assert told.startswith(f"{path}:2: ") and said in told
    path = put("docid_to_smtid.json", '{"x": [1, 2]}')
    assert "none of the 1 documents with codes is in the collection" in refused(out, collection(put), path)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (" q || title || +\n q || body\n", " T @@\n w\n", "train.source:2: 'QUESTION || VIEW || MARK'"),
        (" q || title || +\n q || body || +\n", " T @@\n", "train.source:2: "),
        (" q || title || +\n", " T @@\n more\n", "train.target:2: "),
        (" q || title || +\n q || body || +\n", " T @@\n\n", "train.target:2: this line is empty"),
    ],
)
def test_lines_of_minder_belong_together(source: str, target: str, said: str, put: Put, out: Path) -> None:
    files = put("train.source", source), put("train.target", target)
    assert said in refused(out, *files, collection(put))
    assert "train.target too" in refused(out, files[0], collection(put))


def test_minder_question_whose_passage_is_not_there(put: Put, out: Path) -> None:
    source = put("dev.source", "a || b || title || +\na || b || body || ?\nc || body || +\n")
    target = put("dev.target", "T <extra_id_99>\nthe words\nthe words\n")
    documents = put("sample_corpus.tsv", "1\tT\tbut  the   words are\n2\tT\tother\n3\tU\tthe words\n")
    found = import_corpus([source, target, documents], out)
    assert (out / "qrels" / "test.tsv").read_text().split("\n")[1:-1] == ["dev-0\t1\t1"]
    assert jsonl(out / "queries.jsonl")[0]["text"] == "a || b"
    assert any("1 judgements of questions whose passage was not found" in note for note in found.notes)


# ---- what cannot be told, and what is no collection


def test_what_is_refused_by_its_kind(put: Put, out: Path, tmp_path: Path) -> None:
    path = put("pid2query.pkl", pickle.dumps({"1": ["q"]}))
    assert "json.dump(pickle.load(open('pid2query.pkl', 'rb'))" in refused(out, path)
    assert "is empty" in refused(out, put("a.json", ""))
    assert "unpack it first" in refused(out, put("a.tar", b"x"))
    assert "there is no file" in refused(out, str(tmp_path / "none"))
    assert "no format is called 'DPR'" in refused(out, path, format="DPR")
    assert "'ctxs'" in refused(out, put("run.json", json.dumps([{"question": "q", "ctxs": []}])))
    assert "has no tab" in refused(out, put("a.txt", "just words\n"))
    assert "documents=raw.tsv or queries=raw.tsv" in refused(out, put("x/raw.tsv", "1\ta\n"))
    assert "is named twice" in refused(out, collection(put), collection(put))
    assert "not of the format squad" in refused(out, collection(put), format="squad")
    scores = put("qid_smtids_scores_4.train.json", '{"qid": "1", "smtids": ["1_2"], "scores": [1.0]}\n')
    assert "1 lists of scored prefixes" in import_corpus([collection(put), scores], out).notes[0]


def test_a_folder_in_use_is_kept(put: Put, out: Path) -> None:
    out.mkdir(parents=True)
    import_corpus([collection(put)], out)  # an empty one is taken
    before = sorted((path.name, path.stat().st_mtime_ns) for path in out.rglob("*"))
    with pytest.raises(BadInput, match="in use"):
        import_corpus([collection(put)], out)
    assert before == sorted((path.name, path.stat().st_mtime_ns) for path in out.rglob("*"))


def test_the_import_is_a_corpus(put: Put, out: Path) -> None:
    asked = put(
        "query_to_docid.train.json",
        "".join(json.dumps({"docid": f"d{i % 20}", "query": f"what {i}"}) + "\n" for i in range(60)),
    )
    import_corpus([collection(put, 20), asked], out)
    corpus = read_corpus("beir", out.with_name("corpus"), {"path": str(out), "validation_queries": 5})
    assert (corpus.n_documents, corpus.n_queries) == (20, 60)
    assert [len(corpus.split_queries(s)) for s in ("train", "validation", "test")] == [43, 5, 12]
