"""The search panel on the test study: what it shows is what was written, found and judged."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from genret_core.retrieval import corpus as corpora
from genret_core.retrieval.bm25 import Bm25Index, bm25_ranking
from genret_core.retrieval.tokenizer import TextTokenizer, tokenize_documents, train_tokenizer
from genret_core.workbench.report import outputs
from genret_core.workbench.runs import Study
from genret_core.workbench.search_panel import opening, words
from genret_core.workbench.search_panel.marked import excerpt, marked
from genret_core.workbench.search_panel.options import Options
from genret_core.workbench.search_panel.outcome import Document, Outcome, Side, Span, Wanted, Written
from genret_core.workbench.search_panel.panel import NOTHING_YET, SearchPanel
from genret_core.workbench.search_panel.pieces import pieces
from genret_core.workbench.search_panel.plain import to_text
from genret_core.workbench.search_panel.retrievers import Retrievers
from genret_core.workbench.search_panel.spans import locate
from genret_core.workbench.search_panel.view import colours, to_html, verdict

TAGS = {"div", "b", "br", "wbr", "span", "table", "thead", "tbody", "tr", "th", "td", "mark", "code"}
NASTY = """<img src=x onerror="alert('1')"></td><script>alert(2)</script>&amp;"""


@pytest.fixture(scope="module")
def searched(test_study: Study) -> SearchPanel:
    """A panel that was asked something; loading its models takes a while."""
    panel = SearchPanel(test_study)
    panel.query.value = " ".join(test_study.corpus.query_text(0).split()[:2])
    assert not panel.message, panel.message
    return panel


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag in ("br", "wbr") else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def written(text: str, *ids: int, weight: float | None = 1.0, **more: Any) -> Written:
    values = {"log_prob": -1.0, "count": 1, "final": False, **more}
    return Written(ids=ids, text=text, weight=weight, **values)


def made(rank: int | None = 1, **more: Any) -> Side:
    document = Document(
        3, rank or 1, 2.0, "t", "some text", (Span(0, 4, 1.0, "some"),), relevant=rank is not None
    )
    values = {"name": "llama-d16, n-grams", "family": "llama", "method": "ngram", "beam": 10, "seconds": 0.1}
    values |= {"written": (written("some", 7),), "documents": (document,), "n_found": 9}
    return Side(**{**values, **more})


# ---- what it opens with ----


def test_it_opens_from_disk_without_torch(test_study: Study) -> None:
    code = (
        "import sys; from genret_core.workbench.runs import open_study;"
        "from genret_core.workbench.search_panel.panel import SearchPanel;"
        f"panel = SearchPanel(open_study({str(test_study.folder)!r}));"
        "page = panel._repr_mimebundle_()['text/html']; assert '<table' in page;"
        "sys.exit(', '.join(n for n in ('torch', 'transformers') if n in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_opening_is_what_finished_searches_say(test_study: Study) -> None:
    retrievers = Retrievers(test_study, "seen")
    beam, chosen = retrievers.opening()
    assert [(one.family, one.method) for one, _ in chosen] == [("llama", "ngram"), ("t5", "ngram")]
    results = test_study.results
    for one, run in chosen:
        rivals = results[
            (results["metric"] == "RR@10") & (results["beam"] == beam) & (results["method"] == "ngram")
            & (results["family"] == one.family) & (results["split"] == "seen")
            & (results["variant"] == "default")
        ]  # fmt: skip
        assert rivals.set_index("run_id")["value"][run] == rivals["value"].max()
    outcome = opening.opening(retrievers, words.Words(test_study)).outcome
    assert outcome is not None
    texts = dict(opening.queries(test_study, "seen", 1000))
    row = texts[outcome.query]
    assert {one.row for one in outcome.wanted or ()} == set(test_study.corpus.relevant(row).tolist())
    for side, (_, run) in zip(outcome.sides, chosen, strict=True):
        ranking = pd.read_parquet(retrievers.folder(run) / "searches.parquet")
        own = ranking[ranking["query"] == row].set_index("rank")
        assert len(own) == side.n_found
        for document in side.documents:
            assert own.loc[document.rank - 1, "document"] == document.row
            assert own.loc[document.rank - 1, "score"] == pytest.approx(document.score)
        hits = own[own["document"].isin(test_study.corpus.relevant(row))].index
        assert side.relevant_rank == (hits.min() + 1 if len(hits) else None)
        kept = pd.read_parquet(retrievers.folder(run) / "written.parquet")
        kept = kept[kept["query"] == row]
        assert sorted(one.log_prob for one in side.written) == sorted(kept["log_prob"])


def test_a_study_without_kept_identifiers_opens_empty(
    test_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = Retrievers(test_study, "seen").finished.head(0)
    monkeypatch.setattr(Retrievers, "finished", property(lambda self: none))
    panel = SearchPanel(test_study)
    assert panel.outcome is None and NOTHING_YET in panel.shown.value
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == NOTHING_YET and "text/html" not in bundle


def test_in_a_report_a_table_takes_its_place(test_study: Study) -> None:
    panel = SearchPanel(test_study)
    assert panel.outcome is not None
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == to_text(panel.outcome)
    cell = {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": dict(bundle)}]}
    outputs.prepare([cell])
    (output,) = cell["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}  # type: ignore[index]
    page = Page(output["data"]["text/html"])  # type: ignore[index]
    assert not page.open and panel.outcome.query in "".join(page.text)


# ---- asking ----


def test_a_search_now_says_what_the_finished_one_said(searched: SearchPanel, test_study: Study) -> None:
    first = opening.opening(searched.retrievers, searched.words)
    assert first.outcome is not None
    for key, before in zip(first.asked.keys, first.outcome.sides, strict=True):
        relevant = [one.row for one in first.outcome.wanted or ()]
        trace = searched.asking.trace(
            searched.retrievers.of(key), first.asked.query, first.asked.beam, relevant
        )
        assert len(trace.document) == before.n_found
        for document in before.documents:  # batches of other queries beside it move the last digits
            assert trace.score[document.rank - 1] == pytest.approx(document.score, rel=1e-3)
        live = {one.ids: one for one in trace.written}
        for one in before.written:
            if one.weight or one.final:
                assert live[one.ids].text == one.text and live[one.ids].count == one.count
                assert live[one.ids].log_prob == pytest.approx(one.log_prob, rel=1e-3)


def test_scores_are_the_sum_of_what_was_written(searched: SearchPanel) -> None:
    """With overlaps allowed and no penalty a document's score is the sum of its n-grams' weights."""
    query = searched.outcome.query if searched.outcome else ""
    key = searched.first.value
    trace = searched.asking.trace(searched.retrievers.of(key), query, 5, [])
    for place, document in enumerate(trace.document[:4].tolist()):
        assert trace.credits is not None
        total = sum(trace.written[i].weight or 0.0 for i in trace.credits[document])
        assert total == pytest.approx(trace.score[place])


def test_marked_places_are_those_of_a_string_search(searched: SearchPanel, test_study: Study) -> None:
    searched.query.value = test_study.corpus.query_text(1)
    assert searched.outcome is not None and not searched.message
    marks = whole = 0
    for side in searched.outcome.sides:
        for document in side.documents:
            text = " ".join(test_study.corpus.document_text(document.row).split())
            assert document.text == text
            for span in document.spans:
                assert text[span.start : span.end].lower() == span.by.strip().lower()
                assert span.start == 0 or text[span.start - 1] == " "  # an n-gram begins with a word
                marks += 1
            for ngram in {span.by for span in document.spans}:
                pattern = rf"(?<!\S){re.escape(ngram.strip())}(?!\S)"
                places = {match.span() for match in re.finditer(pattern, text, re.I)}
                assert places <= {(s.start, s.end) for s in document.spans if s.by == ngram}
                whole += len(places)
    assert marks >= whole > 0


def test_bm25_stands_beside_in_its_own_order(searched: SearchPanel, test_study: Study) -> None:
    row = int(test_study.sample("ngram", "seen").queries[2])
    searched.picked.value = row
    assert searched.outcome is not None and searched.outcome.words is not None
    ranking = bm25_ranking(test_study.corpus, [row])
    beside = searched.outcome.words
    assert beside.n_found == len(ranking)
    for document in beside.documents:
        assert ranking.document[document.rank - 1] == document.row
        assert ranking.score[document.rank - 1] == pytest.approx(document.score)
        asked = set(re.findall(r"\w+", test_study.corpus.query_text(row).lower()))
        assert {s.by.lower() for s in (*document.spans, *document.title_spans)} <= asked
        assert all(document.text[s.start : s.end] == s.by for s in document.spans)


def test_a_picked_query_knows_what_it_asks_for_and_a_typed_one_does_not(
    searched: SearchPanel, test_study: Study
) -> None:
    row = int(test_study.sample("ngram", "seen").queries[3])
    searched.picked.value = row
    assert searched.query.value == " ".join(test_study.corpus.query_text(row).split())
    assert searched.outcome is not None and searched.outcome.wanted is not None
    wanted = [one.row for one in searched.outcome.wanted]
    assert wanted == test_study.corpus.relevant(row).tolist()
    for side in searched.outcome.rankings:
        assert [d.relevant for d in side.documents] == [d.row in wanted for d in side.documents]
    searched.query.value = searched.query.value + " " + searched.query.value.split()[0]
    assert searched.outcome.wanted is None and searched.picked.value == -1
    assert "of your own" in searched.shown.value


def test_beams_and_retrievers_are_those_of_the_controls(searched: SearchPanel) -> None:
    code = next(one for one in searched.retrievers.all if one.method == "codebook")
    searched.second.value = code.key
    searched.beam.value = 20
    assert searched.outcome is not None and not searched.message
    ngram, codes = searched.outcome.sides
    assert [s.beam for s in searched.outcome.sides] == [20, 20] and codes.name == code.name
    assert len({*colours(searched.outcome)}) == 3
    found = searched.study.codebook.codes
    for document in codes.documents:
        assert document.codes == " ".join(f"c{i}" for i in found[document.row])
        assert document.codes in {one.text for one in codes.written}
    likely = [piece.written.log_prob for piece in pieces(codes).heavy]
    assert likely == sorted(likely, reverse=True)
    searched.second.value = searched.first.value
    assert [s.name for s in searched.outcome.sides] == [ngram.name]  # the same twice is shown once
    searched.second.value = ""
    assert len(searched.outcome.rankings) == 2
    assert set(searched.asking._loaded) <= {one.key for one in searched.retrievers.all}
    assert len(searched.asking._loaded) <= 2


def test_a_part_of_the_data_is_named_and_searches_like_the_others(searched: SearchPanel) -> None:
    part = next(one for one in searched.retrievers.all if one.cell.fraction == 0.25)
    assert "25 % of the queries" in part.name and not part.cell.searches
    whole = next(one for one in searched.retrievers.all if one.cell.searches and one.method == "ngram")
    search = searched.retrievers.search_of(part, 7)
    assert search.beam == 7 and search.scoring == whole.cell.searches[0].scoring
    names = [one.name for one in searched.retrievers.all]
    assert len(names) == len(set(names))


# ---- what can go wrong ----


def test_an_error_is_a_sentence_and_the_last_answer_stays(
    searched: SearchPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, page = searched.outcome, searched.shown.value
    searched.query.value = "   "
    assert searched.message == "The query is empty; type some words to look for."
    assert searched.outcome is before and searched.shown.value == page

    def broken(*_: Any) -> None:
        raise RuntimeError(f"no memory\nfor {NASTY}")

    with monkeypatch.context() as patch:
        patch.setattr(searched.asking, "trace", broken)
        searched.query.value = "anything"
    assert searched.message.startswith("The search failed: no memory for <img")
    assert "<img" not in searched.status.value and "Below is still" in searched.status.value
    assert searched.outcome is before and searched.shown.value == page and not searched.go.disabled
    searched.go.click()  # the same once more, now that nothing is broken
    assert searched.message == "" and searched.status.value == ""
    assert searched.outcome is not None and searched.outcome.query == "anything"


def test_it_says_that_it_is_busy(searched: SearchPanel) -> None:
    told: list[str] = []
    searched.status.observe(lambda change: told.append(change["new"]), "value")
    searched.query.value = "a b c"
    searched.status.unobserve_all()
    assert len(told) == 2 and "Searching" in told[0] and told[1] == ""


def test_a_query_may_hold_anything(searched: SearchPanel) -> None:
    searched.query.value = NASTY
    assert not searched.message, searched.message
    assert not {tag for tag, _ in Page(searched.shown.value).tags} & {"img", "script"}


def test_what_was_asked_already_is_not_searched_again(
    searched: SearchPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched.query.value = "once"
    monkeypatch.setattr(searched.asking, "trace", lambda *_: pytest.fail("searched again"))
    searched.go.click()
    assert not searched.message


def test_bm25_is_asked_of_the_index_that_lies_with_the_study(
    test_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bm25Index, "build", lambda *_, **__: pytest.fail("indexed again"))
    study = Study(test_study.folder, test_study.spec)
    outcome = opening.opening(Retrievers(study, "seen"), words.Words(study)).outcome
    assert outcome is not None and outcome.words.documents
    assert "BM25" in to_html(outcome) and "BM25" in to_text(outcome)


def test_the_switches_stand_as_the_study_searches_and_change_what_is_found(
    searched: SearchPanel, test_study: Study
) -> None:
    own = Options.of(next(c for c in test_study.plan if c.searches and c.method == "ngram").searches[0])
    fresh = SearchPanel(test_study)
    assert fresh.asked.options == own == fresh.retrievers.options and own.allow_overlaps
    assert all(control.description and control.tooltip for control in fresh.switches.values())
    searched.second.value = next(one.key for one in searched.retrievers.all if one.method == "codebook")
    row = int(test_study.sample("ngram", "seen").queries[4])
    searched.picked.value = row
    assert searched.outcome is not None
    plain, codes = searched.outcome.sides
    assert {one.source for one in plain.written} == {"beam"} and plain.flops
    searched.switches["query_keys"].value = True
    keyed, coded = searched.outcome.sides
    spans = [one for one in keyed.written if "query" in one.source]
    query = test_study.corpus.query_text(row).lower()
    assert spans and all(one.text.lower() in query for one in spans)
    assert coded == codes or coded.seconds != codes.seconds
    assert [one.row for one in coded.documents] == [one.row for one in codes.documents]
    assert keyed.flops is not None and plain.flops is not None and keyed.flops > plain.flops
    searched.switches["query_keys"].value = False
    searched.switches["rescore"].value = True
    again = searched.outcome.sides[0]
    prompts = [one.log_prob for one in plain.written]
    assert sorted(one.log_prob for one in again.written) == pytest.approx(sorted(prompts), abs=1e-4)
    searched.switches["rescore"].value = False
    searched.switches["length_penalty"].value = 0.9
    longer = searched.outcome.sides[0]
    assert [one.weight for one in longer.written] != [one.weight for one in plain.written]
    assert not searched.message
    searched.switches["length_penalty"].value = 0.0
    searched.second.value = ""


# ---- how it is drawn ----


def test_everything_from_outside_is_escaped() -> None:
    spans = (Span(0, 12, 2.0, NASTY),)
    document = Document(1, 1, 1.0, NASTY, NASTY, spans, spans, relevant=True)
    coded = Document(1, 1, 1.0, NASTY, NASTY, codes=NASTY)
    beams = (
        written(NASTY, 1),
        written(NASTY + " on", 1, 2, weight=0.5),
        written(NASTY, 3, weight=0.0, final=True),
    )
    outcome = Outcome(
        query=NASTY,
        wanted=(Wanted(1, NASTY, NASTY),),
        sides=(
            made(name=NASTY, documents=(document,), written=beams, note=NASTY),
            made(method="codebook", documents=(coded,), written=(written(NASTY, 5, weight=None),)),
        ),
        words=made(method="bm25", family="bm25", documents=(document,), written=()),
        origin=NASTY,
    )
    page = Page(to_html(outcome))
    assert not page.open
    assert {tag for tag, _ in page.tags} <= TAGS
    attributes = {name for _, found in page.tags for name in found}
    assert attributes <= {"style", "title", "scope", "colspan"}
    assert "".join(page.text).count(NASTY) >= 10


def test_marks_cover_just_their_spans() -> None:
    text = "one <two> three"
    page = Page(marked(text, (Span(4, 9, 2.0, "<two>"), Span(0, 5, 1.0, "one <")), "#0072B2", 2.0, "weight"))
    assert "".join(page.text) == text
    assert page.text == ["one ", "<two>", " three"] or page.text == ["one ", "<", "two", ">", " three"]
    hints = [found["title"] for tag, found in page.tags if tag == "mark"]
    assert hints == ["one <: weight 1.0", "<two>: weight 2.0"]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 200))
def test_an_excerpt_keeps_its_spans(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("abc&<é"), rng.integers(1, 10))) for _ in range(rng.integers(1, 60))]
    text = " ".join(texts)
    ends = np.sort(rng.integers(0, len(text) + 1, (rng.integers(0, 6), 2)), axis=1)
    spans = [Span(a, b, float(rng.uniform(0, 9)), text[a:b]) for a, b in ends.tolist() if a < b]
    cut, kept = excerpt(text, spans, length)
    assert cut.strip("…\u00a0") in text and len(cut) <= length + 24
    for span in kept:
        assert cut[span.start : span.end] in span.by and span.start < span.end
    if spans and max(span.weight for span in spans) > 0.01:
        assert kept  # it is cut where something is marked


def test_beginnings_in_the_same_places_are_one_line() -> None:
    beams = (
        written("turtle g", 1, 2, weight=9.0, count=2),
        written("turtle graph", 1, 2, 3, weight=8.0, count=2),
        written("turtle", 1, weight=7.0, count=5),
        written("turtle graphics", 1, 2, 3, 4, weight=6.0, count=2, final=True),
        written("other end", 8, 9, weight=0.0, log_prob=-2.0, final=True),
    )
    shown = pieces(made(written=beams))
    assert [(p.written.text, p.onwards) for p in shown.heavy] == [("turtle g", "raphics"), ("turtle", "")]
    assert [p.written.text for p in shown.final] == ["other end"]


def test_the_verdict_names_every_ranking() -> None:
    bm25 = made(None, name="BM25", family="bm25", method="bm25")
    pair = (made(2), made(None, name="t5-d16, n-grams", family="t5"))
    outcome = Outcome("q", (Wanted(3, "t", "x"),), pair, bm25, "")
    assert verdict(outcome) == (
        "llama-d16 puts the document asked for at rank 2; t5-d16 does not find it; BM25 does not find it."
    )
    alike = Outcome("q", (Wanted(3, "t", "x"),), (made(1), made(1, name="llama-d16, codebook")), bm25, "")
    assert verdict(alike).startswith("llama-d16, n-grams puts") and "llama-d16, codebook puts" in verdict(
        alike
    )
    assert verdict(Outcome("q", None, pair, bm25, "")).startswith("A query of your own")


# ---- where n-grams stand ----

TEXTS = {
    "plain": "Return the inverse of a matrix. The matrix must be square, and The Matrix is square.",
    "signs": "a<b && c>d: 'x' \"y\"  naïve   cafe\u0301 (see numpy.linalg.inv) — end…",
    "odd": "zero\u200bwidth \u00ad soft ﬁne İstanbul 中文 文字 \U0001f600 end",
    "long": "word " * 30 + "last",
}


@pytest.fixture
def corpus(tmp_path: Path) -> corpora.Corpus:
    return corpora.write_corpus(
        tmp_path / "corpus",
        documents=[corpora.Document(name, "", text) for name, text in TEXTS.items()],
        queries=[corpora.Query("q", "inverse matrix")],
        qrels=[corpora.Qrel("q", "plain", 1, "train")],
        meta={"name": "places"},
    )


def own_tokenizer(corpus: corpora.Corpus, folder: Path) -> TextTokenizer:
    """The workbench's own: a word's first token is marked."""
    return train_tokenizer(corpus, folder, vocab_size=128)


def spaced_tokenizer(corpus: corpora.Corpus, folder: Path) -> TextTokenizer:
    """One that knows a word by the space before it, as many pretrained models have."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<pad>", "</s>", "<sep>", "<unk>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(corpus.document_texts(), trainer)
    return TextTokenizer(backend, 0, 1, 2, 3, "spaced")


