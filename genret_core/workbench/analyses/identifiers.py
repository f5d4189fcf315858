"""01: how documents get identifiers, and whether these tell documents apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.workbench import tables
from genret_core.workbench.analyses.corpus import title_of
from genret_core.workbench.figures import style
from genret_core.workbench.figures.diagram import Diagram, two_methods
from genret_core.workbench.figures.identifiers import prefix_ambiguity, start_probabilities

if TYPE_CHECKING:
    from genret_core.retrieval.ngrams import NgramConfig
    from genret_core.workbench.runs import Study

SAMPLE = 2000  # training identifiers that ambiguity is measured on


@dataclass(frozen=True)
class Example:
    """A training query with its document and the n-grams drawn for it.

    Attributes
    ----------
    query, document : int
        Rows of the corpus.
    ngrams : tuple of str
        As drawn, repeats included.
    words : tuple of int
        The word of the document at which each begins.
    spans : tuple of (start, end)
        Characters of the document's text (words joined by single spaces) that they cover.
    text : str
        That text.
    """

    query: int
    document: int
    ngrams: tuple[str, ...]
    words: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    text: str


def ngram_config(study: Study) -> NgramConfig:
    """Give the study's settings for n-grams."""
    return study.spec.identifiers.ngram


def example(study: Study, which: int = 0) -> Example:
    """Take the `which`-th training query of a middling document and the n-grams that models learn for it."""
    from genret_core.retrieval.pairs import Pairs

    pairs = Pairs.open(study.layout.ngrams(study.inputs.corpus, study.inputs.ngrams))
    queries, documents = study.corpus.training_pairs()
    chosen = _middling(study, queries, documents, which)
    query, document = int(queries[chosen]), int(documents[chosen])
    own = np.flatnonzero((np.asarray(pairs.query) == query) & (np.asarray(pairs.document) == document))
    words = study.corpus.document_text(document).split()
    stream, first = study.stream, int(study.stream.doc_starts[document])
    begins = np.asarray(stream.word_starts[first : int(stream.doc_starts[document + 1])])
    number = np.cumsum(begins) - 1  # the word each token belongs to
    starts = [int(pairs.start[row]) for row in own]
    lengths = [int(pairs.length[row]) for row in own]
    at = [int(number[s]) for s in starts]
    last = [int(number[s + n - 1]) for s, n in zip(starts, lengths, strict=True)]
    places = np.cumsum([0, *(len(word) + 1 for word in words)])
    return Example(
        query,
        document,
        tuple(study.tokenizer.decode(pairs.identifier(int(row))) for row in own),
        tuple(at),
        tuple((int(places[a]), int(places[b + 1]) - 1) for a, b in zip(at, last, strict=True)),
        " ".join(words),
    )


def _middling(study: Study, queries: np.ndarray, documents: np.ndarray, which: int) -> int:
    """Choose a document of 30 to 70 words, if there is one, so that it can be drawn."""
    seen: list[int] = []
    for i, document in enumerate(documents[:5000]):
        n = len(study.corpus.document_text(int(document)).split())
        if 30 <= n <= 70 and len(study.corpus.query_text(int(queries[i])).split()) >= 3:
            seen.append(i)
            if len(seen) > which:
                return i
    return seen[-1] if seen else min(which, len(queries) - 1)


def diagram(study: Study, one: Example) -> Diagram:
    """Draw Fig. 2 with the example."""
    codes: list[int] = []
    vector = "not used in this study"
    if study.inputs.codebook:
        book = study.codebook
        codes = [int(code) for code in book.codes[one.document]]
        vector = f"{book.embedding.source}, {book.embedding.dim} dimensions"
    return two_methods(
        title=title_of(study, one.document),
        document=one.text,
        spans=one.spans,
        query=study.corpus.query_text(one.query),
        ngrams=list(dict.fromkeys(one.ngrams))[:4],
        codes=codes,
        vector=vector,
    )


def starts(study: Study, one: Example) -> pd.DataFrame:
    """Give every place of the example's document that may start an n-gram, with its probability and draws."""
    from genret_core.retrieval.ngrams import start_probabilities as of_pair

    config = ngram_config(study)
    found = of_pair(study.corpus, study.stream, one.query, one.document, config)
    words = one.text.split()
    drawn = pd.Series(one.words).value_counts()
    found["word"] = [words[i] for i in found["position"]]
    found["drawn"] = [int(drawn.get(i, 0)) for i in found["position"]]
    found["text"] = [" ".join(words[i : i + 10]) for i in found["position"]]
    return found


def start_figure(study: Study, one: Example) -> style.Figure:
    """Draw where n-grams of the example start."""
    found = starts(study, one)
    effective = 1 / (found["probability"] ** 2).sum()
    config = ngram_config(study)
    told = f"temperature {config.temperature:g}; {effective:.1f} effective of {len(found)} possible starts"
    return start_probabilities(found, f"“{study.corpus.query_text(one.query)}”; {told}")


