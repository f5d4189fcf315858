"""03: what constrained beams retrieve, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.files import read_json, read_table
from genret_core.workbench import tables
from genret_core.workbench.analyses.baseline import bm25_rows, bm25_value
from genret_core.workbench.analyses.corpus import title_of
from genret_core.workbench.analyses.law_question import learning_rates
from genret_core.workbench.figures import style
from genret_core.workbench.figures.cards import Card, Found, cards
from genret_core.workbench.figures.diagram import Diagram
from genret_core.workbench.figures.search import quality_and_cost
from genret_core.workbench.study.answers import PREFIX
from genret_core.workbench.study.collect import evaluation_folder
from genret_core.workbench.study.variants import DEFAULT

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

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
    keys = ["method", "family", "backbone", "P", "fraction", "seed", "variant", "beam", "C", "C_no_head"]
    found = found[~found["metric"].str.startswith(PREFIX)]
    facts = found.drop_duplicates("run_id").set_index("run_id")[[*keys, "seconds", "n_queries"]]
    wide = facts.join(found.pivot_table(index="run_id", columns="metric", values="value")).reset_index()
    wide["first"], wide["plain"] = wide["method"] != "ngram", wide["variant"] != DEFAULT
    order = ["first", "family", "P", "fraction", "seed", "plain", "variant", "beam"]
    wide = wide.sort_values(order, ignore_index=True)
    return wide.drop(columns=["first", "plain"]).assign(ms=1000 * wide["seconds"].astype(float))


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
    if len(set(found["variant"])) > 1:
        shown["switches"] = found["variant"]
    shown["beam"] = found["beam"].astype(float)
    shown = pd.concat([shown, found[[*metrics, "C", "C_no_head", "ms"]].astype(float)], axis=1)
    words = bm25_rows(study, split)
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


def answers_table(study: Study, split: str) -> Styler:
    """List how often the first k documents hold an answer, beside recall from judgements; BM25 at the end.

    An answer may stand in many documents, so this is more than recall, and over the queries alone that have
    answers.
    """
    rows = study.results
    rows = rows[(rows["split"] == split) & rows["metric"].str.startswith(PREFIX)]
    if rows.empty:
        told = "this corpus has no answers, only relevance judgements"
        return tables.styled(pd.DataFrame([{"answer match": "–", "": told}]))
    rows = rows.assign(
        order=rows["method"].map({"ngram": 0, "codebook": 1}).fillna(2), plain=rows["variant"] != DEFAULT
    )
    keys = ["order", "method", "family", "P", "backbone", "fraction", "seed", "plain", "variant", "beam"]
    facts = rows.drop_duplicates("run_id").set_index("run_id")[keys]
    wide = facts.join(rows.pivot_table(index="run_id", columns="metric", values="value"))
    wide = wide.sort_values(keys, ignore_index=True)
    depths = sorted(set(rows["metric"]), key=lambda name: int(name.rpartition("@")[2]))
    shown = pd.DataFrame(
        {"identifiers": wide["method"].map(style.METHOD_NAMES), "backbone": wide["backbone"]}
    )
    shown.loc[wide["method"] == "bm25", "backbone"] = "–"
    for name in ("fraction", "seed"):
        if len(set(wide[name])) > 1:
            shown[name] = wide[name].astype(float)
    if len(set(wide["variant"])) > 1:
        shown["switches"] = wide["variant"].where(wide["method"] != "bm25", "–")
    shown["beam"] = wide["beam"].astype(float)
    shown = pd.concat([shown, wide[depths].rename(columns=lambda name: name.replace("answer_", ""))], axis=1)
    n = int(rows["n_queries"].max())
    caption = (
        f"Answer match: share of {n:,} queries with answers of which one stands in the first k documents"
    )
    formats = {"beam": "{:g}", "fraction": "{:g}", "seed": "{:g}"}
    formats |= {name.replace("answer_", ""): "{:.3f}" for name in depths}
    return tables.styled(shown, caption=caption, formats=formats)


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
    groups = list(points[["method", "family"]].drop_duplicates().itertuples(index=False, name=None))
    told = learning_rates(study, groups)
    words = bm25_rows(study, split).set_index("metric")
    bm25 = (
        (float(words["value"][metric]), 1000 * float(words["seconds"][metric]))
        if metric in words.index
        else None
    )
    return quality_and_cost(points, metric, bm25, subtitle=told)


def sentence(study: Study, found: pd.DataFrame, split: str) -> str:
    """Answer the question from the numbers."""
    told = []
    for method, part in found.groupby("method", sort=False):
        best = part.sort_values("RR@10").to_dict("records")[-1]
        told.append(
            f"the best search {style.WITH.get(str(method), method)} ({best['backbone']}, beam "
            f"{int(best['beam'])}{_switches(best)}) has RR@10 {best['RR@10']:.3f} for "
            f"{style.short(best['C'])} FLOPs and {best['ms']:.0f} ms per query"
        )
    whole, words = "; ".join(told), bm25_value(study, "RR@10", split)
    if words is not None:
        whole += f"; BM25 has {words:.3f}"
    return whole[0].upper() + whole[1:] + "."


def _switches(search: Mapping[Any, Any]) -> str:
    return "" if search["variant"] == DEFAULT else f", {search['variant']}"


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
    ranking = read_table(folder / "searches.parquet")
    written = _written(study, folder)
    measured = read_table(folder / "per_query.parquet", columns=["query"])["query"]
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
    who += _switches(top)
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
    """Rank the same queries with BM25."""
    found = study.bm25.rank(list(study.corpus.query_texts(queries)), k=3).to_frame().sort_values("rank")
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
            study.codebook.in_words(ids, first) if min(ids) >= first else study.tokenizer.decode(ids)
            for ids in rows["ids"]
        ]

    for query, own in read_table(path).groupby("query", sort=False):
        finals = own[own["final"]].sort_values("log_prob", ascending=False).head(3)
        heavy = own.sort_values("weight", ascending=False).head(5)
        same = set(heavy["ids"].map(tuple)) <= set(finals["ids"].map(tuple))
        told[int(str(query))] = texts(finals), [] if same else texts(heavy)
    return told
