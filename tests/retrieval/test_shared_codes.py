"""Documents that share codes, and positions with codes of their own: pairs, CGL, search and miss rates."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.retrieval.cgl import cgl_per_query
from genret_core.retrieval.code_index import CodeIndex
from genret_core.retrieval.codebook import Codebook, CodebookConfig, code_pairs, fit_codebook
from genret_core.retrieval.codebook_quality import collision_table
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.metrics import per_query_metrics
from genret_core.retrieval.ranking import rank_codes
from genret_core.retrieval.sample import codebook_sample, draw_queries_and_negatives

N, FIRST = 60, 100


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Ten texts, six documents each; query i asks for document i and, every third, for its copy i + 10."""
    documents = [Document(f"d{i}", "", f"text{i % 10} of kind{i % 5} word{i % 2}") for i in range(N)]
    queries = [Query(f"q{i}", f"text{i % 10}") for i in range(N)]
    qrels = [Qrel(f"q{i}", f"d{i}", 1, "test") for i in range(N)]
    qrels += [Qrel(f"q{i}", f"d{(i + 10) % N}", 1, "test") for i in range(0, N, 3)]
    return write_corpus(tmp_path_factory.mktemp("c") / "corpus", documents, queries, qrels, {})


@pytest.fixture(scope="module", params=["shared", "own"])
def book(corpus: Corpus, request: pytest.FixtureRequest) -> Codebook:
    return fit_codebook(
        corpus, CodebookConfig(N_c=6, L_c=2, embedding_dim=5, collisions="shared", positions=request.param)
    )


def groups(book: Codebook) -> dict[tuple[int, ...], list[int]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for document, code in enumerate(book.codes.tolist()):
        found.setdefault(tuple(code), []).append(document)
    return found


def test_copies_share_and_are_counted(corpus: Corpus, book: Codebook) -> None:
    shared = groups(book)
    assert all(len({tuple(book.codes[i].tolist()) for i in range(text, N, 10)}) == 1 for text in range(10))
    assert book.n_collisions == N - len(shared)
    sizes = [len(own) for own in shared.values()]
    (row,) = collision_table(book).to_dict("records")
    assert (row["depth"], row["identifiers"], row["alone"], row["sharing"]) == (2, len(shared), 0, N)
    assert row["largest"] == max(sizes)
    assert row["expected"] == pytest.approx(sum(n * n for n in sizes) / N)
    unique = fit_codebook(corpus, CodebookConfig(N_c=8, L_c=2, embedding_dim=5))
    assert collision_table(unique)["alone"].tolist() == [N]
    assert collision_table(unique, [1])["identifiers"].tolist() == [len(set(unique.codes[:, 0].tolist()))]


def test_tokens_of_positions(book: Codebook) -> None:
    own = book.config.positions == "own"
    assert book.n_tokens == (12 if own else 6)
    expected = [
        [FIRST + c + (6 * t if own else 0) for t, c in enumerate(code)] for code in book.codes.tolist()
    ]
    assert book.token_ids(FIRST).tolist() == expected
    assert book.token_ids(FIRST, np.array([7, 3])).tolist() == [expected[7], expected[3]]
    assert code_pairs([0, 0], [9, 19], book, FIRST).ids.tolist() == [expected[9], expected[19]]
    assert book.in_words(expected[5], FIRST) == " ".join(f"c{c}" for c in book.codes[5].tolist())


def test_cgl_takes_negatives_that_share_a_positives_codes_as_they_are(corpus: Corpus, book: Codebook) -> None:
    drawn = draw_queries_and_negatives(corpus, "test", None, 20, 0)
    sample = codebook_sample(corpus, book, FIRST, "test", *drawn)
    rng = np.random.default_rng(0)
    loss = {code: rng.uniform(1, 9) for code in groups(book)}  # what a model gives: by codes, not by document
    nll = [loss[tuple(book.codes[document].tolist())] for document in sample.pairs.document.tolist()]
    found = cgl_per_query(sample.losses(nll, np.full(len(nll), 2))).set_index("query")["CGL"]
    clashes = 0
    for query, negatives in zip(*drawn, strict=True):
        positive = [loss[tuple(book.codes[d].tolist())] for d in corpus.relevant(int(query)).tolist()]
        others = [loss[tuple(book.codes[d].tolist())] for d in negatives.tolist()]
        clashes += bool(set(positive) & set(others))
        assert found[query] == pytest.approx(np.log1p(np.mean(positive) / np.sum(others)))
    assert clashes > N // 2  # or nothing was tested


def test_a_found_identifier_gives_all_its_documents(corpus: Corpus, book: Codebook) -> None:
    index = CodeIndex.build(book.token_ids(FIRST))
    written = list(groups(book))
    rng = np.random.default_rng(1)
    asked = [
        (query, code, float(-rng.integers(0, 4)))
        for query in range(N)
        for code in written
        if rng.random() < 0.6
    ]
    ids = np.array([book.token_ids(FIRST)[groups(book)[code][0]] for _, code, _ in asked], np.int32)
    lo, hi = index.find(ids.tolist())
    found = Hypotheses(
        query=np.array([query for query, _, _ in asked], np.int32), ids=ids,
        length=np.full(len(asked), 2, np.int16), score=np.array([score for *_, score in asked]),
        lo=lo, hi=hi, final=np.ones(len(asked), bool), filled=np.full(N, len(written), np.int32),
        n_queries=N, beam=len(written),
    )  # fmt: skip
    for k in (7, 100):
        ranking = rank_codes(found, index, N, k=k)
        expected: list[list[int]] = []
        for query in range(N):
            all_of = [(-score, d) for q, code, score in asked if q == query for d in groups(book)[code]]
            expected.append([d for _, d in sorted(all_of)[:k]])  # ties go by the document's row
        assert [ranking.document[ranking.query == q].tolist() for q in range(N)] == expected
    metrics = per_query_metrics(corpus, np.arange(N, dtype=np.int32), ranking)
    recall = metrics[metrics["metric"] == "R@5"].set_index("query")["value"]
    for query in range(N):
        relevant = set(corpus.relevant(query).tolist())
        assert recall[query] == pytest.approx(len(relevant & set(expected[query][:5])) / len(relevant))


def test_sizes_that_only_sharing_allows(corpus: Corpus) -> None:
    few = fit_codebook(corpus, CodebookConfig(N_c=3, L_c=2, embedding_dim=5, collisions="shared"))
    assert few.codes.shape == (N, 2)
    assert len(groups(few)) <= 9
    assert few.n_collisions == N - len(groups(few))
