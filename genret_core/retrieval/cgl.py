"""The contrastive generation loss (CGL, Eq. 5) and its variants, from recorded losses alone.

A losses table has a row per query, document and identifier: `query`, `document`, `positive` (bool),
`identifier`, `nll` (negative log-likelihood in nats, summed over the identifier's tokens; the end token is
not scored) and `tokens` (how many were summed). No model is needed to compute any of the variants from it:
`cgl_records` reads such tables from files of other layouts, and `cgl_departures` shows what each way in
which the published code departs from Eq. 5 does to the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput

COLUMNS = ("query", "document", "positive", "nll", "tokens")
REDUCTIONS = ("sum", "token_mean", "ngram_mean")
POSITIVES = ("mean", "min", "each")


def chance(n_negatives: int) -> float:
    """Give the CGL of a model to which all documents are alike: ln(1 + 1/N).

    Parameters
    ----------
    n_negatives : int
        N, the number of negative documents of a query.
    """
    return math.log1p(1 / _positive_count(n_negatives))


def rho_of(cgl: float, n_negatives: int) -> float:
    """Give rho = N (e^CGL - 1): the relevant document's loss over a mean negative's; chance is 1."""
    return _positive_count(n_negatives) * math.expm1(cgl)


def cgl_of(rho: float, n_negatives: int) -> float:
    """Give the CGL that belongs to rho: ln(1 + rho/N), the inverse of `rho_of`."""
    return math.log1p(rho / _positive_count(n_negatives))


@dataclass(frozen=True)
class CglSummary:
    """The mean CGL over queries.

    Attributes
    ----------
    CGL, CGL_stderr : float
        Mean over queries (nats) and its standard error.
    rho, rho_stderr : float
        N (e^CGL - 1) of the mean CGL, with the standard error carried over to first order (N e^CGL times
        that of CGL).
    N : int
        Number of negatives; chance is `chance(N)` for CGL and 1 for rho.
    n_queries : int
        Queries averaged. With a single one the standard errors are nan.
    """

    CGL: float
    CGL_stderr: float
    rho: float
    rho_stderr: float
    N: int
    n_queries: int

    @property
    def chance(self) -> float:
        """CGL at chance for this N."""
        return chance(self.N)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields and chance as plain values."""
        return {**asdict(self), "chance": self.chance}

    def __str__(self) -> str:
        return (
            f"CGL {self.CGL:.5f} ± {self.CGL_stderr:.5f} (chance {self.chance:.5f}), "
            f"rho {self.rho:.3f} ± {self.rho_stderr:.3f}; N = {self.N}, {self.n_queries} queries"
        )


def document_losses(losses: pd.DataFrame, *, reduction: str = "sum") -> pd.DataFrame:
    """Reduce the losses of a document's identifiers to one number, L(q, d).

    Parameters
    ----------
    losses : DataFrame
        The losses table.
    reduction : {"sum", "token_mean", "ngram_mean"}
        `sum`: the mean over the document's identifiers of the summed negative log-likelihood (Eqs 3-4).
        `token_mean`: all of the document's negative log-likelihoods over all of its tokens, so that long
        identifiers count more (the published code). `ngram_mean`: the mean over identifiers of each one's
        mean per token.

    Returns
    -------
    DataFrame
        Columns `query`, `positive`, `document`, `loss`; sorted by query and document, a query's relevant
        documents first.

    Raises
    ------
    BadInput
        Unknown reduction, missing columns, an empty table, losses that are not finite or negative, rows
        with no token.
    """
    _choice("reduction", reduction, REDUCTIONS)
    check_losses(losses)
    nll = losses["nll"].to_numpy(np.float64)
    tokens = losses["tokens"].to_numpy(np.float64)
    frame = pd.DataFrame(
        {
            "query": losses["query"].to_numpy(),
            "negative": ~losses["positive"].to_numpy(bool),
            "document": losses["document"].to_numpy(),
            "nll": nll,
            "tokens": tokens,
            "per_token": nll / tokens,
        }
    )
    groups = frame.groupby(["query", "negative", "document"], sort=True)
    if reduction == "sum":
        loss = groups["nll"].mean()
    elif reduction == "token_mean":
        loss = groups["nll"].sum() / groups["tokens"].sum()
    else:
        loss = groups["per_token"].mean()
    table = loss.rename("loss").reset_index()
    table.insert(1, "positive", ~table.pop("negative"))
    return table


