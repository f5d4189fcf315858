"""Studies whose codebooks quantise given vectors or a model's: keys by content, inputs made, faults told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.retrieval.codebook import CodebookConfig
from genret_core.workbench.runs import Study
from genret_core.workbench.study.file import load
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.prepare import prepare
from genret_core.workbench.study.vectors import check_codes, vectors_key

STUDY = """
extends: test
name: toy
corpus: {{reader: synthetic, n_documents: 60, test_queries: 20}}
identifiers:
  codebook: {codebook}
evaluation: {{n_queries: 15, n_negatives: 10}}
notebooks: []
"""


def study(folder: Path, codebook: str) -> Path:
    path = folder / "toy.yaml"
    path.write_text(STUDY.format(codebook=codebook))
    return path


def test_keys_of_earlier_codebooks_stay(tmp_path: Path) -> None:
    """Keys as of studies that were made before vectors, sharing and positions could be chosen."""
    inputs = Inputs.of(load("demo"), "0dfc69c9378a2803", validation=True)
    assert inputs.codebook == "9e419d960021a328"
    assert inputs.samples["codebook/seen"] == "2daedf48ca8a3d29"
    keys = {}
    for codebook in ("{}", "{collisions: unique}", "{collisions: shared}", "{positions: own}"):
        spec = load(study(tmp_path, codebook))
        keys[codebook] = Inputs.of(spec, "c", validation=True).codebook
    assert keys["{}"] == keys["{collisions: unique}"]  # the default, said aloud
    assert len(set(keys.values())) == 3


def test_keys_follow_content_and_not_the_place(tmp_path: Path) -> None:
    def key(name: str, values: np.ndarray | None) -> str:
        if values is not None:
            np.save(tmp_path / name, values)
        return vectors_key(tmp_path / "study", CodebookConfig(embedding=str(tmp_path / name)), note=True)

    ones = np.ones((3, 2))
    first = key("a.npy", ones)
    assert key("a.npy", None) == first  # from the note
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "a.npy", ones)
    there = CodebookConfig(embedding=str(tmp_path / "other" / "a.npy"))
    assert vectors_key(tmp_path / "study", there) == first
    second = key("a.npy", 2 * ones)
    (tmp_path / "a.ids").write_text("x\ny\nz\n")
    third = key("a.npy", None)
    assert len({first, second, third}) == 3
    os.remove(tmp_path / "a.npy")
    assert key("a.npy", None) == third  # what was noted stays, though the file is gone
    with pytest.raises(BadInput, match=r"no file .*b\.npy"):
        key("b.npy", None)
    assert vectors_key(tmp_path / "nowhere", CodebookConfig()) == ""


def test_given_codes_that_change_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "codes.jsonl"
    config = CodebookConfig(codes=str(file))
    file.write_text("a")
    check_codes(tmp_path / "study", config)
    os.utime(file, (1, 1))
    check_codes(tmp_path / "study", config)  # another date, the same codes
    file.write_text("b")
    with pytest.raises(BadInput, match="have changed since"):
        check_codes(tmp_path / "study", config)
    check_codes(tmp_path / "other", config)
    os.remove(file)
    check_codes(tmp_path / "study", config)
    assert not (tmp_path / "third" / "corpus").exists()


def test_a_study_of_given_vectors_and_one_of_its_model(tmp_path: Path) -> None:
    """Inputs of a study with given vectors; a cell of it then embeds the documents for another study."""
    vectors = np.random.default_rng(0).normal(size=(60, 8))
    vectors[40:] = vectors[:20]  # twenty documents share the codes of others
    np.save(tmp_path / "v.npy", vectors)
    said: list[str] = []
    spec = load(
        study(
            tmp_path,
            f"{{N_c: 6, L_c: 3, embedding: {tmp_path / 'v.npy'}, positions: own, collisions: shared}}",
        )
    )
    folder = tmp_path / "runs" / "toy"
    inputs = prepare(folder, spec, workers=1, say=said.append)
    assert Inputs.read(folder, spec) == inputs
    made = Study(folder, spec)
    assert made.codebook.embedding.source == "given, v.npy"
    np.testing.assert_array_equal(
        made.codebook.embedding.of_documents(made.corpus, "text"), vectors.astype("f4")
    )
    sample = made.sample("codebook", "seen")
    first = made.tokenizer.size
    assert np.asarray(sample.pairs.ids).min() >= first
    assert (np.asarray(sample.pairs.ids)[:, 1] >= first + 6).all()
    os.remove(tmp_path / "v.npy")
    assert Inputs.read(folder, spec) == inputs  # the study is whole without the file
    np.save(tmp_path / "v.npy", 2 * vectors)
    assert Inputs.read(folder, spec) is None

    where = searched_as_by_scoring_all(made)
    other = load(study(tmp_path, f"{{N_c: 4, L_c: 4, embedding: backbone, model: {where}}}"))
    target = tmp_path / "runs" / "other"
    prepare(target, other, workers=1, say=said.append)
    book = Study(target, other).codebook
    assert book.embedding.source.startswith("backbone (")
    assert book.centroids.shape == (4, 4, book.embedding.dim)
    assert read_json(target / "corpus" / "vectors.json")


def searched_as_by_scoring_all(study: Study) -> Path:
    """Train a cell whose codes are shared and own to positions; search finds what scoring all codes finds."""
    from genret_core.modeling import SearchEval
    from genret_core.modeling.cell_inputs import CellInputs
    from genret_core.modeling.cells import run_cell
    from genret_core.modeling.checkpoint import load_model
    from genret_core.modeling.losses import naive_scores
    from genret_core.retrieval.codebook import code_pairs

    planned = next(cell for cell in study.plan if cell.method == "codebook")
    key = study.inputs.samples["codebook/seen"]
    asked = SearchEval(key, 250, "seen", 3, k=25, max_new_tokens=3)  # as many beams as there can be prefixes
    recipe = replace(planned.recipe, init_codes="centroids", steps="fixed", n_steps=60)
    cell = replace(planned, recipe=recipe, losses=(), searches=(asked,))
    assert cell.key != planned.key
    run_cell(cell, device="cpu")
    inputs, model = CellInputs.open(cell), load_model(cell.layout.checkpoint(cell.key))
    found = pd.read_parquet(cell.layout.evaluation(cell.key, asked.key) / "searches.parquet")
    shared = len(np.unique(study.codebook.codes, axis=0))
    assert shared < 60
    for query in inputs.sample(key).queries[:3].tolist():
        pairs = code_pairs([query] * 60, np.arange(60), inputs.codebook, study.tokenizer.size)
        nll, _ = naive_scores(model, inputs.prompts([query]), pairs, np.zeros(60, np.int64))
        order = np.lexsort((np.arange(60), nll.round(4)))[:25]  # equal codes, equal scores: by row
        own = found[found["query"] == query].sort_values("rank")
        np.testing.assert_allclose(-own["score"], nll[order], atol=1e-3)
        assert own["document"].tolist() == order.tolist()
    return cell.layout.cell(cell.key)


@pytest.mark.parametrize(
    ("codebook", "told"),
    [
        ("{embedding: dense}", "tfidf, backbone or the path of a .npy file"),
        ("{embedding: backbone}", "model .* goes with embedding: backbone"),
        ("{model: runs/x}", "only with it"),
        ("{collisions: none}", "must be unique or shared"),
        ("{positions: all}", "must be shared or own"),
        ("{N_c: 1}", "between 2 and 65536"),
        ("{N_c: 70000}", "between 2 and 65536"),
    ],
)
def test_a_study_file_is_refused_before_anything_runs(tmp_path: Path, codebook: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        load(study(tmp_path, codebook))
    assert "toy.yaml" in str(caught.value)


def test_vectors_that_are_not_there_are_told_before_the_corpus_is_read(tmp_path: Path) -> None:
    spec = load(study(tmp_path, f"{{embedding: {tmp_path / 'none.npy'}}}"))
    with pytest.raises(BadInput, match="no file"):
        prepare(tmp_path / "runs" / "toy", spec, workers=1, say=lambda line: pytest.fail(line))
