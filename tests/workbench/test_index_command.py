"""`genret index`: several files, the check of every byte, and what a build that fails leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from genret_core.retrieval.readers import read_corpus
from genret_core.workbench.cli.app import build

WORD = "li"  # frequent in the synthetic corpus


def genret(*words: str | Path) -> Result:
    return CliRunner().invoke(build(), list(map(str, words)))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    read_corpus("synthetic", folder, {"n_documents": 40, "test_queries": 10, "validation_queries": 5})
    return folder


@pytest.fixture(scope="module")
def built(corpus, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    for name, options in (("one", ()), ("several", ("--shard-tokens", "500", "--jobs", "2"))):
        done = genret("index", "build", corpus, folder / name, "--vocab-size", "300", *options)
        assert done.exit_code == 0, done.output
        assert "documents" in done.stdout
    return folder


def test_several_files_answer_as_one(built):
    assert len(list((built / "several" / "index").glob("0*"))) > 1
    for verb in ("count", "locate"):
        for words in (WORD, "nowhere to be found"):
            one = genret("index", verb, built / "one", words, "--json")
            several = genret("index", verb, built / "several", words, "--json")
            assert one.exit_code == several.exit_code == 0
            assert one.stdout == several.stdout
    cut = genret("index", "locate", built / "one", WORD, "--limit", "1")
    times = int(genret("index", "count", built / "one", WORD).stdout)
    assert f"and {times - 1:,} more places" in cut.stdout


@pytest.mark.parametrize(("name", "file"), [("one", "suffixes.npy"), ("several", "0001/tokens.npy")])
def test_every_byte_is_checked(built, name, file):
    sound = genret("index", "check", built / name, "--json")
    assert json.loads(sound.stdout)["sound"] is True
    path = built / name / "index" / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    for verb in (("check",), ("count", WORD)):
        refused = genret("index", verb[0], built / name, *verb[1:])
        assert refused.exit_code == 2
        assert f"{file} was changed" in refused.stderr
    path.write_bytes(whole)
    assert genret("index", "check", built / name).stdout.startswith("sound: ")


def test_a_tokenizer_put_in_its_place_is_refused(built, corpus, tmp_path):
    done = genret("index", "build", corpus, tmp_path / "other", "--vocab-size", "200", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["documents"], told["vocab_size"]) == (40, 200)
    assert told["tokens"] == len(np.load(tmp_path / "other" / "ids.npy"))
    file = built / "one" / "tokenizer.json"
    whole = file.read_bytes()
    names = [path.name for path in (tmp_path / "other").iterdir() if path.name.startswith("tokenizer")]
    kept = {name: (built / "one" / name).read_bytes() for name in names}
    for name in names:
        (built / "one" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    refused = genret("index", "count", built / "one", WORD)
    assert refused.exit_code == 2
    assert "tokenizer" in refused.stderr
    for name, text in kept.items():
        (built / "one" / name).write_bytes(text)
    assert file.read_bytes() == whole
    assert genret("index", "count", built / "one", WORD).exit_code == 0
