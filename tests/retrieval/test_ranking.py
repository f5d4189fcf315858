from __future__ import annotations

import numpy as np

from genret_core.retrieval.ranking import top_documents


def test_top_documents_sorts_within_queries_and_breaks_ties_by_document_row():
    query = np.array([2, 0, 0, 2, 0, 2])
    document = np.array([5, 9, 3, 1, 4, 8])
    score = np.array([1.0, 2.0, 2.0, 1.0, 7.0, 0.5])
    ranking = top_documents(query, document, score, 4, k=2)
    assert ranking.query.tolist() == [0, 0, 2, 2]
    assert ranking.document.tolist() == [4, 3, 1, 5]
    assert ranking.score.tolist() == [7.0, 2.0, 1.0, 1.0]
    assert ranking.rank.tolist() == [0, 1, 0, 1]
    assert ranking.n_queries == 4
    assert list(ranking.to_frame().columns) == ["query", "document", "score", "rank"]
