"""Readers: made-up sources whose right answer is known, and the real ones where they lie at hand."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.readers import READERS, check_reader, read_corpus
from genret_core.retrieval.readers.docstrings import read as read_docstrings
from genret_core.retrieval.readers.prose import prose
from genret_core.retrieval.readers.python_sources import docstrings
from genret_core.retrieval.readers.queries_from_docstrings import docstring_queries
from genret_core.retrieval.readers.withholding import withhold

DATA = Path(os.environ.get("GENRET_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def texts(corpus: Corpus, split: str) -> list[str]:
    return list(corpus.query_texts(corpus.split_queries(split)))


# ---- by name


def test_unknown_names_are_met_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'docstring'; did you mean docstrings"):
        read_corpus("docstring", tmp_path / "c", {})
    with pytest.raises(BadInput, match=r"no parameter 'n_document'.*n_documents"):
        check_reader("docstrings", {"n_document": 3})
    with pytest.raises(BadInput, match="beir needs the parameter 'path'"):
        check_reader("beir", {})
    with pytest.raises(BadInput, match="packages is 'numpy'"):
        check_reader("docstrings", {"packages": "numpy"})
    with pytest.raises(BadInput, match="n_documents is 'many'"):
        check_reader("synthetic", {"n_documents": "many"})
    assert check_reader("synthetic", {"n_documents": "50"}) == {"n_documents": 50}
    assert set(READERS) >= {"docstrings", "beir", "synthetic"}


# ---- withholding


def test_withholds_one_query_of_each_document() -> None:
    queries = {f"d{i}": [f"d{i}q{j}" for j in range(i % 4)] for i in range(60)}
    split = withhold(queries, test_queries=12, validation_queries=8, unseen_documents=5, seed=1)
    assert list(split) == [query for of_document in queries.values() for query in of_document]
    by_document = [[split[query] for query in of] for of in queries.values() if of]
    unseen = [splits for splits in by_document if set(splits) == {"test"}]
    others = [splits for splits in by_document if set(splits) != {"test"}]
    assert len(unseen) == 5
    assert sum(splits.count("test") for splits in others) == 12
    assert sum(splits.count("validation") for splits in others) == 8
    assert all(len(splits) - splits.count("train") <= 1 and "train" in splits for splits in others)
    assert split != withhold(queries, test_queries=12, validation_queries=8, unseen_documents=5, seed=2)
    with pytest.raises(BadInput, match="only 30 documents have two"):
        withhold(queries, test_queries=25, validation_queries=8, seed=1)
    with pytest.raises(BadInput, match="test_queries is -1"):
        withhold(queries, test_queries=-1, validation_queries=8, seed=1)


# ---- synthetic


def test_synthetic_is_seeded(tmp_path: Path) -> None:
    parameters = {"n_documents": 80, "test_queries": 30, "validation_queries": 10, "unseen_documents": 4}
    corpus = read_corpus("synthetic", tmp_path / "a", parameters)
    assert corpus.n_documents == 80
    assert len(corpus.split_queries("seen")) == 30
    assert len(corpus.split_queries("validation")) == 10
    assert len({corpus.relevant(row)[0] for row in corpus.split_queries("unseen")}) == 4
    everything = list(corpus.query_texts())
    assert len(set(everything)) == len(everything) > 700
    for row in range(0, corpus.n_queries, 50):  # a query's words stand in its document, in order
        words = iter(corpus.document_text(corpus.relevant(row)[0]).lower().replace(".", "").split())
        assert all(word in words for word in corpus.query_text(row).split())
    assert read_corpus("synthetic", tmp_path / "b", parameters).key == corpus.key
    assert read_corpus("synthetic", tmp_path / "c", {**parameters, "seed": 1}).key != corpus.key


def test_synthetic_refuses_nonsense(tmp_path: Path) -> None:
    for parameters in ({"n_documents": 0}, {"vocabulary": 10}, {"test_queries": 1000}):
        with pytest.raises(BadInput):
            read_corpus("synthetic", tmp_path / "c", parameters)
    assert not (tmp_path / "c").exists()


# ---- docstrings: prose

NUMPYDOC = """Solve a linear matrix equation, or system of linear scalar equations.

