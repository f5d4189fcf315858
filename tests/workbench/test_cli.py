"""The command line from outside: what it prints, its exit status, how soon it answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from genret_core.retrieval.readers import read_corpus
from genret_core.workbench import project
from genret_core.workbench.cli.app import build

PARAMS = project.project_root() / "params"


def genret(*words: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(build(), list(map(str, words)))


def shell(words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in which `genret` is the installed command."""
    line = words.replace("genret", f"{sys.executable} -m genret_core.workbench.cli.app")
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120)


def test_help_names_every_verb() -> None:
    done = shell("genret --help")
    for verb in ("study", "run", "cells", "corpus", "fit", "report", "runs", "doctor", "index", "search"):
        assert re.search(rf"^  {verb} ", done.stdout, re.M), verb


@pytest.mark.parametrize("group", [["index"], ["runs"]])
def test_groups_without_a_verb_show_their_help(group: list[str]) -> None:
    done = genret(*group)
    assert "Usage:" in done.stdout + done.stderr


def test_every_verb_has_help() -> None:
    from typer.main import get_command

    todo = [(["genret"], get_command(build()))]
    while todo:
        words, command = todo.pop()
        assert command.help, words
        for name, inner in getattr(command, "commands", {}).items():
            todo.append(([*words, name], inner))
        for parameter in command.params:
            assert getattr(parameter, "help", "") or parameter.name in ("help",), (words, parameter.name)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study", "dmeo"], "did you mean 'demo'?"),
        (["study", "demo", "--engine", "lokal"], "did you mean 'local'?"),
        (["study", "demo", "--only", "05_model_sise"], "did you mean '05_model_size'?"),
        (["cells", "demo", "--shard", "3/2"], "i from 1 to n"),
        (["run", "05_model_sise"], "did you mean '05_model_size'?"),
        (["run", "05_model_size", "-p", "draw", "3"], "did you mean 'draws'?"),
        (["run", "05_model_size", "-p", "draws", "2.5"], "must be int, not 2.5"),
        (["runs", "show", "[no such] study"], "there is no study '[no such] study'"),
        (["corpus", "/nowhere"], "there is no study '/nowhere'"),
        (["study"], "Missing argument"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(words: list[str], said: str, tmp_path: Path) -> None:
    done = genret(*words)
    assert done.exit_code == 2
    assert said in done.stderr and "Traceback" not in done.stderr
    if "Missing" not in said:
        assert len(done.stderr.strip().splitlines()) == 1


def test_dry_run_lists_cells_and_their_cost_and_changes_nothing(tmp_path: Path) -> None:
    done = genret("study", "demo", "--dry-run", "--jobs", "2", "--out", tmp_path)
    assert done.exit_code == 0
    assert re.search(r"llama-d128 ngram s0 .*(s|min).* beams 1, 5, 10, 20, 50, 100", done.stdout)
    assert re.search(r"30 cells, 0 of them done; the rest takes about .* with 2 workers", done.stdout)
    assert not list(tmp_path.iterdir())


def test_doctor_says_ready_or_what_is_missing() -> None:
    done = genret("doctor", "--json")
    told = json.loads(done.stdout)
    found = {finding["what"]: finding for finding in told["findings"]}
    assert told["ready"] == all(f["ok"] for f in found.values() if f["needed"])
    assert done.exit_code == (0 if told["ready"] else 1)
    assert {"Python", "torch", "device", "workers", "packages", "kernel", "disk", "browser"} <= set(found)
    assert genret("doctor").stdout.strip().endswith("ready" if told["ready"] else "above")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "c"
    read_corpus("synthetic", folder, {"n_documents": 40, "test_queries": 10, "validation_queries": 5})
    return folder


def test_a_corpus_describes_itself(corpus: Path) -> None:
    assert re.search(r"^documents +40$", genret("corpus", corpus).stdout, re.M)
    assert json.loads(genret("corpus", corpus, "--json").stdout)["documents"] == 40


def test_a_collection_in_beir_layout_describes_itself(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    lines = [json.dumps({"_id": f"d{i}", "title": "", "text": f"passage number {i}"}) for i in range(6)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"_id": f"q{i}", "text": f"where is {i}"}) for i in range(6)]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines))
    head = "query-id\tcorpus-id\tscore\n"
    (tmp_path / "qrels" / "train.tsv").write_text(head + "".join(f"q{i}\td{i}\t1\n" for i in range(4)))
    (tmp_path / "qrels" / "test.tsv").write_text(head + "q4\td3\t1\nq5\td5\t1\n")
    told = json.loads(genret("corpus", tmp_path, "--json").stdout)
    assert (told["documents"], told["queries"]) == (6, 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "qrels", "queries.jsonl"]
    (tmp_path / "qrels" / "test.tsv").write_text(head + "q4\td9\t1\n")
    refused = genret("corpus", tmp_path)
    assert refused.exit_code == 2
    assert "test.tsv:2" in refused.stderr and "d9" in refused.stderr


def test_the_index_counts_and_locates_whole_words(corpus: Path, tmp_path: Path) -> None:
    from genret_core.retrieval.corpus import Corpus

    texts = [text.lower() for text in Corpus.open(corpus).document_texts()]
    assert genret("index", "build", corpus, tmp_path / "i", "--vocab-size", "300").exit_code == 0
    shortest = min(
        {word for text in texts for word in re.findall(r"\w+", text)}, key=len
    )  # inside longer ones
    phrase = " ".join(texts[7].split()[3:6])
    for wanted in (shortest, phrase):
        by_hand = sum(len(re.findall(rf"(?<!\w){re.escape(wanted)}(?!\w)", text)) for text in texts)
        counted = genret("index", "count", tmp_path / "i", wanted)
        assert int(counted.stdout) == by_hand > 0
        places = json.loads(
            genret("index", "locate", tmp_path / "i", wanted, "--limit", "999", "--json").stdout
        )
        assert len(places) == by_hand
        assert all(wanted in place["around"].replace(" .", ".") for place in places)
    again = genret("index", "build", corpus, tmp_path / "i")
    assert again.exit_code == 2 and "exists" in again.stderr


def test_as_an_installed_command(corpus: Path) -> None:
    """Sentences go to stderr without a traceback, and `genret … | head` is no error."""
    wrong = shell("genret study dmeo")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("genret: there is no study 'dmeo'") and wrong.stderr.count("\n") == 1
    cut = shell(f"genret corpus {corpus} | head -1")
    assert "Traceback" not in cut.stderr and cut.stdout


def test_a_notebook_of_no_study_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    done = genret("run", "05_model_size", "-p", "study_dir", tmp_path / "nothing")
    assert done.exit_code == 2 and "there is no study in" in done.stderr
    assert list(tmp_path.iterdir()) == []
