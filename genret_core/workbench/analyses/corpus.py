"""00: what we are retrieving from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.workbench import tables
from genret_core.workbench.figures import style
from genret_core.workbench.figures.corpus import lengths, overlap

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

_JOINERS = "\u200c\u200d"  # they shape letters and emoji
_LONG_WORD, _BREAK = re.compile(r"\S{30}(?=\S)"), "\\g<0>\u200b"
MOST = 2000  # texts that a figure of lengths or overlaps looks at
SPLITS = ("train", "validation", "seen", "unseen")


def counts(study: Study) -> Styler:
    """Count documents, queries by split, relevant documents, and what stands there twice."""
    from genret_core.retrieval.corpus_report import describe

    found = describe(study.corpus)
    meaning = {
        "train": "what models learn from",
        "validation": "what choices are made on",
        "test": "what is measured",
        "seen": "test queries whose document has training queries too",
        "unseen": "test queries whose document has none",
    }
    rows = [("documents", found.documents, f"{found.repeated_documents:,} of them repeat another")]
    rows += [(f"{split} queries", found.queries_by_split[split], text) for split, text in meaning.items()]
    per_document = found.training_queries_per_document
    rows += [
        ("training pairs", found.pairs_by_split["train"], f"{per_document['mean']:.1f} queries a document"),
        ("test queries that are training queries, too", found.queries_in_train_and_test, "the same words"),
        ("documents without a training query", found.documents_without_training_query, ""),
    ]
    frame = pd.DataFrame(rows, columns=["what", "number", "note"])
    return tables.styled(frame, caption=f"Corpus {found.name}", formats={"number": "{:,}"})


def texts(study: Study, seed: int = 0) -> pd.DataFrame:
    """Measure texts in words, of up to 2,000 documents and queries each."""
    corpus, rng = study.corpus, np.random.default_rng(seed)
    parts = []
    for kind, n, read in (
        ("documents", corpus.n_documents, corpus.document_texts),
        ("queries", corpus.n_queries, corpus.query_texts),
    ):
        rows = np.sort(rng.choice(n, min(n, MOST), replace=False))
        parts.append(pd.DataFrame({"kind": kind, "words": [len(text.split()) for text in read(rows)]}))
    return pd.concat(parts, ignore_index=True)


def length_figure(study: Study) -> style.Figure:
    """Draw the lengths of documents and queries."""
    return lengths(texts(study))


def shares(study: Study, seed: int = 0) -> pd.DataFrame:
    """Measure for each split which share of a query's words its relevant document holds (title included)."""
    corpus, rng = study.corpus, np.random.default_rng(seed)
    parts = []
    for split in SPLITS:
        rows = corpus.split_queries(split)
        if len(rows) == 0:
            continue
        rows = np.sort(rng.choice(rows, min(len(rows), MOST), replace=False))
        documents = [int(corpus.relevant(int(row))[0]) for row in rows]
        held = [
            _share(query, document)
            for query, document in zip(
                corpus.query_texts(rows), corpus.document_texts(documents, "title_text"), strict=True
            )
        ]
        parts.append(pd.DataFrame({"split": split, "share": held}))
    return pd.concat(parts, ignore_index=True)


def _share(query: str, document: str) -> float:
    asked, there = set(query.lower().split()), set(document.lower().split())
    return len(asked & there) / len(asked)


def overlap_figure(held: pd.DataFrame) -> style.Figure:
    """Draw the overlap of queries with their documents."""
    return overlap(held)


def examples(study: Study, n: int = 3, seed: int = 0) -> Styler:
    """Show a few documents with their queries by split."""
    corpus, rng = study.corpus, np.random.default_rng(seed)
    queries = (
        corpus.split_queries("seen") if len(corpus.split_queries("seen")) else corpus.split_queries("test")
    )
    train_queries, train_documents = corpus.training_pairs()
    rows = []
    for query in rng.choice(queries, min(n, len(queries)), replace=False):
        document = int(corpus.relevant(int(query))[0])
        learned = train_queries[train_documents == document][:3]
        title, text = shown(title_of(study, document), 80), shown(corpus.document_text(document), 220)
        rows.append(
            {
                "document": f"{title} — {text}",
                "training queries": "; ".join(shown(q, 120) for q in corpus.query_texts(learned)) or "none",
                "test query": shown(corpus.query_text(int(query)), 240),
            }
        )
    frame = pd.DataFrame(rows)
    return tables.styled(
        frame,
        caption="Some documents, what asks for them in training and in the test",
        left=list(frame.columns),
    )


def shown(text: str, most: int) -> str:
    """Cut a text to `most` characters for a table.

    Words without end may be broken, control characters are left out, and what is written from right to left
    stays by itself (Unicode's isolates), so that it cannot turn what stands beside it.
    """
    plain = " ".join(
        "".join(c if c.isprintable() or c in _JOINERS else " " for c in text[: 4 * most]).split()
    )
    cut = plain if len(plain) <= most and len(text) <= 4 * most else plain[:most].rstrip() + "…"
    return f"\u2068{_LONG_WORD.sub(_BREAK, cut)}\u2069"


def title_of(study: Study, document: int) -> str:
    """Give a document's title, or its id if it has none."""
    title = str(study.corpus.documents.column("title")[int(document)].as_py() or "")
    return title or study.corpus.document_id(int(document))


def origin(study: Study) -> Styler:
    """Say where the corpus came from: reader, its parameters, versions, and the hash of its content."""
    corpus = study.corpus
    rows = [("hash of the content", corpus.key)]
    for name, value in corpus.meta.items():
        if name == "counts" or value is None:
            continue
        told = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        rows.append((str(name), told))
    return tables.styled(pd.DataFrame(rows, columns=["what", "value"]), caption="Where it came from")


def bm25(study: Study) -> Styler:
    """Show what BM25 finds: the queries' difficulty for words alone."""
    found = study.results[study.results["method"] == "bm25"]
    shown = found.pivot_table(index="split", columns="metric", values="value", sort=False).reset_index()
    order = [m for m in ("R@1", "R@5", "R@20", "R@100", "nDCG@10", "RR@10", "AP@10") if m in shown]
    frame = shown[["split", *order]]
    return tables.styled(frame, caption="BM25 over title and text", formats=dict.fromkeys(order, "{:.3f}"))


def sentence(study: Study, held: pd.DataFrame) -> str:
    """Answer the question from the numbers."""
    corpus = study.corpus
    words = texts(study)
    middle = words.groupby("kind")["words"].median()
    test = corpus.split_queries("test")
    seen = len(corpus.split_queries("seen")) / max(len(test), 1)
    told = (
        f"{corpus.n_documents:,} documents with a median of {middle['documents']:g} words, "
        f"{len(corpus.split_queries('train')):,} training queries and {len(test):,} test queries, of which "
        f"{100 * seen:.0f} % ask for documents that training also asked for"
    )
    found = study.results
    best = found[(found["method"] == "bm25") & (found["metric"] == "R@5")]
    asked = held[held["split"].isin(["seen", "unseen"])]["share"]
    told += f"; a test query finds {100 * asked.mean():.0f} % of its words in its document on average"
    if len(best):
        share = 100 * float(best["value"].iloc[0])
        told += f", and BM25 puts the document among the first five for {share:.0f} % of them"
    return told + "."