Computes the "exact" solution, `x`, of the well-determined, i.e., full
rank, linear matrix equation `ax = b`.  See :func:`~scipy.linalg.lstsq` for others [1]_.

.. versionadded:: 1.2
   This line belongs to the directive and must go.

It is used like this::

    x = solve(a, b)  # this is code and must go

The inputs are not changed. The sum is given by

.. math:: \\alpha + \\beta

Parameters
----------
a : (..., M, M) array_like
    Coefficient matrix, in ``float``
    precision.
b, c : int
    Right-hand sides. Second sentence. A third one that is too much.
out : ndarray

Returns
-------
x : ndarray
    Must not be told.

Examples
--------
>>> solve(a, b)
"""

GOOGLE = """Fetch rows from the table.

Retrieves rows pertaining to the given keys.

Args:
    table_handle: An open table instance
        with all rights.
    *keys (str): A sequence of strings that
        names each row.

Returns:
    A dict, which must not be told.

This sentence comes after the sections.
"""

FIELDS = """Write bytes to the file and close it.

:param data: What is written
   to the file.
:type data: bytes
:returns: must not be told
"""


def test_prose_of_numpydoc() -> None:
    told = prose(NUMPYDOC)
    assert told.summary == "Solve a linear matrix equation, or system of linear scalar equations."
    assert told.sentences[1:] == [
        'Computes the "exact" solution, x, of the well-determined, i.e., full rank, linear matrix '
        "equation ax = b.",
        "See scipy.linalg.lstsq for others.",
        "The inputs are not changed.",
        "The sum is given by.",
    ]
    assert told.parameters == {
        "a": "Coefficient matrix, in float precision.",
        "b": "Right-hand sides. Second sentence.",
    }
    assert told.passage(30)[-1] == told.sentences[1]
    assert told.passage(1000)[-1] == "b: Right-hand sides. Second sentence."


def test_prose_of_other_styles() -> None:
    told = prose(GOOGLE)
    assert told.parameters == {
        "table_handle": "An open table instance with all rights.",
        "keys": "A sequence of strings that names each row.",
    }
    assert told.sentences[-1] == "This sentence comes after the sections."
    assert not any("must not be told" in sentence for sentence in told.sentences)
    told = prose(FIELDS)
    assert told.parameters == {"data": "What is written to the file."}
    assert told.sentences == ["Write bytes to the file and close it."]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ">>> a = 3\n>>> b\n4",
        "| a | b |\n| 1 | 2 |",
        "%(before_notes)s",
        "https://example.org/page",
        "====\n====",
    ],
)
def test_what_is_no_prose_gives_none(text: str) -> None:
    assert prose(text).sentences == []


# ---- docstrings: sources and queries


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that must not be imported."""
    root = tmp_path / "sources" / "madeup"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text("raise ImportError('never import me')\n")
    (root / "broken.py").write_text('"""text"""\ndef f(:\n')
    (root / "tests" / "test_a.py").write_text('def check():\n    """Never read this."""\n')
    words = [f"{a}{b}" for a in ("ba", "de", "fi", "go", "lu") for b in ("ran", "sen", "tip", "vor", "zum")]
    parts = []
    for i in range(12):
        prose_of = " ".join(words[(i * 7 + j * (i + 2)) % 25] + "aeiou"[j % 5] * (i % 3) for j in range(24))
        parts.append(
            f'def act{i}(level, other):\n    """Act number {i}.\n\n    The level is {prose_of}.\n    """\n'
        )
    (root / "acts.py").write_text("".join(parts))
    (root / "_hidden.py").write_text(
        'class Shape:\n    """A shape."""\n    def __init__(self, size): ...\n    def area(self, unit):\n'
        '        """Give the area."""\n    def _secret(self):\n        """Secret."""\n'
        'async def later():\n    """Later."""\nadd_newdoc("madeup.fast", "sqrt", """\n    Root.\n    """)\n'
        'add_newdoc("madeup.fast", "array", ("flat", """Flat."""))\nadd_newdoc("lone", """Lone.""")\n'
    )
    monkeypatch.syspath_prepend(str(root.parent))
    return root


