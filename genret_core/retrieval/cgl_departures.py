"""What each way in which the published code departs from Eq. 5 does to CGL and rho, from one set of records.

One departure is switched on at a time and everything else stays as `cgl` has it. What a departure needs and
the records do not hold is said in place of a number; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.retrieval.cgl import CglSummary, cgl_per_query, summarise

PUBLISHED_NEGATIVES = 256
BODY = "body"

EVEN = "as many identifiers of negatives as of relevant documents"
COUNTS = ("N", "n_queries")
VALUES = ("CGL", "CGL_stderr", "rho", "rho_stderr", "rho_change", "rho_change_stderr", "chance")


@dataclass(frozen=True)
class _Switch:
    """One departure.

    Attributes
    ----------
    name, told : str
        What it is called, and what the published code does.
    counting : dict
        Options of `cgl_per_query`.
    change : callable, optional
        What is done to the losses table first.
    needs : tuple of str
        Columns of the table without which it cannot be shown.
    tokens : bool
        Whether losses summed over counted tokens are needed.
    """

    name: str
    told: str
    counting: dict[str, Any]
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    needs: tuple[str, ...] = ()
    tokens: bool = False


UNSEEN = (
    ("relevant by the answer", "passages with the answer's text are relevant", "losses of those passages"),
    ("samples drawn anew", "each model has negatives and n-grams of its own", "losses of a second sample"),
    ("half-precision logits", "the log-softmax is taken of bfloat16 logits", "the model"),
    ("no attention mask", "padding of the query is attended to", "the model"),
    ("another prompt", "scored with other words around the query than trained with", "the model"),
    ("base model", "scored without its adapter, or with dropout on", "the model"),
)  # fmt: skip
"""Departures that no recorded losses show: name, what the published code does, what it would take."""


def departures(
    losses: pd.DataFrame,
    *,
    summed: bool = True,
    n_negatives: int = PUBLISHED_NEGATIVES,
    batch: int = PUBLISHED_NEGATIVES,
) -> pd.DataFrame:
    """Recompute CGL and rho with each departure switched on.

    Parameters
    ----------
    losses : DataFrame
        The losses table, with what else was recorded (`cgl_records.OPTIONAL`).
    summed : bool
        Whether losses are sums over counted tokens (ours) or means already (the published records).
    n_negatives : int
        N of the published code, to which it scales the mean negative.
    batch : int
        Negatives for which the published code of the codebook stores one number.

    Returns
    -------
    DataFrame
        A row per departure: `departure`, `published` (what the published code does), `N`, `n_queries`, `CGL`,
        `CGL_stderr`, `rho`, `rho_stderr`, `rho_change` (from the first row) and its standard error over
        paired queries, `chance`, `needs` (what would have to be recorded, where it was not: then there are no
        numbers). The first row, "as defined", is Eq. 5 as used everywhere else, with the recorded negatives
        (where these are means already, or not as many for each query: with N times their mean). "all of
        these", the last with numbers, switches on all that was recorded, as the code of the n-grams has it.

    Raises
    ------
    BadInput
        What `cgl_per_query` refuses.
    """
    body = losses
    if "kind" in losses and (losses["kind"] == BODY).any():
        body = losses[losses["kind"] == BODY]
    counted = {} if summed and _same_number(body) else {"n_negatives": n_negatives}
    base, before = _measure(body, counted)
    rows = [_row("as defined", "", base)]
    for switch in _switches(n_negatives, batch, base.N):
        missing = [name for name in switch.needs if name not in losses]
        if missing or (switch.tokens and not summed):
            needs = (
                f"the {'columns' if len(missing) > 1 else 'column'} {', '.join(missing)}" if missing else ""
            )
            rows.append(_blank(switch.name, switch.told, needs or "sums over tokens, and their number"))
            continue
        if "pads" in switch.needs and _uneven(body):
            rows.append(_blank(switch.name, switch.told, EVEN))
            continue
        table = losses if "kind" in switch.needs else body
        table = switch.change(table) if switch.change else table
        rows.append(_compared(switch.name, switch.told, table, {**counted, **switch.counting}, base, before))
    told = "the least relevant loss, one mean over all tokens, N times the mean, and what else is recorded"
    rows.append(_compared("all of these", told, *_all(losses, summed, n_negatives), base, before))
    rows += [_blank(*unseen) for unseen in UNSEEN]
    return pd.DataFrame(rows).astype(dict.fromkeys(COUNTS, "Int64"))


def _switches(n_negatives: int, batch: int, recorded: int) -> tuple[_Switch, ...]:
    per_token = {"reduction": "token_mean"}
    return (
        _Switch("best relevant", "only the least loss of the relevant counts", {"positives": "min"}),
        _Switch("each relevant", "each relevant document has a CGL of its own", {"positives": "each"}),
        _Switch("mean over tokens", "one mean over the tokens of all identifiers", per_token, tokens=True),
        _Switch(
            "mean of means", "each identifier's mean over tokens first", {"reduction": "ngram_mean"},
            tokens=True,
        ),
        _Switch("end token scored", "the end token is a target", {}, _with_end, ("eos_nll",), tokens=True),
        _Switch(
            "padding counted", "one mean over tokens and padding", per_token, _with_padding,
            ("pad_nll", "pads"), tokens=True,
        ),
        _Switch(
            f"{n_negatives} times the mean", "the denominator is N times the mean recorded negative",
            {"n_negatives": n_negatives},
        ),
        _Switch(
            f"a number per {batch}", f"one mean over the identifiers of {batch} negatives is stored",
            {"n_negatives": recorded}, lambda table: _pooled(table, batch),
        ),
        _Switch("titles mixed in", "titles and pseudo-queries count as identifiers", {}, None, ("kind",)),
        _Switch(
            "same text, same query", "queries of the same text overwrite each other", {}, _last_of_text,
            ("text",),
        ),
    )  # fmt: skip


def _all(losses: pd.DataFrame, summed: bool, n_negatives: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    table = losses
    if summed and "eos_nll" in table:
        table = _with_end(table)
    if summed and {"pad_nll", "pads"} <= set(table) and not _uneven(table):
        table = _with_padding(table)
    if "text" in table:
        table = _last_of_text(table)
    reduction = {"reduction": "token_mean"} if summed else {}
    return table, {"positives": "min", "n_negatives": n_negatives, **reduction}


def _same_number(losses: pd.DataFrame) -> bool:
    """Say whether all queries have as many negatives."""
    negative = losses.loc[~losses["positive"].astype(bool), ["query", "document"]]
    counts = negative.drop_duplicates().groupby("query").size()
    return bool(counts.min() == counts.max())


def _uneven(losses: pd.DataFrame) -> bool:
    """Say whether relevant documents have other numbers of identifiers than negatives.

    A document's identifiers are padded to the longest of them, so that one which is alone has no padding: the
    padding of relevant documents and of negatives would then differ by the sample and not by the model.
    """
    sizes = losses.groupby(["positive", "query", "document"]).size().groupby("positive").mean()
    return bool(sizes.max() > 1.5 * sizes.min())


def _with_end(losses: pd.DataFrame) -> pd.DataFrame:
    return losses.assign(nll=losses["nll"] + losses["eos_nll"], tokens=losses["tokens"] + 1)


def _with_padding(losses: pd.DataFrame) -> pd.DataFrame:
    return losses.assign(nll=losses["nll"] + losses["pad_nll"], tokens=losses["tokens"] + losses["pads"])


def _pooled(losses: pd.DataFrame, batch: int) -> pd.DataFrame:
    """Take each run of `batch` negatives of a query, as they were recorded, for one document."""
    negative = ~losses["positive"].to_numpy(bool)
    keys = losses.loc[negative, ["query", "document"]]
    first = keys.drop_duplicates()
    place = first.groupby("query").cumcount() // batch
    pooled = keys.merge(first.assign(place=place), on=["query", "document"], how="left")["place"]
    document = losses["document"].to_numpy(np.int64, copy=True)
    document[negative] = pooled.to_numpy()
    return losses.assign(document=document)


def _last_of_text(losses: pd.DataFrame) -> pd.DataFrame:
    """Keep of queries with the same text the last that was recorded."""
    queries = losses[["query", "text"]].drop_duplicates("query")
    return losses[losses["query"].isin(queries.drop_duplicates("text", keep="last")["query"])]


def _measure(losses: pd.DataFrame, counting: dict[str, Any]) -> tuple[CglSummary, pd.Series]:
    per_query = cgl_per_query(losses, **counting)
    return summarise(per_query), per_query.set_index("query")["CGL"]


def _compared(
    name: str,
    told: str,
    losses: pd.DataFrame,
    counting: dict[str, Any],
    base: CglSummary,
    before: pd.Series,
) -> dict[str, Any]:
    found, after = _measure(losses, counting)
    row = _row(name, told, found)
    row["rho_change"] = found.rho - base.rho
    row["rho_change_stderr"] = math.nan
    if after.index.equals(before.index) and len(after) > 1:
        moved = _pull(found, after) - _pull(base, before)
        row["rho_change_stderr"] = float(moved.std(ddof=1) / math.sqrt(len(moved)))
    return row


def _pull(summary: CglSummary, per_query: pd.Series) -> npt.NDArray[np.float64]:
    """Say how much each query pulls at rho, to first order: N e^CGL (its CGL - the mean)."""
    own = per_query.to_numpy(np.float64)
    return summary.N * math.exp(summary.CGL) * (own - summary.CGL)


def _row(name: str, told: str, summary: CglSummary) -> dict[str, Any]:
    found = summary.to_dict()
    values = {key: found.get(key, math.nan) for key in (*COUNTS, *VALUES)}
    return {"departure": name, "published": told, **values, "needs": ""}


def _blank(name: str, told: str, needs: str) -> dict[str, Any]:
    empty: dict[str, Any] = {**dict.fromkeys(COUNTS, None), **dict.fromkeys(VALUES, math.nan)}
    return {"departure": name, "published": told, **empty, "needs": needs}