def cgl_per_query(
    losses: pd.DataFrame,
    *,
    n_negatives: int | None = None,
    positives: str = "mean",
    reduction: str = "sum",
) -> pd.DataFrame:
    """Compute CGL = ln(1 + L⁺ / Σ L⁻) of every query (Eq. 5).

    Parameters
    ----------
    losses : DataFrame
        The losses table.
    n_negatives : int, optional
        N. By default the number of negatives recorded, and Σ L⁻ is their sum. Another N takes N times their
        mean instead, which is what the same model would score on average with N negatives.
    positives : {"mean", "min", "each"}
        How several relevant documents make one L⁺: their mean; the smallest (the published code); or each
        with a CGL of its own, averaged over the query's relevant documents.
    reduction : {"sum", "token_mean", "ngram_mean"}
        See `document_losses`.

    Returns
    -------
    DataFrame
        A row per query in ascending order: `query`, `positive` (L⁺; for `each` their mean), `negative`
        (mean L⁻), `CGL`, `rho` (N times L⁺ over Σ L⁻), `n_negatives`.

    Raises
    ------
    BadInput
        A query without relevant documents or without negatives, negatives whose losses are all zero,
        queries with different numbers of negatives while `n_negatives` is not given; and all that
        `document_losses` refuses.
    """
    _choice("positives", positives, POSITIVES)
    table = document_losses(losses, reduction=reduction)
    query, codes = np.unique(table["query"].to_numpy(), return_inverse=True)
    loss, positive = table["loss"].to_numpy(), table["positive"].to_numpy()
    counted, sums = _per_query(codes[~positive], loss[~positive], len(query))
    n_positive, positive_sums = _per_query(codes[positive], loss[positive], len(query))
    _refuse_queries(query, n_positive == 0, "has no relevant document in the losses table; record one")
    _refuse_queries(query, counted == 0, "has no negative document in the losses table; record some")
    _refuse_queries(
        query, sums <= 0, "has negatives whose losses are all zero, so CGL is not defined; check the losses"
    )
    n = _common_count(query, counted) if n_negatives is None else _positive_count(n_negatives)
    denominator = sums if n_negatives is None else n * (sums / counted)

    mean_positive = positive_sums / n_positive
    if positives == "min":
        mean_positive = np.full(len(query), np.inf)
        np.minimum.at(mean_positive, codes[positive], loss[positive])
    cgl = np.log1p(mean_positive / denominator)
    rho = n * mean_positive / denominator
    if positives == "each":
        each = np.log1p(loss[positive] / denominator[codes[positive]])
        cgl = _per_query(codes[positive], each, len(query))[1] / n_positive
        rho = n * np.expm1(cgl)
    columns = {"query": query, "positive": mean_positive, "negative": sums / counted, "CGL": cgl, "rho": rho}
    return pd.DataFrame({**columns, "n_negatives": np.full(len(query), n, np.int64)})


def summarise(per_query: pd.DataFrame, n_negatives: int | None = None) -> CglSummary:
    """Average CGL over queries.

    Parameters
    ----------
    per_query : DataFrame
        What `cgl_per_query` returns.
    n_negatives : int, optional
        N; by default the column `n_negatives` of the table.
    """
    values = per_query["CGL"].to_numpy(np.float64)
    if len(values) == 0:
        raise BadInput("There is no query to average CGL over; record losses first.")
    if n_negatives is None:
        n_negatives = _common_count(per_query["query"].to_numpy(), per_query["n_negatives"].to_numpy())
    mean = float(values.mean())
    stderr = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    rho_stderr = n_negatives * math.exp(mean) * stderr
    return CglSummary(mean, stderr, rho_of(mean, n_negatives), rho_stderr, int(n_negatives), len(values))


def check_losses(losses: pd.DataFrame) -> None:
    """Refuse what is no losses table.

    Raises
    ------
    BadInput
        A column is missing, there is no row, a loss is not finite or negative, or over no token.
    """
    missing = [name for name in COLUMNS if name not in losses.columns]
    if missing:
        raise BadInput(f"The losses table lacks the column {missing[0]!r}; it needs {', '.join(COLUMNS)}.")
    if len(losses) == 0:
        raise BadInput("The losses table is empty; record losses first.")
    nll, tokens = losses["nll"].to_numpy(np.float64), losses["tokens"].to_numpy()
    bad = ~(np.isfinite(nll) & (nll >= 0)) | (tokens < 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise BadInput(
            f"Row {row} of the losses table has nll {nll[row]} over {tokens[row]} tokens; "
            "it must be finite, not negative, and over one token or more: record it again."
        )


def _per_query(
    codes: npt.NDArray[Any], values: npt.NDArray[Any], n: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return np.bincount(codes, minlength=n), np.bincount(codes, weights=values, minlength=n)


def _refuse_queries(query: npt.NDArray[Any], bad: npt.NDArray[Any], sentence: str) -> None:
    if bad.any():
        raise BadInput(f"Query {query[np.flatnonzero(bad)[0]]} {sentence}.")


def _common_count(query: npt.NDArray[Any], counted: npt.NDArray[Any]) -> int:
    if (counted != counted[0]).any():
        other = int(np.flatnonzero(counted != counted[0])[0])
        raise BadInput(
            f"Query {query[0]} has {counted[0]} negatives and query {query[other]} has {counted[other]}; "
            "give n_negatives, the N to which their mean is scaled."
        )
    return int(counted[0])


def _positive_count(n_negatives: int) -> int:
    if n_negatives < 1 or n_negatives != int(n_negatives):
        raise BadInput(f"The number of negatives must be a whole number of 1 or more, not {n_negatives}.")
    return int(n_negatives)


def _choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BadInput(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
