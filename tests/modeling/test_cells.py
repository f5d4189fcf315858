"""Cells from start to end on a small synthetic corpus."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import (
    Backbone,
    CellSpec,
    LossEval,
    Recipe,
    SearchEval,
    StudyFolder,
    evaluations,
    scoring_slices,
    training,
    training_state,
)
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.cells import CellFailed, run_cell
from genret_core.modeling.checkpoint import load_model
from genret_core.modeling.evaluations import sample_losses
from genret_core.modeling.flops import query_flops
from genret_core.modeling.losses import naive_scores, score_identifiers
from genret_core.modeling.whole import cell_is_whole
from genret_core.retrieval.cgl import cgl_per_query
from genret_core.retrieval.cgl_departures import departures
from genret_core.retrieval.codebook import CodebookConfig, fit_codebook
from genret_core.retrieval.ngrams import NgramConfig, sample_ngrams
from genret_core.retrieval.readers import read_corpus
from genret_core.retrieval.sample import codebook_sample, draw_queries_and_negatives, ngram_sample
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.tokenizer import tokenize_documents, train_tokenizer

N, QUERIES = 12, 30
LLAMA = Backbone("llama-d16", "llama", 16, 1, 1, 32, lr=0.02)
T5 = Backbone("t5-d16", "t5", 16, 1, 1, 32, n_buckets=8, lr=0.01)
SHORT = Recipe(steps="fixed", n_steps=30)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[str, dict[str, str]]:
    """A study folder with its inputs, and their keys."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    at = StudyFolder(folder)
    corpus = read_corpus("synthetic", at.corpus("corpus"), {"n_documents": 60, "test_queries": QUERIES})
    tokenizer = train_tokenizer(corpus, at.tokenizer("corpus", "words"), vocab_size=300)
    stream = tokenize_documents(corpus, tokenizer, at.tokenizer("corpus", "words"))
    TokenIndex.build(
        stream.ids, stream.doc_starts, at.index("corpus", "index"),
        vocab_size=tokenizer.size, tokenizer_key=tokenizer.key, separator_id=tokenizer.eos_id,
    )  # fmt: skip
    config = NgramConfig(length=6, n_samples=4)
    sample_ngrams(corpus, stream, *corpus.training_pairs(), config, 0).save(at.ngrams("corpus", "ngrams"))
    book = fit_codebook(corpus, CodebookConfig(N_c=8, L_c=3, embedding_dim=16))
    book.save(at.codebook("corpus", "codes"))
    for split, n in (("seen", QUERIES), ("validation", 10)):
        drawn = draw_queries_and_negatives(corpus, split, n, N, 1)
        sample = ngram_sample(corpus, stream, split, *drawn, config, seed=1, ngrams_per_positive=4)
        sample.save(at.sample(f"ngram-{split}"))
        codebook_sample(corpus, book, tokenizer.size, split, *drawn).save(at.sample(f"codebook-{split}"))
    return str(folder), {"ngram": "ngrams", "codebook": "codes"}


def cell(study, method="ngram", backbone=LLAMA, **change) -> CellSpec:
    folder, identifiers = study
    sample = f"{method}-seen"
    asked = {
        "losses": (LossEval(sample, "seen", N),),
        "searches": (SearchEval(sample, 4, "seen", 20, k=50, max_new_tokens=6 if method == "ngram" else 3),),
        "fraction": 1.0, "seed": 0, "recipe": SHORT, "index": "index",
    }  # fmt: skip
    return CellSpec(
        study="small", folder=folder, corpus="corpus", split="train", tokenizer="words",
        identifiers=identifiers[method], method=method, backbone=backbone, **{**asked, **change},
    )  # fmt: skip


def folder_of(spec, evaluation):
    return spec.layout.evaluation(spec.key, evaluation.key)


