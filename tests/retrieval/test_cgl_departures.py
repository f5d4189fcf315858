"""Each departure from Eq. 5 against plain loops over the same records."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genret_core.retrieval.cgl_departures import departures
from genret_core.retrieval.cgl_records import losses_from_records

N = 4
Rows = list[dict[str, Any]]


def records(seed: int = 0, n_queries: int = 6) -> pd.DataFrame:
    """Several relevant documents, 3 to 5 identifiers of several kinds and lengths; two texts are alike."""
    rng = np.random.default_rng(seed)
    rows = []
    for query in range(n_queries):
        for document in range(1 + query % 3 + N):
            for identifier in range(rng.integers(3, 6)):
                tokens = int(rng.integers(1, 9))
                rows.append(
                    {
                        "query": query, "document": document, "positive": document < 1 + query % 3,
                        "identifier": identifier, "nll": rng.gamma(2.0) * tokens, "tokens": tokens,
                        "eos_nll": rng.gamma(1.0), "pad_nll": 0.1 * (9 - tokens), "pads": 9 - tokens,
                        "kind": "body" if identifier else ["title", "pseudo_query"][query % 2],
                        "text": f"query {query % (n_queries - 1)}",
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def looped(
    losses: pd.DataFrame,
    *,
    positives: str = "mean",
    reduction: str = "sum",
    n: int | None = None,
    kinds: tuple[str, ...] = ("body",),
    end: bool = False,
    padding: bool = False,
    batch: int | None = None,
    collapse: bool = False,
) -> list[float]:
    """Give each query's CGL by loops."""
    by_query: dict[int, dict[int, Rows]] = defaultdict(lambda: defaultdict(list))
    name: dict[str, int] = {}
    for row in losses.to_dict("records"):
        if row["kind"] in kinds:
            by_query[row["query"]][row["document"]].append(row)
        name[row["text"]] = row["query"]
    found = []
    for query, documents in by_query.items():
        if collapse and query not in name.values():
            continue
        good = [_loss(rows, reduction, end, padding) for rows in documents.values() if rows[0]["positive"]]
        others = [rows for rows in documents.values() if not rows[0]["positive"]]
        if batch:
            others = [list(chain(*others[at : at + batch])) for at in range(0, len(others), batch)]
        bad = [_loss(rows, reduction, end, padding) for rows in others]
        total = sum(bad) if n is None else n * sum(bad) / len(bad)
        if positives == "each":
            found.append(sum(math.log(1 + loss / total) for loss in good) / len(good))
        else:
            best = min(good) if positives == "min" else sum(good) / len(good)
            found.append(math.log(1 + best / total))
    return found


def _loss(rows: Rows, reduction: str, end: bool, padding: bool) -> float:
    nll = [r["nll"] + (r["eos_nll"] if end else 0) + (r["pad_nll"] if padding else 0) for r in rows]
    tokens = [r["tokens"] + (1 if end else 0) + (r["pads"] if padding else 0) for r in rows]
    if reduction == "sum":
        return sum(nll) / len(nll)
    if reduction == "token_mean":
        return sum(nll) / sum(tokens)
    return sum(a / b for a, b in zip(nll, tokens, strict=True)) / len(nll)


