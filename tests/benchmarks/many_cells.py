"""A finished study of many cells, made without training: real inputs, cells written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from genret_core.files import write_json
from genret_core.modeling import CellSpec
from genret_core.provenance import provenance
from genret_core.workbench.study.choice import note_spec
from genret_core.workbench.study.collect import collect
from genret_core.workbench.study.file import load, save
from genret_core.workbench.study.grid import cell_name, cell_specs
from genret_core.workbench.study.prepare import prepare

STUDY = """
name: many
corpus:
  {{reader: synthetic, n_documents: 40, queries_per_document: 6, test_queries: 12, validation_queries: 4}}
tokenizer: {{vocab_size: 300}}
identifiers: {{ngram: {{length: 5, n_samples: 2}}}}
evaluation: {{n_queries: 12, n_negatives: 4, ngrams_per_positive: 2}}
recipe: {{batch_queries: 8}}
ladders:
  - family: llama
    lr: {{ngram: 0.1/d}}
    backbones: [{backbones}]
grid:
  - {{methods: [ngram], backbones: ["*"], fractions: [{fractions}], seeds: [{seeds}]}}
search:
  - {{methods: [ngram], backbones: ["*"], fractions: [{fractions}], seeds: [{seeds}], beams: [2]}}
"""


def finished_study(out: Path, backbones: int = 10, fractions: int = 10, seeds: int = 20) -> Path:
    """Write a finished study of `backbones` x `fractions` x `seeds` cells, each with a loss and a search.

    Parameters
    ----------
    out : Path
        Where study folders lie; its study file is written beside it.

    Returns
    -------
    Path
        The study's folder.
    """
    rungs = [
        f"{{name: d{8 * i}, d_model: {8 * i}, n_layers: 1, n_heads: 1, d_ff: 16}}"
        for i in range(1, backbones + 1)
    ]
    shares = [f"{i / fractions:.6g}" for i in range(1, fractions + 1)]
    text = STUDY.format(
        backbones=", ".join(rungs), fractions=", ".join(shares), seeds=", ".join(map(str, range(seeds)))
    )
    out.mkdir(parents=True, exist_ok=True)
    file = out.parent / "many.yaml"
    file.write_text(text)
    spec, folder = load(file), out / "many"
    folder.mkdir(parents=True)
    save(spec, folder / "study.yaml")
    inputs = prepare(folder, spec, workers=2, say=lambda line: None)
    values = pd.DataFrame({"query": np.arange(12, dtype="int32"), "metric": "CGL", "value": 0.01})
    values.to_parquet(folder / "values.parquet")
    per_query = (folder / "values.parquet").read_bytes()
    (folder / "values.parquet").unlink()
    origin = provenance()
    rng = np.random.default_rng(0)
    for cell in cell_specs(spec, inputs, folder):
        _write(cell, float(rng.normal(0.01, 0.001)), per_query, origin)
    collect(folder, spec, inputs)
    write_json(
        folder / "status.json",
        {"state": "done", "reason": None, "started": origin["created"], "updated": origin["created"]},
    )
    return folder


def _write(cell: CellSpec, cgl: float, per_query: bytes, origin: dict[str, object]) -> None:
    at, key = cell.layout, cell.key
    body, total = cell.backbone.parameters(300)
    row = {
        "cell": key, "study": cell.study, "corpus": cell.corpus, "method": cell.method,
        "family": cell.backbone.family, "backbone": cell.backbone.name, "P": body, "P_total": total,
        "D": int(1000 * cell.fraction), "n_queries": 100, "fraction": cell.fraction, "seed": cell.seed,
        "lr": cell.lr, "steps": 25, "tokens": 500, "train_flops": 6.0 * body * 500, "train_seconds": 1.5,
        "peak_memory": 300.0, "loss_curve": [[11 * i, 5 - 0.03 * i] for i in range(100)],
        "recipe": cell.recipe.to_dict(), "backbone_config": cell.backbone.to_dict(), "provenance": origin,
    }  # fmt: skip
    checkpoint = at.checkpoint(key)
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    write_json(checkpoint / "config.json", cell.backbone.to_dict())
    for loss in cell.losses:
        found = {"kind": "losses", "split": loss.split, "n_negatives": 4, "seconds": 0.01, "n_queries": 12}
        metrics = {"CGL": [cgl, 1e-4], "rho": [4 * float(np.expm1(cgl)), 1e-3]}
        _evaluation(at.evaluation(key, loss.key), {**found, "metrics": metrics}, per_query, "losses")
    for search in cell.searches:
        found = {"kind": "search", "split": search.split, "beam": search.beam, "C": 1e6, "C_no_head": 9e5}
        found |= {
            "seconds": 0.1,
            "n_queries": 12,
            "metrics": {"MR@5": [20 * cgl, 0.1], "R@100": [1 - cgl, 0.1]},
        }
        _evaluation(at.evaluation(key, search.key), found, per_query, "searches")
    note_spec(cell)
    write_json(at.cell_file(key), row)
    ended = {"state": "done", "name": cell_name(cell), "reason": None, "pid": None}
    write_json(at.cell_status(key), {**ended, "started": origin["created"], "ended": origin["created"]})


def _evaluation(path: Path, found: dict[str, object], per_query: bytes, table: str) -> None:
    write_json(path / "eval.json", found)
    for name in ("per_query", table):
        (path / f"{name}.parquet").write_bytes(per_query)
    table = "losses.parquet" if found["kind"] == "losses" else "searches.parquet"
    (path / table).write_bytes(per_query)