def test_sources_are_parsed_not_imported(package: Path) -> None:
    found = {docstring.name: docstring for docstring in docstrings("madeup")}
    assert sorted(name for name in found if ".act" not in name) == [
        "madeup._hidden.Shape",
        "madeup._hidden.Shape.area",
        "madeup._hidden.later",
        "madeup._hidden.lone",
        "madeup.fast.array.flat",
        "madeup.fast.sqrt",
    ]
    area = found["madeup._hidden.Shape.area"]
    assert (area.owner, area.parameters, area.text) == ("Shape", ("unit",), "Give the area.")
    assert found["madeup._hidden.Shape"].parameters == ("size",)
    assert (found["madeup.fast.array.flat"].owner, found["madeup.fast.sqrt"].text) == ("array", "Root.")
    assert "madeup" not in sys.modules


def test_docstrings_of_a_made_up_package(package: Path, tmp_path: Path) -> None:
    parameters = {"packages": ["madeup"], "n_documents": 10, "test_queries": 5, "validation_queries": 3}
    corpus = read_corpus("docstrings", tmp_path / "c", parameters)
    assert corpus.n_documents == 10
    assert all(name.startswith("madeup.acts.act") for name in corpus.documents["id"].to_pylist())
    assert corpus.meta["versions"] == {"madeup": "unknown"}
    source = corpus.meta["sources"]
    with pytest.raises(BadInput, match="madeup give 12 passages of 25 to 120 words"):
        read_corpus("docstrings", tmp_path / "d", {**parameters, "n_documents": 13})
    assert not (tmp_path / "d").exists()
    text = (package / "acts.py").read_text()
    (package / "acts.py").write_text(text + text.replace("def act", "def copy"))  # doubles do not count
    with pytest.raises(BadInput, match="madeup give 12 passages"):
        read_corpus("docstrings", tmp_path / "d", {**parameters, "n_documents": 13})
    assert read_corpus("docstrings", tmp_path / "e", parameters).meta["sources"] != source


@pytest.mark.parametrize("name", ["no_such_package", "os", "numpy.linalg", "-"])
def test_packages_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=f"{name}' is not installed"):
        read_docstrings(tmp_path / "c", packages=[name])


def test_queries_are_of_three_kinds() -> None:
    told = prose(NUMPYDOC)
    passage = told.passage(120)
    queries = docstring_queries("solve", "", ("a", "level"), told, passage, n=20, seed=0)
    assert queries[0] == "solve solve a linear matrix equation, or system of linear scalar equations"
    assert sorted(queries[1:3]) == ["solve argument a", "solve argument b"]
    assert len(set(queries)) == len(queries)
    sentences = [sentence.lower() for sentence in passage]
    for query in queries[3:]:
        words = query.split()
        assert 4 <= len(words) <= 7
        assert any(_in_order(words, sentence) for sentence in sentences), query
    again = docstring_queries("solve", "", ("a", "level"), told, passage, n=5, seed=0)
    assert again == queries[:5]
    assert docstring_queries("solve", "", (), told, passage, n=20, seed=1) != queries
    method = docstring_queries("solve", "Solver", (), told, passage, n=2, seed=0)
    assert method[0].startswith("Solver solve ")


