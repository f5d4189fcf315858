"""01, the codebook: how it was made, what its codes hold, and how well they retrieve on their own."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.workbench import tables
from genret_core.workbench.figures import style
from genret_core.workbench.figures.identifiers import code_retrieval, codebook_quality

if TYPE_CHECKING:
    from genret_core.retrieval.codebook import Codebook
    from genret_core.workbench.runs import Study


MOST_ROWS, FIRST_ROWS = 12, 8  # of a long codebook: the first positions, then every eighth


def notes(study: Study) -> str:
    """Say how the codebook was made and what was amiss with its sizes, as a list, or that there is none."""
    if not study.inputs.codebook:
        return "This study learns no codes: its grid does not name the method `codebook`."
    return "\n".join(f"- {note}" for note in (*_made(study.codebook), *study.codebook.notes))


def _made(book: Codebook) -> list[str]:
    """Tell what was quantised, what became of collisions, and which tokens codes are."""
    quantised = f"Vectors: {html.escape(book.embedding.source)}, {book.embedding.dim} dimensions."
    if book.config.codes is not None:
        quantised = f"Quality is measured on vectors that did not make the codes: {quantised[9:]}"
    own = f"a token of its own at each position ({book.n_tokens} tokens)"
    return [
        quantised,
        _collided(book),
        f"A code is {own if book.config.positions == 'own' else 'the same token at every position'}.",
    ]


def _collided(book: Codebook) -> str:
    n = book.n_collisions
    if n == 0:
        return "No two documents came to the same codes."
    if not book.config.unique:
        return f"Documents that share the codes of an earlier one: {n:,}."
    return f"Documents that came to the codes of an earlier one and moved to the nearest free ones: {n:,}."


def depths_table(study: Study) -> Styler | None:
    """Tell what each position of the codes adds; None without codes."""
    from genret_core.retrieval.codebook_quality import depth_table

    if not study.inputs.codebook:
        return None
    shown = depth_table(study.codebook)
    shown["explained"] = shown["explained"].round(9) + 0.0  # no -0.0 %
    if len(shown) > MOST_ROWS:
        last = shown["depth"] == len(shown)
        shown = shown[(shown["depth"] <= FIRST_ROWS) | (shown["depth"] % FIRST_ROWS == 0) | last]
    names = {
        "explained": "explained",
        "error": "left over",
        "prefixes": "prefixes",
        "identified": "told apart",
        "largest": "most alike",
        "codes_used": "codes used",
        "effective_codes": "effective codes",
    }
    formats = {"explained": "{:.1%}", "left over": "{:.1%}", "told apart": "{:.1%}"}
    formats |= {"effective codes": "{:.1f}", "prefixes": "{:,}", "most alike": "{:,}"}
    book = study.codebook
    caption = (
        f"Codebook of {book.N_c} codes in {book.L_c} positions, {len(book):,} documents: variance explained "
        "and left over, different prefixes, documents whose prefix is theirs alone, documents of the "
        "commonest one"
    )
    return tables.styled(shown.rename(columns=names), caption=caption, formats=formats)


def collisions_table(study: Study) -> Styler | None:
    """Count documents that share all their codes; None without codes, or where each has its own."""
    from genret_core.retrieval.codebook_quality import collision_table

    if not study.inputs.codebook or study.codebook.config.unique:
        return None
    names = {
        "identifiers": "identifiers",
        "alone": "documents alone",
        "sharing": "documents that share",
        "largest": "most of one",
        "expected": "found with a document",
    }
    shown = collision_table(study.codebook)[list(names)].rename(columns=names)
    formats = dict.fromkeys(list(names.values())[:-1], "{:,}") | {names["expected"]: "{:.2f}"}
    caption = (
        "Documents that share all codes: a search that writes them finds all, in the order of the corpus; "
        "the last column is how many that are for a document drawn at random"
    )
    return tables.styled(shown, caption=caption, formats=formats)


def figure(study: Study) -> style.Figure | None:
    """Draw what is left over, and the use of codes; None without codes."""
    from genret_core.retrieval.codebook_quality import depth_table

    if not study.inputs.codebook:
        return None
    book = study.codebook
    parts = []
    for d in range(1, min(book.L_c, 6) + 1):
        used = np.sort(np.bincount(np.asarray(book.codes[:, d - 1]), minlength=book.N_c))[::-1]
        parts.append(pd.DataFrame({"depth": d, "rank": np.arange(1, book.N_c + 1), "documents": used}))
    told = f"N<sub>c</sub> = {book.N_c}, L<sub>c</sub> = {book.L_c}, {len(book):,} documents"
    return codebook_quality(depth_table(book), pd.concat(parts, ignore_index=True), told)


@dataclass(frozen=True)
class Oracle:
    """How well codes retrieve on their own: the bound that no model has moved.

    Attributes
    ----------
    table : DataFrame or None
        As of `oracle_retrieval`; None where it could not be measured.
    depths : DataFrame or None
        As of `oracle_by_depth`.
    told : str
        Which queries, or why there is no measurement.
    """

    table: pd.DataFrame | None
    depths: pd.DataFrame | None
    told: str


def oracle(study: Study, split: str, n: int = 200, seed: int = 0) -> Oracle:
    """Embed and quantise queries like documents, and rank the documents by their codes."""
    from genret_core.retrieval.codebook_quality import oracle_by_depth, oracle_retrieval

    if not study.inputs.codebook:
        return Oracle(None, None, "This study learns no codes.")
    queries = study.corpus.split_queries(split)
    rows = np.sort(np.random.default_rng(seed).choice(queries, min(n, len(queries)), replace=False))
    try:
        table = oracle_retrieval(study.corpus, study.codebook, rows)
        depths = oracle_by_depth(study.corpus, study.codebook, rows)
    except BadInput as error:
        return Oracle(None, None, f"How well the codes retrieve on their own is not known: {error}")
    told = f"A query embedded and quantised like a document, {len(rows)} {split} queries, no model"
    return Oracle(table, depths, told)


def oracle_table(found: Oracle) -> Styler | Any:
    """Show the recall of each ranking, or say why there is none."""
    from IPython.display import Markdown

    if found.table is None:
        return Markdown(html.escape(found.told))
    shown = found.table.assign(k="R@" + found.table["k"].astype(str)).pivot_table(
        index="ranking", columns="k", values="recall", sort=False
    )
    names = {
        "prefix": "length of the shared prefix",
        "codes": "nearness of decoded codes",
        "embedding": "nearness of embeddings",
        "chance": "nothing (chance)",
    }
    frame = shown.reset_index().replace({"ranking": names}).rename(columns={"ranking": "documents ranked by"})
    formats = dict.fromkeys([c for c in frame.columns if str(c).startswith("R@")], "{:.3f}")
    return tables.styled(frame, caption=found.told, formats=formats)


def oracle_figure(found: Oracle) -> style.Figure | None:
    """Draw recall over the number of codes read; None where it was not measured."""
    if found.table is None or found.depths is None:
        return None
    return code_retrieval(found.depths, found.table[found.table["ranking"] == "embedding"], found.told)