@pytest.mark.parametrize("kind", [own_tokenizer, spaced_tokenizer])
def test_places_of_tokens_in_texts_of_all_kinds(kind: Any, corpus: corpora.Corpus, tmp_path: Path) -> None:
    tokenizer = kind(corpus, tmp_path)
    stream = tokenize_documents(corpus, tokenizer, tmp_path)
    study: Any = SimpleNamespace(corpus=corpus, tokenizer=tokenizer, stream=stream)
    for row, text in enumerate(TEXTS.values()):
        found = locate(study, row)
        assert found.text == " ".join(text.split())
        assert (found.start <= found.end).all() and (np.diff(found.start) >= 0).all()
        assert len(found.ids) == len(stream.document(row)) == len(found.start)
        begins = stream.word_starts[stream.doc_starts[row] : stream.doc_starts[row + 1] - 1]
        words_at = [match.start() for match in re.finditer(r"\S+", found.text)]
        assert found.start[begins].tolist() == words_at
        for i in range(len(found.ids)):
            spans = found.spans([written("", *found.ids[i : i + 5].tolist())])
            assert (found.start[i], found.end[min(i + 4, len(found.ids) - 1)]) in {
                (s.start, s.end) for s in spans
            }
    plain = locate(study, 0)
    ids = tokenizer.encode(["matrix"])[0].tolist()
    places = {(s.start, s.end) for s in plain.spans([written("matrix", *ids)])}
    whole = {match.span() for match in re.finditer("matrix", TEXTS["plain"])}
    assert places >= whole and len(whole) == 2


def test_where_a_tokenizer_does_not_say_whole_words_are_marked(
    corpus: corpora.Corpus, tmp_path: Path
) -> None:
    tokenizer = own_tokenizer(corpus, tmp_path)
    stream = tokenize_documents(corpus, tokenizer, tmp_path)
    silent = SimpleNamespace(encode=lambda *_, **__: SimpleNamespace(ids=[-1], offsets=[(0, 1)]))
    study: Any = SimpleNamespace(corpus=corpus, tokenizer=SimpleNamespace(backend=silent), stream=stream)
    for row in range(len(TEXTS)):
        found = locate(study, row)
        pieces_of_text = {found.text[a:b] for a, b in zip(found.start, found.end, strict=True)}
        assert pieces_of_text == set(found.text.split())