def effective(study: Study, n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Measure the effective number of starts over training pairs, at the study's temperature and at 1."""
    from dataclasses import replace

    from genret_core.retrieval.ngrams import effective_starts

    queries, documents = study.corpus.training_pairs()
    rows = np.sort(np.random.default_rng(seed).choice(len(queries), min(n, len(queries)), replace=False))
    config = ngram_config(study)
    parts = []
    for temperature in dict.fromkeys((config.temperature, 1.0)):
        own = replace(config, temperature=temperature)
        found = effective_starts(study.corpus, study.stream, queries[rows], documents[rows], own)
        parts.append(found.assign(temperature=temperature))
    return pd.concat(parts, ignore_index=True)


def effective_table(found: pd.DataFrame, n_samples: int) -> Styler:
    """Average the effective number of starts by temperature."""
    shown = found.groupby("temperature", sort=False)[["starts", "effective", "distinct"]].mean().reset_index()
    names = {
        "starts": "possible starts",
        "effective": "effective starts",
        "distinct": f"distinct of {n_samples} draws",
    }
    formats = dict.fromkeys(names.values(), "{:.1f}") | {"temperature": "{:g}"}
    n_pairs = len(found) // len(shown)
    caption = f"Means over {n_pairs} training pairs; 1 is the published temperature"
    return tables.styled(shown.rename(columns=names), caption=caption, formats=formats)


def sharing(study: Study, n: int = SAMPLE, seed: int = 0) -> pd.DataFrame:
    """Count the documents that share each prefix of an identifier, token by token.

    Returns
    -------
    DataFrame
        `method`, `depth`, `documents` (mean), `lo`, `hi` (10 % and 90 % quantiles), `alone` (share of
        prefixes that one document has alone).
    """
    from genret_core.retrieval.pairs import Pairs

    pairs = Pairs.open(study.layout.ngrams(study.inputs.corpus, study.inputs.ngrams))
    rows = np.sort(np.random.default_rng(seed).choice(len(pairs), min(n, len(pairs)), replace=False))
    parts = [_summary("ngram", _ngram_sharing(study, np.asarray(pairs.ids[rows])))]
    if study.inputs.codebook:
        parts.append(_summary("codebook", _code_sharing(np.asarray(study.codebook.codes))))
    return pd.concat(parts, ignore_index=True)


def _ngram_sharing(study: Study, ids: np.ndarray) -> list[np.ndarray]:
    """Count documents by depth; an identifier that has ended keeps its last count."""
    index = study.index
    low, high = index.root(len(ids))
    counts = [np.full(len(ids), study.corpus.n_documents)]
    for depth in range(ids.shape[1]):
        going = ids[:, depth] >= 0
        if not going.any():
            break
        low, high = low.copy(), high.copy()
        low[going], high[going] = index.extend(low[going], high[going], depth, ids[going, depth])
        counts.append(index.documents(low, high).lengths)
    return counts


def _code_sharing(codes: np.ndarray) -> list[np.ndarray]:
    from genret_core.retrieval.codebook_quality import prefix_sizes

    return [np.full(len(codes), len(codes)), *(np.repeat(size, size) for size in prefix_sizes(codes))]


def _summary(method: str, counts: list[np.ndarray]) -> pd.DataFrame:
    rows = [
        {
            "method": method,
            "depth": depth,
            "documents": float(np.mean(own)),
            "lo": max(float(np.quantile(own, 0.1)), 1.0),
            "hi": max(float(np.quantile(own, 0.9)), 1.0),
            "alone": float(np.mean(own == 1)),
        }
        for depth, own in enumerate(counts)
    ]
    return pd.DataFrame(rows)


def sharing_figure(found: pd.DataFrame) -> style.Figure:
    """Draw how soon identifiers tell documents apart."""
    return prefix_ambiguity(found, "mean over identifiers, with the middle 80 %")


def sentence(found: pd.DataFrame, measured: pd.DataFrame, n_samples: int) -> str:
    """Answer the question from the numbers."""
    last = found.groupby("method", sort=False).last()
    ngram = last.loc["ngram"]
    own = measured[measured["temperature"] == measured["temperature"].iloc[0]]
    told = (
        f"a whole n-gram names one document {100 * ngram['alone']:.0f} % of the time and is shared by "
        f"{ngram['documents']:.2f} documents on average; {n_samples} draws fall on "
        f"{own['distinct'].mean():.1f} distinct starts ({own['effective'].mean():.0f} effective of "
        f"{own['starts'].mean():.0f})"
    )
    if "codebook" in last.index:
        code = found[found["method"] == "codebook"]
        half, whole = code[code["alone"] >= 0.5]["depth"], code.iloc[-1]
        named = (
            "no two documents have the same codes"
            if whole["alone"] == 1
            else f"all codes of a document name {whole['documents']:.2f} documents on average, and "
            f"{100 * whole['alone']:.0f} % of the documents alone"
        )
        apart = (
            f"half of them are told apart after {int(half.iloc[0])} of {int(code['depth'].max())} codes"
            if len(half)
            else "not half of them are told apart"
        )
        told += f"; {named}, and {apart}"
    return told[0].upper() + told[1:] + "."