@pytest.mark.parametrize(("method", "backbone"), [("ngram", LLAMA), ("codebook", T5), ("ngram", T5)])
def test_from_start_to_end(study, method, backbone):
    spec = cell(study, method, backbone)
    told = []
    row = run_cell(spec, lambda stage, done=0, total=0, loss=None: told.append(stage))
    assert row == read_json(spec.layout.cell_file(spec.key))
    inputs = CellInputs.open(spec)
    assert row["P"], row["P_total"] == backbone.parameters(inputs.vocab_size)
    queries, _ = inputs.corpus.training_pairs()
    assert row["n_queries"] == len(np.unique(queries))
    assert row["D"] == len(queries) * (4 if method == "ngram" else 1)
    assert (row["steps"], row["lr"], row["loss_curve"][-1][0]) == (30, backbone.lr, 30)
    assert row["train_flops"] > 0
    assert row["peak_memory"] > 50
    assert row["provenance"]["versions"]["torch"]
    assert told[0] == "train"
    assert told[-2:] == ["losses seen", "beam 4"]

    model, sample = load_model(spec.layout.checkpoint(spec.key)), inputs.sample(f"{method}-seen")
    nll, _ = naive_scores(model, inputs.prompts(sample.queries), sample.pairs, sample.owner)
    losses = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    assert np.abs(losses["nll"] - nll).max() < 1e-4
    assert losses["query"].tolist() == sample.queries[sample.owner].tolist()

    report = read_json(folder_of(spec, spec.losses[0]) / "eval.json")
    expected = cgl_per_query(sample.losses(*naive_scores_of(model, inputs, sample)))["CGL"]
    assert report["metrics"]["CGL"][0] == pytest.approx(expected.mean(), abs=1e-6)
    assert report["metrics"]["CGL"][1] == pytest.approx(expected.sem(), rel=1e-3)
    assert (report["n_negatives"], report["n_queries"], report["beam"]) == (N, QUERIES, None)


def naive_scores_of(model, inputs, sample):
    return naive_scores(model, inputs.prompts(sample.queries), sample.pairs, sample.owner)


@pytest.mark.parametrize("method", ["ngram", "codebook"])
def test_searches(study, method):
    spec = cell(study, method)
    run_cell(spec)
    search = spec.searches[0]
    report = read_json(folder_of(spec, search) / "eval.json")
    found = pd.read_parquet(folder_of(spec, search) / "searches.parquet")
    per_query = pd.read_parquet(folder_of(spec, search) / "per_query.parquet")
    inputs = CellInputs.open(spec)
    queries = inputs.sample(search.sample).queries[:20]
    assert list(found.columns) == ["query", "rank", "document", "score"]
    assert set(found["query"]) <= set(queries.tolist())
    hit = [
        bool(set(found.loc[(found["query"] == q) & (found["rank"] < 5), "document"]) & set(relevant))
        for q, relevant in ((q, inputs.corpus.relevant(int(q)).tolist()) for q in queries)
    ]
    assert report["metrics"]["MR@5"][0] == pytest.approx(1 - np.mean(hit))
    written = pd.read_parquet(folder_of(spec, search) / "written.parquet")
    assert set(written["query"]) <= set(queries.tolist())
    assert written.groupby("query").size().max() <= 10
    assert written.groupby("query")["final"].sum().min() >= 1
    for _, own in written.groupby("query"):
        assert own["weight"].is_monotonic_decreasing
    low, high = inputs.index().find(list(written["ids"]))
    assert written["count"].tolist() == (high - low).tolist()
    values = per_query[per_query["metric"] == "MR@5"]
    assert values["query"].tolist() == queries.tolist()
    assert (1 - values["value"]).tolist() == [float(h) for h in hit]
    lengths = inputs.prompts(queries).lengths
    tokens = 6 if method == "ngram" else 3
    flops = query_flops(LLAMA, inputs.vocab_size, lengths, beam=4, n_tokens=tokens)
    assert (report["C"], report["C_no_head"]) == flops
    assert report["seconds"] > 0


def test_what_is_there_is_not_made_again(study, monkeypatch):
    spec = cell(study, seed=3)
    first = run_cell(spec)

    def no_training(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "train", no_training)
    assert run_cell(spec) == first
    more = replace(spec, searches=(SearchEval("ngram-seen", 2, "seen", 5, max_new_tokens=6),))
    before = folder_of(spec, spec.losses[0]).stat().st_mtime_ns
    assert run_cell(more) == first
    assert folder_of(spec, more.searches[0]).is_dir()
    assert folder_of(spec, spec.losses[0]).stat().st_mtime_ns == before


def test_a_checkpoint_without_its_cell_file_is_made_anew(study):
    """As after a crash between the two: the weights may be of another time."""
    spec = cell(study, seed=4, searches=())
    first = run_cell(spec)
    at = spec.layout
    at.cell_file(spec.key).unlink()
    (at.checkpoint(spec.key) / "model.safetensors").write_bytes(b"half")
    again = run_cell(spec)
    assert again["loss_curve"] == first["loss_curve"]
    load_model(at.checkpoint(spec.key))


