"""CGL against loops, hand-computed values and the published numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import cgl_of, cgl_per_query, chance, rho_of, summarise

# retrieval.md 1.4: CGL values behind the published figures, and rho as printed there (N = 256)
PUBLISHED = {
    0.003739327519766013: 0.959,
    0.00365354820880983: 0.937,
    0.003618691318817766: 0.928,
    0.0035889147738936734: 0.920,
    0.003575122915571207: 0.917,
    0.003349998694460214: 0.859,
    0.003293957555899526: 0.845,
    0.0032800482437811704: 0.841,
    0.003413291978135587: 0.875,
    0.003353927870270544: 0.860,
    0.0033509868940814346: 0.859,
    0.0033502276147056305: 0.859,
}


def random_losses(seed: int, n_queries: int = 7, n_negatives: int = 5) -> pd.DataFrame:
    """Several relevant documents for some queries, identifiers of differing lengths and numbers."""
    rng = np.random.default_rng(seed)
    rows = []
    for query in range(n_queries):
        documents = [(d, d < 1 + query % 3) for d in range(1 + query % 3 + n_negatives)]
        for document, positive in documents:
            for identifier in range(rng.integers(1, 4)):
                tokens = int(rng.integers(1, 11))
                rows.append(
                    (query * 3, document + 100, positive, identifier, rng.gamma(2.0) * tokens, tokens)
                )
    names = ["query", "document", "positive", "identifier", "nll", "tokens"]
    return pd.DataFrame(rows, columns=names).sample(frac=1, random_state=seed).reset_index(drop=True)


def looped(losses: pd.DataFrame, reduction: str, positives: str, n: int | None) -> dict[int, float]:
    """Eq. 5 and its switches, written as plain loops."""
    found = {}
    for query in sorted(set(losses["query"])):
        values: dict[bool, list[float]] = {True: [], False: []}
        mine = losses[losses["query"] == query]
        for document in sorted(set(mine["document"])):
            rows = mine[mine["document"] == document].to_dict("records")
            if reduction == "sum":
                loss = sum(r["nll"] for r in rows) / len(rows)
            elif reduction == "token_mean":
                loss = sum(r["nll"] for r in rows) / sum(r["tokens"] for r in rows)
            else:
                loss = sum(r["nll"] / r["tokens"] for r in rows) / len(rows)
            values[bool(rows[0]["positive"])].append(loss)
        good, bad = values[True], values[False]
        total = sum(bad) if n is None else n * sum(bad) / len(bad)
        if positives == "each":
            found[query] = sum(math.log(1 + g / total) for g in good) / len(good)
        else:
            found[query] = math.log(1 + (min(good) if positives == "min" else sum(good) / len(good)) / total)
    return found


@pytest.mark.parametrize("n", [1, 4, 64, 256])
@pytest.mark.parametrize("reduction", ["sum", "token_mean", "ngram_mean"])
def test_constant_losses_are_at_chance(n: int, reduction: str) -> None:
    rows = [(q, d, d == 0, i, 3.25, 7) for q in range(3) for d in range(n + 1) for i in range(2)]
    losses = pd.DataFrame(rows, columns=["query", "document", "positive", "identifier", "nll", "tokens"])
    per_query = cgl_per_query(losses, reduction=reduction)
    np.testing.assert_allclose(per_query["CGL"], math.log(1 + 1 / n), rtol=1e-14)
    summary = summarise(per_query)
    assert summary.N == n  # noqa: SIM300
    assert summary.rho == pytest.approx(1, rel=1e-12)
    assert summary.CGL_stderr == pytest.approx(0, abs=1e-16)


def test_planted_values_by_hand() -> None:
    rows = [
        (5, 1, True, 0, 2.0, 1), (5, 1, True, 1, 4.0, 4),  # sums: mean 3; per token: 6/5; mean of means 1.5
        (5, 2, True, 0, 1.0, 2),  # 1; .5; .5
        (5, 3, False, 0, 4.0, 2), (5, 4, False, 0, 6.0, 2),  # total 10; 2 + 3
    ]  # fmt: skip
    losses = pd.DataFrame(rows, columns=["query", "document", "positive", "identifier", "nll", "tokens"])
    assert cgl_per_query(losses)["CGL"].item() == pytest.approx(math.log(1.2))  # (3 + 1)/2 over 10
    assert cgl_per_query(losses)["rho"].item() == pytest.approx(0.4)
    assert cgl_per_query(losses, positives="min")["CGL"].item() == pytest.approx(math.log(1.1))
    each = cgl_per_query(losses, positives="each")["CGL"].item()
    assert each == pytest.approx((math.log(1.3) + math.log(1.1)) / 2)
    assert cgl_per_query(losses, reduction="token_mean")["CGL"].item() == pytest.approx(
        math.log(1 + 0.85 / 5)
    )
    assert cgl_per_query(losses, reduction="ngram_mean")["CGL"].item() == pytest.approx(math.log(1 + 1.0 / 5))
    assert cgl_per_query(losses, n_negatives=10)["CGL"].item() == pytest.approx(math.log(1 + 2 / 50))


@pytest.mark.parametrize("reduction", ["sum", "token_mean", "ngram_mean"])
@pytest.mark.parametrize("positives", ["mean", "min", "each"])
@pytest.mark.parametrize("n", [None, 12])
def test_agrees_with_loops(reduction: str, positives: str, n: int | None) -> None:
    losses = random_losses(3)
    expected = looped(losses, reduction, positives, n)
    found = cgl_per_query(losses, reduction=reduction, positives=positives, n_negatives=n)
    assert found["query"].tolist() == list(expected)
    np.testing.assert_allclose(found["CGL"], list(expected.values()), rtol=1e-12)


def test_order_of_rows_and_names_of_negatives_do_not_matter() -> None:
    losses = random_losses(1)
    shuffled = losses.sample(frac=1, random_state=9)
    np.testing.assert_allclose(cgl_per_query(losses)["CGL"], cgl_per_query(shuffled)["CGL"], rtol=1e-14)
    renamed = losses.copy()
    negative = ~renamed["positive"]
    renamed.loc[negative, "document"] = 1000 - renamed.loc[negative, "document"]
    np.testing.assert_allclose(cgl_per_query(losses)["CGL"], cgl_per_query(renamed)["CGL"], rtol=1e-13)


def test_published_numbers() -> None:
    assert chance(256) == pytest.approx(0.00389864, abs=5e-9)
    for value, printed in PUBLISHED.items():
        assert round(rho_of(value, 256), 3) == printed
        assert cgl_of(rho_of(value, 256), 256) == pytest.approx(value, rel=1e-12)


def test_summary_is_the_mean_over_queries_with_its_standard_error() -> None:
    per_query = cgl_per_query(random_losses(5))
    values = per_query["CGL"].tolist()
    mean = sum(values) / 7
    stderr = math.sqrt(sum((v - mean) ** 2 for v in values) / 6 / 7)
    summary = summarise(per_query)
    assert (summary.N, summary.n_queries) == (5, 7)
    assert [summary.CGL, summary.CGL_stderr] == pytest.approx([mean, stderr])
    step = 1e-6  # the slope of rho, by differences
    slope = (rho_of(mean + step, 5) - rho_of(mean - step, 5)) / (2 * step)
    assert summary.rho_stderr == pytest.approx(stderr * slope, rel=1e-6)
    assert f"{summary.CGL:.5f}" in str(summary)


def test_bad_input_is_told() -> None:
    losses = random_losses(4)
    with pytest.raises(BadInput, match="'nll'"):
        cgl_per_query(losses.drop(columns="nll"))
    with pytest.raises(BadInput, match="empty"):
        cgl_per_query(losses.iloc[:0])
    with pytest.raises(BadInput, match="one of sum, token_mean, ngram_mean"):
        cgl_per_query(losses, reduction="mean")
    with pytest.raises(BadInput, match="one of mean, min, each"):
        cgl_per_query(losses, positives="max")
    for query, positive, word in [(3, True, "relevant"), (6, False, "negative")]:
        kept = losses[(losses["query"] != query) | (losses["positive"] != positive)]
        with pytest.raises(BadInput, match=f"Query {query} has no {word}"):
            cgl_per_query(kept)
    for value in (math.nan, math.inf, -1.0):
        with pytest.raises(BadInput, match=r"Row 4 .* finite"):
            cgl_per_query(losses.assign(nll=losses["nll"].where(losses.index != 4, value)))
    with pytest.raises(BadInput, match="give n_negatives"):
        negative = losses[(losses["query"] == 0) & ~losses["positive"]]
        cgl_per_query(losses[losses["document"].ne(negative["document"].iloc[0]) | losses["query"].ne(0)])
    with pytest.raises(BadInput, match="1 or more"):
        chance(0)


def test_a_single_query_has_no_standard_error() -> None:
    losses = random_losses(6, n_queries=1)
    assert math.isnan(summarise(cgl_per_query(losses)).CGL_stderr)
