"""A small study whose backbones come from a hub folder; started by itself it runs one of its cells."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hub_models import make_hub_model

from genret_core.modeling import CellSpec, LossEval, PretrainedBackbone, Recipe, SearchEval, StudyFolder
from genret_core.retrieval.codebook import CodebookConfig, fit_codebook
from genret_core.retrieval.ngrams import NgramConfig, sample_ngrams
from genret_core.retrieval.readers import read_corpus
from genret_core.retrieval.sample import codebook_sample, draw_queries_and_negatives, ngram_sample
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.tokenizer import hub_tokenizer, tokenize_documents

N, QUERIES = 8, 20
RECIPE = Recipe(batch_queries=8, identifiers_per_row=2, train_eos=True, warmup=0.1)


def make_study(folder: Path, kind: str) -> dict[str, str]:
    """Make corpus, hub model, index, identifiers and samples; give what `cell_of` needs."""
    at = StudyFolder(folder / "study")
    corpus = read_corpus("synthetic", at.corpus("corpus"), {"n_documents": 50, "test_queries": QUERIES})
    lines = [*corpus.document_texts(), *corpus.query_texts(corpus.split_queries("train"))]
    hub = make_hub_model(folder / kind, kind, lines)
    words = at.tokenizer("corpus", "words")
    tokenizer = hub_tokenizer(str(hub), words)
    stream = tokenize_documents(corpus, tokenizer, words)
    TokenIndex.build(
        stream.ids, stream.doc_starts, at.index("corpus", "index"),
        vocab_size=tokenizer.size, tokenizer_key=tokenizer.key, separator_id=tokenizer.eos_id,
    )  # fmt: skip
    config = NgramConfig(length=5, n_samples=3)
    sample_ngrams(corpus, stream, *corpus.training_pairs(), config, 0).save(at.ngrams("corpus", "ngrams"))
    book = fit_codebook(corpus, CodebookConfig(N_c=8, L_c=3, embedding_dim=16))
    book.save(at.codebook("corpus", "codes"))
    drawn = draw_queries_and_negatives(corpus, "seen", QUERIES, N, 1)
    sample = ngram_sample(corpus, stream, "seen", *drawn, config, seed=1, ngrams_per_positive=3)
    sample.save(at.sample("ngram-seen"))
    codebook_sample(corpus, book, tokenizer.size, "seen", *drawn).save(at.sample("codebook-seen"))
    return {"folder": str(at.path), "hub": str(hub), "kind": kind}


def cell_of(study: dict[str, str], method: str, *, recipe: Recipe = RECIPE, **change) -> CellSpec:
    """Specify a cell; `change` is of its backbone."""
    ngram = method == "ngram"
    family = change.pop("family", study["kind"].split("-")[0])
    lora = {"dropout": 0.0} if "lora" not in change else change.pop("lora")
    backbone = PretrainedBackbone(study["kind"], family, study["hub"], lora=lora, **{"lr": 0.01, **change})
    searches = (SearchEval(f"{method}-seen", 3, "seen", 10, k=20, max_new_tokens=5 if ngram else 3),)
    return CellSpec(
        study="small", folder=study["folder"], corpus="corpus", split="train", tokenizer="words",
        identifiers="ngrams" if ngram else "codes", method=method, backbone=backbone, fraction=1.0, seed=0,
        recipe=recipe, index="index", losses=(LossEval(f"{method}-seen", "seen", N),), searches=searches,
    )  # fmt: skip


def main(spec: str, told: str) -> None:
    """Run a cell and note every point of its curve."""
    from genret_core.modeling.cells import run_cell

    def note(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        with open(told, "a", encoding="utf-8") as file:
            file.write(f"{stage} {done}\n")

    run_cell(CellSpec.from_dict(json.loads(Path(spec).read_text())), note, device="cpu")


if __name__ == "__main__":
    main(*sys.argv[1:])