def test_what_was_cut_off_is_made_again_and_nothing_else(study):
    spec = cell(study, seed=11)
    first, at = run_cell(spec), spec.layout
    assert cell_is_whole(spec)
    tables = [
        folder_of(spec, spec.losses[0]) / "losses.parquet",
        folder_of(spec, spec.searches[0]) / "eval.json",
    ]
    weights = at.checkpoint(spec.key) / "model.safetensors"
    for path in (*tables, weights):
        whole, trained = path.read_bytes(), weights.stat().st_mtime_ns
        path.write_bytes(whole[: len(whole) // 2])
        assert not cell_is_whole(spec), path
        run_cell(spec)
        assert cell_is_whole(spec)
        if path.suffix != ".json":  # which also tells seconds
            assert path.read_bytes() == whole
        assert (weights.stat().st_mtime_ns == trained) == (path != weights)
    tables[0].unlink()
    assert not cell_is_whole(spec)
    shutil.rmtree(weights.parent)  # to save room: what was asked is there
    assert run_cell(replace(spec, losses=()))["loss_curve"] == first["loss_curve"]
    assert not weights.exists() and cell_is_whole(replace(spec, losses=()))
    assert run_cell(spec)["loss_curve"] == first["loss_curve"]  # trained again, as the losses need it
    assert cell_is_whole(spec)


def test_fractions_keep_all_identifiers_of_a_query_and_are_nested(study):
    owners = []
    for fraction in (0.25, 0.5, 1.0):
        inputs = CellInputs.open(cell(study, fraction=fraction))
        _, pairs, owner = inputs.training_pairs()
        assert (np.bincount(owner) % 4 == 0).all()
        owners.append(set(pairs.query.tolist()))
    assert owners[0] < owners[1] < owners[2]
    assert len(owners[0]) == round(0.25 * len(owners[2]))
    coded = CellInputs.open(cell(study, "codebook", fraction=0.25)).training_pairs()[1]
    assert set(coded.query.tolist()) == owners[0]  # methods see the same queries


def test_fewer_negatives_are_the_first(study):
    spec = cell(study, searches=())
    run_cell(spec)
    inputs = CellInputs.open(spec)
    model, sample = load_model(spec.layout.checkpoint(spec.key)), inputs.sample("ngram-seen")
    few = sample_losses(model, inputs, sample, 5)
    every = sample_losses(model, inputs, sample)
    negatives = few[~few["positive"]].groupby("query")["document"].apply(set)
    for query, row in zip(sample.queries.tolist(), sample.negatives[:, :5].tolist(), strict=True):
        assert negatives[query] == set(row)
    both = few.merge(every, on=["query", "document", "positive", "identifier"])
    assert len(both) == len(few)
    assert np.allclose(both["nll_x"], both["nll_y"], atol=1e-4)
    with pytest.raises(BadInput, match="n_negatives"):
        sample_losses(model, inputs, sample, N + 1)


def test_learning_rate_sweep_keeps_the_best(study):
    spec = cell(study, recipe=replace(SHORT, lr_sweep=3), sweep_sample="ngram-validation", searches=())
    row = run_cell(spec)
    tried = row["lr_sweep"]
    assert [t["lr"] for t in tried] == [0.01, 0.02, 0.04]
    best = min(tried, key=lambda t: t["CGL"])
    assert row["lr"] == best["lr"]
    inputs = CellInputs.open(spec)
    model = load_model(spec.layout.checkpoint(spec.key))
    losses = sample_losses(model, inputs, inputs.sample("ngram-validation"))
    assert cgl_per_query(losses)["CGL"].mean() == pytest.approx(best["CGL"], rel=1e-9)


@pytest.mark.parametrize("sweep", [1, 3])
def test_a_cell_that_is_cut_goes_on_and_ends_alike(study, sweep, monkeypatch):
    """Of a sweep: cut in its second training; the first is not repeated, and nothing is left lying."""
    recipe = replace(SHORT, lr_sweep=sweep, lr=0.013)
    spec = cell(study, recipe=recipe, sweep_sample="ngram-validation", searches=())
    whole, folder = run_cell(spec), spec.layout.cell(spec.key)
    weights = spec.layout.checkpoint(spec.key) / "model.safetensors"
    expected = weights.read_bytes()
    losses = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    shutil.rmtree(folder)
    written, told = training_state.StateKeeper.write, []

    def stopping(self, done, *given):
        written(self, done, *given)
        if done.step == 17 and len(list(folder.glob("training-*"))) == (1 if sweep == 1 else 3):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training_state, "EVERY", 0.0)
        patched.setattr(training_state, "SHARE", 1e9)
        patched.setattr(training_state.StateKeeper, "write", stopping)
        run_cell(spec)
    assert not spec.layout.cell_file(spec.key).exists()
    again = run_cell(spec, lambda stage, done=0, *_, **__: told.append((stage, done)))
    assert told[0] == ("train" if sweep == 1 else "train 2/3", 18)
    same = ("loss_curve", "lr", "steps", "tokens", "train_flops")
    assert [again[name] for name in same] == [whole[name] for name in same]
    assert [t["CGL"] for t in again["lr_sweep"]] == [t["CGL"] for t in whole["lr_sweep"]]
    assert weights.read_bytes() == expected
    found = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    assert found.equals(losses)
    assert {path.name for path in folder.iterdir()} == {"cell.json", "checkpoint", "evals"}


def test_divergence_is_told_in_a_sentence(study):
    spec = cell(study, recipe=replace(SHORT, lr=1e30, n_steps=60))
    with pytest.raises(CellFailed, match=r"llama-d16 \(ngram, seed 0\): The loss became .* rate 1e\+30"):
        run_cell(spec)
    assert not spec.layout.cell_file(spec.key).exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"searches": (SearchEval("ngram-seen", 2, "seen", QUERIES + 1),)}, "n_queries"),
        ({"searches": (SearchEval("ngram-seen", 2, "seen", 5, scoring={"beta": 1}),)}, "beta"),
        ({"losses": (LossEval("elsewhere", "seen", N),)}, "evaluation sample"),
    ],
)
def test_refuses_what_the_inputs_do_not_hold(study, change, word):
    with pytest.raises(BadInput, match=word):
        run_cell(cell(study, **change))