def _in_order(words: list[str], sentence: str) -> bool:
    place = 0
    for word in words:
        place = sentence.find(word, place) + 1
        if place == 0:
            return False
    return True


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return read_docstrings(
        tmp_path_factory.mktemp("docstrings") / "c",
        packages=["numpy"],
        n_documents=150,
        test_queries=60,
        validation_queries=20,
        unseen_documents=10,
    )


def test_docstrings_of_numpy(installed: Corpus) -> None:
    lengths = [len(text.split()) for text in installed.document_texts()]
    assert 25 <= min(lengths) <= max(lengths) <= 120
    assert 50 < sum(lengths) / len(lengths) < 85  # 67 in the recipe
    counts = {split: len(installed.split_queries(split)) for split in ("train", "validation", "test", "seen")}
    assert counts["validation"] == 20
    assert counts["seen"] == 60
    assert len({installed.relevant(row)[0] for row in installed.split_queries("unseen")}) == 10
    assert 14 < installed.n_queries / 150 < 20  # about 17 of 20
    everything = list(installed.query_texts())
    assert len(set(everything)) == len(everything)
    assert not set(texts(installed, "train")) & set(texts(installed, "test"))
    assert not any(">>>" in text or "http" in text for text in installed.document_texts())


def test_passages_of_numpy_are_unlike_each_other(installed: Corpus) -> None:
    def shingles(text: str) -> set[str]:
        words = text.lower().split()
        return {" ".join(words[i : i + 8]) for i in range(len(words) - 7)}

    sets = [shingles(text) for text in installed.document_texts()]
    for i, one in enumerate(sets):
        assert all(len(one & other) <= 0.2 * len(one) for other in sets[:i])


def test_docstrings_are_the_same_in_another_process(installed: Corpus, tmp_path: Path) -> None:
    code = (
        "import sys; from genret_core.retrieval.readers.docstrings import read;"
        "print(read(sys.argv[1], packages=['numpy'], n_documents=150, test_queries=60, validation_queries=20,"
        "unseen_documents=10).key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c")],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.stdout.strip() == installed.key


# ---- beir

Change = Callable[[Path], object]


