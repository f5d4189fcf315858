"""A study folder whose truth is known: laws planted in per-query values, no model behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from genret_core.workbench.runs import Study
from genret_core.workbench.study.file import StudySpec

N = 64
Q = 400
LADDERS = {
    "llama": {
        "llama-d16": 6736,
        "llama-d32": 23712,
        "llama-d48": 55536,
        "llama-d64": 100672,
        "llama-d128": 389760,
    },
    "t5": {"t5-d16": 12512, "t5-d32": 49600, "t5-d64": 197440, "t5-d128": 788096},
}
PAIRS = {"ngram": 83760, "codebook": 8376}
METRICS = ("R@100", "nDCG@10", "RR@10", "AP@10")


class PlantedStudy(Study):
    """A real `Study` over a planted folder; only the corpus is a stand-in."""

    n_documents = 5000

    @property
    def corpus(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(n_documents=self.n_documents)


def spec() -> StudySpec:
    """A study file with both ladders."""
    ladders = [
        {
            "family": family,
            "lr": {"ngram": "0.32/d", "codebook": "0.01*(16/d)^0.5"},
            "backbones": [
                {"name": name, "d_model": int(name.split("-d")[1]), "n_layers": 2, "n_heads": 1, "d_ff": 32}
                for name in ladder
            ],
        }
        for family, ladder in LADDERS.items()
    ]
    return StudySpec(
        name="planted",
        corpus={"reader": "synthetic"},
        ladders=ladders,
        grid=[{"methods": ["ngram", "codebook"]}],
    )


def truth(method: str, family: str, P: float, fraction: float) -> float:
    """CGL planted: falls with size and data; LLaMA below T5, n-grams below codes."""
    slope = {"llama": 1.15e-3, "t5": 0.75e-3}[family] * (1.0 if method == "ngram" else 0.8)
    start = {"llama": 0.0143, "t5": 0.01385}[family] + (0.0007 if method == "codebook" else 0.0)
    return start - slope * np.log(P / 6736) - (9e-4 if method == "ngram" else 6e-4) * np.log(fraction)


def eq8(method: str, family: str, P: float, fraction: float) -> float:
    """CGL planted by Eq. 8, for the joint law."""
    D = PAIRS[method] * fraction
    return float(((2e3 / P) ** (0.5 / 0.8) + 4e3 / D) ** 0.8 * 0.012 + 0.006)


def make(
    folder: Path,
    *,
    world: Callable[[str, str, float, float], float] = truth,
    beams: tuple[int, ...] = (1, 5, 10, 20, 50, 100),
) -> PlantedStudy:
    """Write `cells.parquet`, `results.parquet` and per-query values of a whole study, and open it."""
    writer = _Writer(folder, world)
    for family, ladder in LADDERS.items():
        for name, P in ladder.items():
            for method in ("ngram", "codebook"):
                writer.cell(method, family, name, P, 1.0)
    for fraction in (0.2, 0.4, 0.6, 0.8):
        for method in ("ngram", "codebook"):
            writer.cell(method, "llama", "llama-d64", LADDERS["llama"]["llama-d64"], fraction)
    for name in ("llama-d16", "llama-d32"):
        for fraction in (0.4, 0.7):
            writer.cell("ngram", "llama", name, LADDERS["llama"][name], fraction)
    for family, name in (("llama", "llama-d128"), ("t5", "t5-d32")):
        writer.search(family, name, beams)
    writer.finish()
    return PlantedStudy(folder, spec())


class _Writer:
    def __init__(self, folder: Path, world: Callable[[str, str, float, float], float]) -> None:
        self.folder, self.world = folder, world
        self.rng = np.random.default_rng(0)
        self.hard = self.rng.normal(0, 1, Q)  # how hard each query is, for every cell alike
        self.cells: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []

    def cell(self, method: str, family: str, name: str, P: int, fraction: float) -> None:
        key = f"{len(self.cells) + 1:016x}"
        D = int(PAIRS[method] * fraction)
        own = {
            "cell": key,
            "method": method,
            "family": family,
            "backbone": name,
            "P": float(P),
            "D": float(D),
        }
        own |= {"fraction": fraction, "seed": 0}
        trained = {
            "P_total": P * 2,
            "n_queries": int(8376 * fraction),
            "lr": 0.01,
            "steps": 100,
            "tokens": 1000,
        }
        self.cells.append({**own, **trained, "study": "planted", "train_flops": 1e9, "train_seconds": 5.0})
        mean = self.world(method, family, P, fraction)
        cgl = mean * np.exp(0.2 * self.hard + self.rng.normal(0, 0.1, Q))
        cgl *= mean / cgl.mean()
        self._evaluation(own, "losses", {"CGL": cgl}, n_negatives=N)
        losses = pd.DataFrame(
            {
                "query": np.repeat(np.arange(Q), 1 + N),
                "document": np.tile(np.arange(1 + N), Q),
                "positive": np.tile(np.arange(1 + N) == 0, Q),
                "identifier": 0,
                "nll": np.where(
                    np.tile(np.arange(1 + N) == 0, Q), np.repeat(N * np.expm1(cgl) * 50, 1 + N), 50.0
                ),
                "tokens": 10,
            }
        )
        losses.to_parquet(self.folder / "cells" / key / "evals" / "losses" / "losses.parquet")
        if method == "ngram":
            found = {
                m: np.clip(1.6 - 70 * mean - 0.1 * self.hard + self.rng.normal(0, 0.1, Q), 0, 1)
                for m in METRICS
            }
            self._evaluation(own, "beam10", found, beam=10, C=1e8)

    def search(self, family: str, name: str, beams: tuple[int, ...]) -> None:
        """Miss rates with LLaMA's floors below T5's, at several beams."""
        cell = next(
            c for c in self.cells if c["backbone"] == name and c["method"] == "ngram" and c["fraction"] == 1.0
        )
        own = {k: cell[k] for k in ("cell", "method", "family", "backbone", "P", "D", "fraction", "seed")}
        luck = self.rng.normal(0, 0.15, Q)
        for beam in beams:
            C = (20e6 if family == "llama" else 1.9e6) * (0.5 + 0.5 * beam)
            found = {}
            for k, floor in ((5, 0.13), (20, 0.04), (100, 0.005)):
                scale, level = (1.9e7, floor) if family == "llama" else (1.5e6, floor + 0.2)
                rate = (scale / C) ** 1.2 * 0.4 + level
                order = np.argsort(-(self.hard + luck + self.rng.normal(0, 0.05, Q)))
                miss = np.zeros(Q)
                miss[order[: round(rate * Q)]] = 1.0
                found[f"MR@{k}"] = miss
            self._evaluation(own, f"beam{beam}", found, beam=beam, C=C)

    def _evaluation(self, own: dict[str, Any], name: str, found: dict[str, np.ndarray], **more: Any) -> None:
        folder = self.folder / "cells" / own["cell"] / "evals" / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "per_query.parquet"
        parts = [pd.read_parquet(path)] if path.is_file() else []
        parts += [pd.DataFrame({"query": np.arange(Q), "metric": m, "value": v}) for m, v in found.items()]
        pd.concat(parts).to_parquet(path)
        if "beam" in more:
            ranking = pd.DataFrame(
                {"query": np.repeat(np.arange(Q), 100), "document": 0, "score": 0.0, "rank": 0}
            )
            ranking.to_parquet(folder / "searches.parquet")
        for metric, values in found.items():
            row = {**own, "split": "seen", "n_negatives": None, "variant": "default", "beam": None, "C": None}
            row |= {"C_no_head": None, "seconds": 4.0, "metric": metric, "value": values.mean()}
            row |= {
                "stderr": values.std(ddof=1) / np.sqrt(Q),
                "n_queries": Q,
                "run_id": f"{own['cell']}/{name}",
            }
            self.results.append({**row, **more})

    def finish(self) -> None:
        results = pd.DataFrame(self.results)
        for column in ("n_negatives", "beam", "seed", "n_queries"):
            results[column] = results[column].astype("Int64")
        for column in ("C", "C_no_head"):
            results[column] = results[column].astype(float)
        results.to_parquet(self.folder / "results.parquet")
        pd.DataFrame(self.cells).to_parquet(self.folder / "cells.parquet")
