"""Which queries are withheld for test and validation, when a source has no split of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genret_core.errors import BadInput


def withhold(
    queries: Mapping[str, Sequence[str]],
    *,
    test_queries: int,
    validation_queries: int,
    seed: int,
    unseen_documents: int = 0,
) -> dict[str, str]:
    """Give every query a split.

    `unseen_documents` documents give all their queries to test; of `test_queries` others one query is
    withheld for test, and of `validation_queries` still others one for validation. Documents that lose a
    query keep another one for training, so that they are seen.

    Parameters
    ----------
    queries : mapping of document id to query ids
        A query belongs to one document.
    test_queries, validation_queries, unseen_documents : int
        Numbers of documents.
    seed : int

    Returns
    -------
    dict of query id to split, in the order of `queries`

    Raises
    ------
    BadInput
        If there are too few documents with two queries or more.
    """
    for name, number in (
        ("test_queries", test_queries),
        ("validation_queries", validation_queries),
        ("unseen_documents", unseen_documents),
    ):
        if number < 0:
            raise BadInput(f"{name} is {number}; give 0 or more.")
    rng = np.random.default_rng(seed)
    order = [list(queries)[i] for i in rng.permutation(len(queries))]
    split = {query: "train" for of_document in queries.values() for query in of_document}
    unseen = [document for document in order if queries[document]][:unseen_documents]
    for query in (query for document in unseen for query in queries[document]):
        split[query] = "test"
    withheld = set(unseen)
    several = [document for document in order if document not in withheld and len(queries[document]) > 1]
    if len(unseen) < unseen_documents or len(several) < test_queries + validation_queries:
        raise BadInput(
            f"{test_queries} test and {validation_queries} validation queries were asked for, each from "
            f"another document, but only {len(several)} documents have two queries or more; ask for fewer "
            "queries or for more documents."
        )
    for number, document in enumerate(several[: test_queries + validation_queries]):
        query = queries[document][int(rng.integers(len(queries[document])))]
        split[query] = "test" if number < test_queries else "validation"
    return split
