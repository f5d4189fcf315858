"""`genret cgl`: CGL, rho and chance from recorded losses, and what each way of counting does to them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from genret_core.workbench.recorded import Recorded

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("cgl")(cgl)


def cgl(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="LOSSES",
            help="A file of losses (.json, .jsonl, .parquet; .gz), or the folder of an evaluation or a cell.",
        ),
    ],
    negatives: Annotated[
        int | None,
        typer.Option(
            min=1, help="N: Σ L⁻ is N times the mean recorded one.  [default: 256; of a table, as recorded]"
        ),
    ] = None,
    positives: Annotated[
        Literal["mean", "min", "each"] | None,
        typer.Option(help="L⁺ of several relevant documents.  [default: min; of a table, mean]"),
    ] = None,
    reduction: Annotated[
        Literal["sum", "token_mean", "ngram_mean"] | None,
        typer.Option(help="A document's loss from its identifiers'.  [default: sum, the mean of sums]"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="A table of what each departure from Eq. 5 does.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute CGL (Eq. 5) and rho from recorded losses, without a model.

    Files in the published layout are counted as published: Σ L⁻ is N times the mean negative whatever the
    number stored, L⁺ the least of the relevant. Losses that genret recorded are counted as everywhere in it.
    """
    from genret_core.workbench.recorded import open_recorded

    found = [_told(one, negatives, positives, reduction, explain=explain) for one in open_recorded(source)]
    if as_json:
        print(json.dumps(found if len(found) > 1 else found[0], ensure_ascii=False, indent=1))
        return
    for i, one in enumerate(found):
        print("\n".join([*([""] if i else []), *_lines(one)]))


def _told(
    one: Recorded, negatives: int | None, positives: str | None, reduction: str | None, *, explain: bool
) -> dict[str, Any]:
    from genret_core.retrieval.cgl import cgl_per_query, summarise
    from genret_core.retrieval.cgl_departures import PUBLISHED_NEGATIVES, departures

    recorded = one.recorded
    least, most = recorded.negatives
    positives = positives or ("min" if recorded.published else "mean")
    if negatives is None and (recorded.published or least != most):
        negatives = PUBLISHED_NEGATIVES
    counting: dict[str, Any] = {
        "n_negatives": negatives,
        "positives": positives,
        "reduction": reduction or "sum",
    }
    summary = summarise(cgl_per_query(recorded.losses, **counting))
    told = {
        "source": str(one.path),
        "layout": recorded.layout,
        "about": one.about,
        **{name: _plain(value) for name, value in summary.to_dict().items()},
        "recorded_negatives": [least, most],
        "S": "sum" if negatives is None else "mean times N",
        "positives": positives,
        "reduction": counting["reduction"],
    }
    if explain:
        table = departures(
            recorded.losses,
            summed=not recorded.published,
            n_negatives=negatives or PUBLISHED_NEGATIVES,
        )
        told["departures"] = [
            {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
        ]
    return told


def _plain(value: Any) -> Any:
    """Give a value as JSON has it: what is unknown is null."""
    import pandas as pd

    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


POSITIVES = {
    "mean": "L+ is the mean over a query's relevant documents",
    "min": "L+ is the least of a query's relevant documents",
    "each": "each relevant document has a CGL of its own, averaged over the query's",
}
REDUCTIONS = {
    "sum": "",
    "token_mean": "; a document's loss is the mean over all tokens of its identifiers",
    "ngram_mean": "; a document's loss is the mean over its identifiers of their means over tokens",
}


def _lines(told: dict[str, Any]) -> list[str]:
    """Say in words what was found and how it was counted."""
    least, most = told["recorded_negatives"]
    counted = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    N = told["N"]
    denominator = (
        f"the sum of the {N:,} recorded negatives"
        if told["S"] == "sum"
        else f"{N:,} times the mean of the {counted} recorded negative{'s' if most > 1 else ''}"
    )
    lines = [
        f"{told['source']}: {told['about'] + '; ' if told['about'] else ''}{told['layout']}",
        f"CGL {told['CGL']:.6f} ± {_number(told['CGL_stderr'], '.6f')}  (chance {told['chance']:.6f})",
        f"rho {told['rho']:.4f} ± {_number(told['rho_stderr'], '.4f')}  (chance 1)",
        f"{told['n_queries']:,} queries, N = {N:,}; S is {denominator}; {POSITIVES[told['positives']]}"
        f"{REDUCTIONS[told['reduction']]}",
    ]
    if "departures" in told:
        lines += ["", *_table(told["departures"])]
    return lines


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Lay out the departures; those that the records cannot show stand below with what they need."""
    shown = [row for row in rows if not row["needs"]]
    width = max(len(row["departure"]) for row in rows)
    head = ["CGL", "± SE", "N", "rho", "± SE", "change", "± SE"]
    lines = [f"{'':{width}}  {_columns(head)}   the published code:"]
    for row in shown:
        values = [
            f"{row['CGL']:.6f}",
            _number(row["CGL_stderr"], ".6f"),
            f"{row['N']}",
            f"{row['rho']:.4f}",
            _number(row["rho_stderr"], ".4f"),
            _number(row["rho_change"], "+.4f") if row["rho_change"] is not None else "",
            _number(row["rho_change_stderr"], ".4f") if row["rho_change"] is not None else "",
        ]
        lines.append(f"{row['departure']:{width}}  {_columns(values)}   {row['published']}")
    lines += ["", "not recorded:"]
    for row in rows:
        if row["needs"]:
            lines.append(f"{row['departure']:{width}}  {row['published']} (needs {row['needs']})")
    return [line.rstrip() for line in lines]


def _columns(values: list[str]) -> str:
    widths = (8, 8, 5, 6, 6, 7, 6)
    return "  ".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))


def _number(value: float | None, form: str) -> str:
    return "–" if value is None or math.isnan(value) else format(value, form)
