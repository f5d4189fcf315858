"""`genret corpus import` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from genret_core.workbench.cli.app import build


def genret(*words: str | Path) -> Result:
    return CliRunner().invoke(build(), list(map(str, words)))


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    path = tmp_path / "psgs_w100.tsv"
    path.write_text("id\ttext\ttitle\n" + "".join(f"{i}\tpassage number {i}\tT\n" for i in range(6)))
    return path


def test_says_what_it_takes_and_what_it_wrote(passages: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "query_to_docid.train.json"
    pairs.write_text(
        "".join(json.dumps({"docid": str(i % 6), "query": f"what {i}"}) + "\n" for i in range(18))
    )
    done = genret("corpus", "import", passages, pairs, "--out", tmp_path / "c", "--json")
    assert done.exit_code == 0
    assert "psgs_w100.tsv: passages as DPR keeps them" in done.stderr
    told = json.loads(done.stdout)
    assert told["counts"] == {"documents": 6, "queries": 18, "judgements, train": 18}
    assert json.loads((tmp_path / "c" / "import.json").read_text())["counts"] == told["counts"]
    for words in (["corpus"], ["corpus", "show"]):
        shown = json.loads(genret(*words, tmp_path / "c", "--json").stdout)
        assert (shown["documents"], shown["queries"]) == (6, 18)


def test_documents_alone_are_shown_too(passages: Path, tmp_path: Path) -> None:
    done = genret("corpus", "import", passages, "--out", tmp_path / "c")
    assert done.exit_code == 0 and "there are no judgements" in done.stdout
    assert json.loads(genret("corpus", tmp_path / "c", "--json").stdout)["documents"] == 6


def test_an_import_is_indexed_as_it_is(passages: Path, tmp_path: Path) -> None:
    """The corpus goes into the index' folder, which may be moved."""
    assert genret("corpus", "import", passages, "--out", tmp_path / "c").exit_code == 0
    built = genret("index", "build", tmp_path / "c", tmp_path / "index", "--vocab-size", "64")
    assert built.exit_code == 0, built.output
    (tmp_path / "index").rename(tmp_path / "moved")
    places = json.loads(genret("index", "locate", tmp_path / "moved", "number 4", "--json").stdout)
    assert [place["document"] for place in places] == ["4"]


def test_bad_lines_and_options_end_with_status_2(passages: Path, tmp_path: Path) -> None:
    with passages.open("a") as file:
        file.write("7\tno title\n")
    out = tmp_path / "c"
    for words, said in (
        ([passages], f"{passages}:8: id, text, title are expected"),
        ([passages, "--format", "dpq"], "no format is called 'dpq'"),
        ([passages, "--split", "dave"], "choose train, dev or test"),
        ([passages, "--positives", "0"], "give 1 or more"),
        ([passages, "--coded-only"], "name the file that holds them"),
    ):
        done = genret("corpus", "import", *words, "--out", out)
        assert done.exit_code == 2
        assert said in done.stderr and "Traceback" not in done.stderr
        assert not out.exists()


def test_a_full_disk_ends_with_status_1(
    passages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genret_core.retrieval.importing import writing

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.Writer, "_passage", full)
    done = genret("corpus", "import", passages, "--out", tmp_path / "c")
    assert done.exit_code == 1 and "No space left on device" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["psgs_w100.tsv"]