def write_beir(root: Path, qrels: dict[str, list[tuple[str, str, object]]], *, zipped: bool = False) -> Path:
    documents = [{"_id": f"d{i}", "title": f"T{i}", "text": f"text of {i}"} for i in range(12)]
    queries = [{"_id": f"q{i}", "text": f"query {i}", "metadata": {}} for i in range(24)]
    (root / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if zipped:
            (root / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (root / f"{name}.jsonl").write_text(text)
    for split, judgements in qrels.items():
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judgements)]
        (root / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return root


TRAIN = [(f"q{i}", f"d{i % 6}", 1) for i in range(18)]
TEST = [("q18", "d0", 1), ("q19", "d1", 2), ("q19", "d2", 0), ("q20", "d11", 1)]
DEV = [("q21", "d3", 1), ("q22", "d4", 1)]


@pytest.mark.parametrize("zipped", [False, True])
def test_beir_keeps_the_splits_of_the_files(tmp_path: Path, zipped: bool) -> None:
    root = write_beir(tmp_path / "set", {"train": TRAIN, "dev": DEV, "test": TEST}, zipped=zipped)
    corpus = read_corpus("beir", tmp_path / "c", {"path": str(root)})
    assert corpus.documents.to_pylist()[11] == {"id": "d11", "title": "T11", "text": "text of 11"}
    assert texts(corpus, "train") == [f"query {i}" for i in range(18)]
    assert texts(corpus, "validation") == ["query 21", "query 22"]
    assert texts(corpus, "seen") == ["query 18", "query 19"]
    assert texts(corpus, "unseen") == ["query 20"]
    assert corpus.relevant(corpus.query_rows(["q19"])[0]).tolist() == [1]
    assert corpus.n_queries == 23  # q23 is judged nowhere
    assert corpus.meta["name"] == "set"


def test_beir_takes_validation_from_training_queries_of_seen_documents(tmp_path: Path) -> None:
    root = write_beir(tmp_path / "set", {"train": TRAIN, "test": TEST})
    corpus = read_corpus("beir", tmp_path / "c", {"path": str(root), "validation_queries": 5})
    assert len(corpus.split_queries("validation")) == 5
    assert len(corpus.split_queries("train")) == 13
    trained = set(corpus.training_pairs()[1].tolist())
    assert {int(corpus.relevant(row)[0]) for row in corpus.split_queries("validation")} <= trained
    assert "5 training queries were taken for validation" in corpus.meta["notes"]
    most = read_corpus("beir", tmp_path / "d", {"path": str(root), "validation_queries": 100})
    assert len(most.split_queries("train")) == 6  # one for each document
    assert "12 training queries were taken for validation" in most.meta["notes"]
    other = read_corpus("beir", tmp_path / "e", {"path": str(root), "validation_queries": 5, "seed": 1})
    assert texts(other, "validation") != texts(corpus, "validation")


@pytest.mark.parametrize("only", ["train", "test"])
def test_beir_divides_the_only_split(tmp_path: Path, only: str) -> None:
    root = write_beir(tmp_path / "set", {only: TRAIN})
    parameters = {"path": str(root), "validation_queries": 0, "test_fraction": 0.25}
    corpus = read_corpus("beir", tmp_path / "c", parameters)
    assert len(corpus.split_queries("test")) == round(0.25 * 18)
    assert len(corpus.split_queries("train")) == 18 - round(0.25 * 18)
    assert any(f"the only split was {only}" in note for note in corpus.meta["notes"])


def test_beir_subsets_are_nested_and_keep_their_queries(tmp_path: Path) -> None:
    root = write_beir(tmp_path / "set", {"train": TRAIN, "test": TEST})
    parts = {
        n: read_corpus(
            "beir", tmp_path / str(n), {"path": str(root), "n_documents": n, "validation_queries": 0}
        )
        for n in (3, 5, 8, 12)
    }
    ids = {n: set(part.documents["id"].to_pylist()) for n, part in parts.items()}
    assert {n: len(names) for n, names in ids.items()} == {3: 3, 5: 5, 8: 8, 12: 12}
    assert ids[3] < ids[5] < ids[8] < ids[12]
    judged = {"d0", "d1", "d2", "d3", "d4", "d5", "d11"}
    assert ids[5] < judged < ids[8]  # documents with a relevant query come first
    kept = {f"q{i}" for i in range(18) if f"d{i % 6}" in ids[3]}
    kept |= {query for query, document, score in TEST if score and document in ids[3]}
    assert set(parts[3].queries["id"].to_pylist()) == kept
    few = {"path": str(root), "n_queries": 7, "test_queries": 2, "validation_queries": 0}
    thinned = read_corpus("beir", tmp_path / "thin", few)
    assert len(thinned.split_queries("train")) == 7
    assert len(thinned.split_queries("test")) == 2


def _append(name: str, text: str) -> Change:
    def change(root: Path) -> None:
        with (root / name).open("a") as file:
            file.write(text)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_append("corpus.jsonl", '{"_id": "d12", "text": \n'), ["corpus.jsonl:13", "no JSON"]),
        (_append("corpus.jsonl", "[1]\n"), ["corpus.jsonl:13", "object"]),
        (_append("corpus.jsonl", '\n{"_id": "d12"}\n'), ["corpus.jsonl:14", "'text'", "None"]),
        (
            _append("corpus.jsonl", '{"_id": "d12", "title": "", "text": " "}\n'),
            ["corpus.jsonl:13", "no words"],
        ),
        (_append("corpus.jsonl", '{"_id": "d3", "text": "again"}\n'), ["'d3'", "corpus.jsonl:4"]),
        (_append("queries.jsonl", '{"text": "who?"}\n'), ["queries.jsonl:25", "'_id'"]),
        (_append("qrels/train.tsv", "q1\td99\t1\n"), ["train.tsv:20", "document", "'d99'"]),
        (_append("qrels/test.tsv", "q99\td1\t1\n"), ["test.tsv:6", "query", "'q99'"]),
        (_append("qrels/test.tsv", "q0\td1\t1\n"), ["test.tsv:6", "'q0'", "train"]),
        (_append("qrels/test.tsv", "q20 d1 1\n"), ["test.tsv:6", "1 field"]),
        (_append("qrels/test.tsv", "q20\td1\tyes\n"), ["test.tsv:6", "'yes'"]),
        (lambda root: (root / "queries.jsonl").unlink(), ["no queries.jsonl"]),
        (lambda root: (root / "corpus.jsonl").write_text(""), ["corpus.jsonl", "no document"]),
        (lambda root: (root / "corpus.jsonl").write_bytes(b'{"_id": "\xff"}\n'), ["corpus.jsonl", "damaged"]),
        (lambda root: [f.unlink() for f in (root / "qrels").iterdir()], ["neither qrels/train.tsv nor"]),
    ],
)
def test_beir_refuses_with_file_and_line(tmp_path: Path, change: Change, words: list[str]) -> None:
    root = write_beir(tmp_path / "set", {"train": TRAIN, "test": TEST})
    change(root)
    with pytest.raises(BadInput) as refused:
        read_corpus("beir", tmp_path / "c", {"path": str(root)})
    assert [word for word in words if word not in str(refused.value)] == []
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_beir_refuses_cut_archives_and_bad_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_beir(tmp_path / "set", {"train": TRAIN, "test": TEST}, zipped=True)
    monkeypatch.setenv("COLLECTIONS", str(tmp_path))
    assert read_corpus("beir", tmp_path / "ok", {"path": "$COLLECTIONS/set"}).n_documents == 12
    for name, value in (
        ("n_documents", 0),
        ("n_queries", -1),
        ("test_fraction", 1.0),
        ("validation_queries", -1),
    ):
        with pytest.raises(BadInput, match=name):
            read_corpus("beir", tmp_path / "c", {"path": str(root), name: value})
    whole = (root / "corpus.jsonl.gz").read_bytes()
    (root / "corpus.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(BadInput, match=r"corpus.jsonl.gz: damaged"):
        read_corpus("beir", tmp_path / "c", {"path": str(root)})
    with pytest.raises(BadInput, match="no folder"):
        read_corpus("beir", tmp_path / "c", {"path": str(tmp_path / "nowhere")})


def test_beir_lets_a_title_stand_for_a_missing_text(tmp_path: Path) -> None:
    root = write_beir(tmp_path / "set", {"train": TRAIN, "test": TEST})
    _append("corpus.jsonl", '{"_id": 12, "title": "only a title", "text": ""}\n')(root)
    corpus = read_corpus("beir", tmp_path / "c", {"path": str(root)})
    assert corpus.document_text(corpus.document_rows(["12"])[0]) == "only a title"
    assert any(note.startswith("1 documents had no text") for note in corpus.meta["notes"])


@pytest.mark.parametrize(
    ("name", "documents", "queries", "test"),
    [("squad-articles", 5406, 22302, 4394), ("tldr-pages", 6261, 26395, 4913)],
)
def test_real_collections(tmp_path: Path, name: str, documents: int, queries: int, test: int) -> None:
    """Counts from the collections' own READMEs; every test document has training queries there."""
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not here; set GENRET_DATA to the folder of collections")
    corpus = read_corpus("beir", tmp_path / "c", {"path": str(DATA / name)})
    assert (corpus.n_documents, corpus.n_queries) == (documents, queries)
    assert len(corpus.split_queries("seen")) == len(corpus.split_queries("test")) == test
    assert len(corpus.split_queries("validation")) == 100
    assert len(corpus.split_queries("train")) == queries - test - 100
    assert not set(texts(corpus, "train")) & set(texts(corpus, "test"))
