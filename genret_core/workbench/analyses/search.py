"""03: what constrained beams retrieve, at what cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.workbench import tables
from genret_core.workbench.analyses.corpus import title_of
from genret_core.workbench.analyses.law_question import learning_rates
from genret_core.workbench.figures import style
from genret_core.workbench.figures.cards import Card, Found, cards
from genret_core.workbench.figures.diagram import Diagram
from genret_core.workbench.figures.search import quality_and_cost
from genret_core.workbench.study.collect import evaluation_folder

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

MOST_DOCUMENTS = 100_000  # that BM25 is run over for a few examples
SHOWN = ("R@1", "R@5", "R@20", "R@100", "nDCG@10", "RR@10", "AP@10")


def searches(study: Study, split: str) -> pd.DataFrame:
    """Take every search of the study: a row per cell and beam, a column per metric.

    Raises
    ------
    BadInput
        If nothing was searched yet.
    """
    found = study.results
    found = found[found["beam"].notna() & (found["split"] == split) & (found["method"] != "bm25")]
    if found.empty:
        raise BadInput(f"{study.folder} holds no search of {split} queries. {study.missing()}")
    keys = ["method", "family", "backbone", "P", "fraction", "seed", "beam", "C", "C_no_head", "seconds"]
    facts = found.drop_duplicates("run_id").set_index("run_id")[[*keys, "n_queries"]]
    wide = facts.join(found.pivot_table(index="run_id", columns="metric", values="value")).reset_index()
    wide["first"] = wide["method"] != "ngram"
    wide = wide.sort_values(["first", "family", "P", "fraction", "seed", "beam"], ignore_index=True)
    return wide.drop(columns="first").assign(ms=1000 * wide["seconds"].astype(float))


def table(study: Study, found: pd.DataFrame, split: str) -> Styler:
    """List what each search found and cost, BM25 at the end."""
    metrics = [name for name in SHOWN if name in found]
    caption = "Searches; C in FLOPs per query, ms per query"
    if {"AP@10", "RR@10"} <= set(metrics) and np.allclose(found["AP@10"], found["RR@10"]):
        metrics.remove("AP@10")  # one relevant document per query
        caption += "; AP@10 is RR@10 here"
    shown = pd.DataFrame(
        {"identifiers": found["method"].map(style.METHOD_NAMES), "backbone": found["backbone"]}
    )
    for name in ("fraction", "seed"):
        if len(set(found[name])) > 1:
            shown[name] = found[name].astype(float)
    shown["beam"] = found["beam"].astype(float)
    shown = pd.concat([shown, found[[*metrics, "C", "C_no_head", "ms"]].astype(float)], axis=1)
    words = study.results[(study.results["method"] == "bm25") & (study.results["split"] == split)]
    if len(words):
        line = {
            "identifiers": "BM25",
            "backbone": "–",
            **dict(zip(words["metric"], words["value"], strict=True)),
        }
        line["ms"] = 1000 * float(words["seconds"].iloc[0])
        shown = pd.concat([shown, pd.DataFrame([line])[[c for c in shown if c in line]]], ignore_index=True)
    formats: dict[str, Any] = dict.fromkeys(metrics, "{:.3f}") | {
        "ms": "{:.1f}",
        "fraction": "{:g}",
        "seed": "{:g}",
        "beam": "{:g}",
    }
    formats |= {"C": style.short, "no head": style.short}
    return tables.styled(shown.rename(columns={"C_no_head": "no head"}), caption=caption, formats=formats)


def notes(study: Study, found: pd.DataFrame) -> str:
    """Say which searches could not fill their beams, as a list; empty when all could."""
    told = []
    for one in found.itertuples():
        note = read_json(evaluation_folder(study.folder, str(one.run_id)) / "eval.json").get("note")
        if note:
            told.append(f"- {style.METHOD_NAMES[str(one.method)]}, {one.backbone}: {note}")
    return "\n".join(told)


def figure(study: Study, found: pd.DataFrame, split: str, metric: str = "nDCG@10") -> style.Figure:
    """Draw quality and time against FLOPs."""
    rows = study.results
    errors = rows[rows["metric"] == metric].set_index("run_id")["stderr"]
    points = found.assign(
        name=found["backbone"],
        value=found[metric],
        stderr=[float(errors.get(run, np.nan)) for run in found["run_id"]],
    )
    words = rows[(rows["method"] == "bm25") & (rows["split"] == split) & (rows["metric"] == metric)]["value"]
    groups = list(points[["method", "family"]].drop_duplicates().itertuples(index=False, name=None))
    told = learning_rates(study, groups)
    return quality_and_cost(points, metric, float(words.iloc[0]) if len(words) else None, subtitle=told)


def sentence(study: Study, found: pd.DataFrame, split: str) -> str:
    """Answer the question from the numbers."""
    told = []
    for method, part in found.groupby("method", sort=False):
        best = part.sort_values("RR@10").iloc[-1]
        told.append(
            f"the best search {style.WITH.get(str(method), method)} ({best['backbone']}, beam "
            f"{int(best['beam'])}) has RR@10 {best['RR@10']:.3f} for {style.short(best['C'])} FLOPs and "
            f"{best['ms']:.0f} ms per query"
        )
    words = study.results[(study.results["method"] == "bm25") & (study.results["split"] == split)]
    rr = words.loc[words["metric"] == "RR@10", "value"]
    whole = "; ".join(told)
    if len(rr):
        whole += f"; BM25 has {float(rr.iloc[0]):.3f}"
    return whole[0].upper() + whole[1:] + "."


def examples(study: Study, found: pd.DataFrame, split: str, n: int = 3, seed: int = 0) -> Diagram:
    """Look closely at a few queries of the best search: found at once, found late, and missed.

    Parameters
    ----------
    study : Study
    found : DataFrame
        What `searches` gave.
    split : str
        Whose queries.
    n : int
        Queries; the three cases take turns.
    seed : int
        Draws them.
    """
    best = found[found["method"] == "ngram"] if (found["method"] == "ngram").any() else found
    top = {str(k): v for k, v in best.sort_values("RR@10").to_dict("records")[-1].items()}
    folder = evaluation_folder(study.folder, str(top["run_id"]))
    ranking = pd.read_parquet(folder / "searches.parquet")
    written = _written(study, folder)
    measured = pd.read_parquet(folder / "per_query.parquet", columns=["query"])["query"]
    asked = np.array(sorted(written or set(measured)), dtype=np.int64)  # those whose identifiers were kept
    chosen = _cases(study, ranking, asked, n, np.random.default_rng(seed))
    words = _bm25(study, chosen)
    shown = []
    for query in chosen:
        relevant = {int(row) for row in study.corpus.relevant(query)}
        own = ranking[ranking["query"] == query].sort_values("rank")["document"].head(3)
        wanted = "; ".join(title_of(study, row) for row in sorted(relevant)[:2])
        finals, heavy = written.get(query, ([], []))
        shown.append(
            Card(
                study.corpus.query_text(query),
                wanted,
                finals,
                heavy,
                _found(study, own, relevant),
                words.get(query, []),
            )
        )
    who = f"{top['backbone']}, {style.METHOD_NAMES.get(str(top['method']))}, beam {int(top['beam'])}"
    return cards(shown, caption=f"Some {split} queries with the best search ({who})")


def _cases(
    study: Study, ranking: pd.DataFrame, asked: np.ndarray, n: int, rng: np.random.Generator
) -> list[int]:
    """Choose queries found first, found later and not found among the first ten, in turn."""
    place = {}
    for query, own in ranking[ranking["query"].isin(asked)].groupby("query"):
        hits = own.loc[own["document"].isin(study.corpus.relevant(int(str(query)))), "rank"]
        place[int(str(query))] = int(hits.min()) if len(hits) else 10**6
    where = np.array([place.get(int(query), 10**6) for query in asked])
    cases = [
        list(rng.permutation(asked[mask])) for mask in (where == 0, (where > 0) & (where < 10), where >= 10)
    ]
    chosen: list[int] = []
    while len(chosen) < min(n, len(asked)):
        for case in cases:
            if case and len(chosen) < n:
                chosen.append(int(case.pop()))
    return chosen


def _bm25(study: Study, queries: list[int]) -> dict[int, list[Found]]:
    """Rank the same queries with BM25; nothing for a corpus that is too large to index for a few queries."""
    from genret_core.retrieval.bm25 import bm25_ranking

    if study.corpus.n_documents > MOST_DOCUMENTS:
        return {}
    found = bm25_ranking(study.corpus, np.array(queries, dtype=np.int32), k=3).to_frame().sort_values("rank")
    return {
        query: _found(
            study, found[found["query"] == i]["document"], {int(row) for row in study.corpus.relevant(query)}
        )
        for i, query in enumerate(queries)
    }


def _found(study: Study, documents: pd.Series[int], relevant: set[int]) -> list[Found]:
    """Name documents in order and say which are relevant."""
    return [Found(title_of(study, int(row)), int(row) in relevant) for row in documents]


def _written(study: Study, folder: Path) -> dict[int, tuple[list[str], list[str]]]:
    """Read what was written to its end and what weighed most, for the queries that the search kept it of."""
    path, first = folder / "written.parquet", study.tokenizer.size
    told: dict[int, tuple[list[str], list[str]]] = {}
    if not path.is_file():
        return told

    def texts(rows: pd.DataFrame) -> list[str]:
        return [
            " ".join(f"c{i - first}" for i in ids) if min(ids) >= first else study.tokenizer.decode(ids)
            for ids in rows["ids"]
        ]

    for query, own in pd.read_parquet(path).groupby("query", sort=False):
        finals = own[own["final"]].sort_values("log_prob", ascending=False).head(3)
        heavy = own.sort_values("weight", ascending=False).head(5)
        same = set(heavy["ids"].map(tuple)) <= set(finals["ids"].map(tuple))
        told[int(str(query))] = texts(finals), [] if same else texts(heavy)
    return told