ALL_KINDS = ("body", "title", "pseudo_query")
BY_LOOPS: dict[str, tuple[int, dict[str, Any]]] = {
    "as defined": (N, {}),
    "best relevant": (N, {"positives": "min"}),
    "each relevant": (N, {"positives": "each"}),
    "mean over tokens": (N, {"reduction": "token_mean"}),
    "mean of means": (N, {"reduction": "ngram_mean"}),
    "end token scored": (N, {"end": True}),
    "padding counted": (N, {"reduction": "token_mean", "padding": True}),
    "256 times the mean": (256, {"n": 256}),
    "a number per 3": (N, {"batch": 3, "n": N}),
    "titles mixed in": (N, {"kinds": ALL_KINDS}),
    "same text, same query": (N, {"collapse": True}),
    "all of these": (256, {"positives": "min", "reduction": "token_mean", "n": 256, "kinds": ALL_KINDS,
                           "end": True, "padding": True, "collapse": True}),
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return departures(records(), batch=3).set_index("departure")


@pytest.mark.parametrize("name", list(BY_LOOPS))
def test_a_departure_is_what_loops_give(table: pd.DataFrame, name: str) -> None:
    n, how = BY_LOOPS[name]
    values = np.array(looped(records(), **how))
    row = table.loc[name]
    assert (row["N"], row["n_queries"], row["needs"]) == (n, len(values), "")
    assert row["CGL"] == pytest.approx(values.mean(), rel=1e-12)
    assert row["CGL_stderr"] == pytest.approx(values.std(ddof=1) / math.sqrt(len(values)), rel=1e-9)
    assert row["rho"] == pytest.approx(n * math.expm1(values.mean()), rel=1e-12)
    assert row["chance"] == pytest.approx(math.log(1 + 1 / n))
    if name != "as defined":
        assert row["rho_change"] == pytest.approx(row["rho"] - table.loc["as defined", "rho"], abs=1e-15)


def test_the_error_of_a_change_is_that_of_paired_queries(table: pd.DataFrame) -> None:
    """Against the jackknife of the change in rho, which knows no formula."""
    losses = records(n_queries=200)
    before, after = np.array(looped(losses)), np.array(looped(losses, positives="min"))
    n = len(before)
    left = [
        N * (math.expm1(np.delete(after, i).mean()) - math.expm1(np.delete(before, i).mean()))
        for i in range(n)
    ]
    jackknife = math.sqrt((n - 1) / n * ((np.array(left) - np.mean(left)) ** 2).sum())
    found = departures(losses).set_index("departure").loc["best relevant", "rho_change_stderr"]
    assert found == pytest.approx(jackknife, rel=1e-2)
    assert math.isnan(table.loc["same text, same query", "rho_change_stderr"])  # other queries: not paired


def test_what_was_not_recorded_has_no_number() -> None:
    bare = records().drop(columns=["eos_nll", "pads", "kind", "text"])
    found = departures(bare).set_index("departure")
    for name, missing in [
        ("end token scored", "column eos_nll"), ("padding counted", "column pads"),
        ("titles mixed in", "column kind"), ("same text, same query", "column text"),
        ("half-precision logits", "the model"), ("samples drawn anew", "second sample"),
    ]:  # fmt: skip
        assert missing in found.loc[name, "needs"]
        assert found.loc[name, ["CGL", "rho", "rho_change"]].isna().all()
    assert (found.loc[found["needs"] == "", "CGL"] > 0).all()


def test_published_records_hold_means_only() -> None:
    given = {f"q{i}": {"pos_loss": [3.0 + i, 2.0], "neg_loss": [4.0, 5.0]} for i in range(3)}
    found = departures(losses_from_records(given).losses, summed=False).set_index("departure")
    p = [2.5, 3.0, 3.5]
    assert found.loc["as defined", "N"] == 256
    assert found.loc["as defined", "CGL"] == pytest.approx(np.mean([math.log1p(x / (256 * 4.5)) for x in p]))
    assert found.loc["all of these", "CGL"] == pytest.approx(math.log1p(2 / (256 * 4.5)))
    for name in ("mean over tokens", "mean of means"):
        assert "sums over tokens" in found.loc[name, "needs"]


def test_negatives_of_differing_number_are_scaled() -> None:
    losses = records()
    fewer = losses[~((losses["query"] == 0) & (losses["document"] == N))]
    found = departures(fewer, n_negatives=64).set_index("departure")
    assert found.loc["as defined", "N"] == 64
    assert found.loc["as defined", "CGL"] == pytest.approx(np.mean(looped(fewer, n=64)), rel=1e-12)


def test_padding_is_not_counted_where_only_relevant_documents_have_it() -> None:
    """One identifier for each negative is never padded; four of a relevant document are."""
    losses = records()
    alone = losses[losses["positive"] | (losses["identifier"] == 1)]
    alone = alone.assign(pads=alone["pads"].where(alone["positive"], 0))
    found = departures(alone).set_index("departure")
    assert "as many identifiers" in found.loc["padding counted", "needs"]
    without = departures(alone.drop(columns=["pads", "pad_nll"])).set_index("departure")
    assert found.loc["all of these", "CGL"] == without.loc["all of these", "CGL"]