def test_a_beam_wider_than_the_corpus_is_said_and_does_not_fail(study):
    spec = cell(study, "codebook")
    wide = replace(spec, searches=(replace(spec.searches[0], beam=5000),))
    run_cell(wide)
    told = read_json(folder_of(wide, wide.searches[0]) / "eval.json")["note"]
    assert "could not fill 5000 beams for" in told
    run_cell(spec)
    assert read_json(folder_of(spec, spec.searches[0]) / "eval.json")["note"] is None


def test_a_large_sample_resumes_after_a_stop(study, tmp_path, monkeypatch):
    """Stopped at its third slice and started again: the same losses to the bit, and nothing left lying."""
    spec = cell(study, searches=())
    run_cell(spec)
    model, inputs = load_model(spec.layout.checkpoint(spec.key)), CellInputs.open(spec)
    monkeypatch.setattr(scoring_slices, "ROWS", 100)
    whole, cut = tmp_path / "whole" / "evals" / "a", tmp_path / "cut" / "evals" / "a"
    evaluations.evaluate_losses(model, inputs, spec.losses[0], whole)
    scored = []

    def stopping(*given, **options):
        scored.append(1)
        if len(scored) == 3:
            raise KeyboardInterrupt
        return score_identifiers(*given, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(scoring_slices, "score_identifiers", stopping)
        evaluations.evaluate_losses(model, inputs, spec.losses[0], cut)
    assert len(list((tmp_path / "cut" / "scoring").rglob("slice-*.npy"))) == 2
    evaluations.evaluate_losses(model, inputs, spec.losses[0], cut)
    assert (cut / "losses.parquet").read_bytes() == (whole / "losses.parquet").read_bytes()
    assert not (tmp_path / "cut" / "scoring" / "a").exists()
    small = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    assert np.abs(pd.read_parquet(cut / "losses.parquet")["nll"] - small["nll"]).max() < 1e-4


def test_half_precision_leaves_the_model_as_it_was_and_cgl_nearly_so(study):
    spec = cell(study, searches=())
    run_cell(spec)
    full = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    half = replace(spec.losses[0], precision="bf16")
    full_again = replace(spec.losses[0], n_negatives=N - 1)  # scored after, with the same model
    run_cell(spec.with_evaluations((half, full_again), ()))
    found = pd.read_parquet(folder_of(spec, half) / "losses.parquet")
    gap = np.abs(found["nll"] / full["nll"] - 1)
    assert 1e-6 < gap.mean() < 3e-3  # bfloat16 keeps 8 bits
    assert abs(cgl_per_query(found)["CGL"].mean() / cgl_per_query(full)["CGL"].mean() - 1) < 2e-3
    after = pd.read_parquet(folder_of(spec, full_again) / "losses.parquet")
    both = after.merge(full, on=["query", "document", "positive", "identifier"])
    assert len(both) == len(after) and np.allclose(both["nll_x"], both["nll_y"], atol=1e-4)


@pytest.mark.parametrize("method", ["ngram", "codebook"])
def test_end_and_padding_are_recorded_beside_the_losses(study, method):
    spec = cell(study, method, searches=())
    run_cell(spec)
    plain = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    wanted = replace(spec.losses[0], end_and_padding=True)
    more = spec.with_evaluations((wanted,), ())
    assert more.key == spec.key
    run_cell(more)
    found = pd.read_parquet(folder_of(more, wanted) / "losses.parquet")
    assert found[plain.columns].equals(plain)
    assert (found["eos_nll"] > 0).all() and (found["pads"] >= 0).all()
    table = departures(found).set_index("departure")
    assert "column" not in table.loc["padding counted", "needs"]
    assert table.loc["end token scored", "rho_change"] != 0
