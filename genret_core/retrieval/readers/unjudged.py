"""Collections in BEIR's layout without judgements: enough to describe, index and search."""

from __future__ import annotations

import os
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus, Document, Query, write_corpus
from genret_core.retrieval.importing import beir
from genret_core.retrieval.importing.items import Passage, Question
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.readers.jsonl import find, naming_twins


def is_unjudged(path: str | os.PathLike[str]) -> bool:
    """Whether a folder has no file of judgements."""
    return not any(find(Path(path) / "qrels" / f"{split}.tsv") for split in beir.SPLITS)


def read(folder: str | os.PathLike[str], *, path: str) -> Corpus:
    """Write a corpus from a folder that has `corpus.jsonl` and perhaps `queries.jsonl`, and no judgements.

    Parameters
    ----------
    folder : path-like
        Where the corpus goes.
    path : str
        The collection.
    """
    root = Path(os.path.expandvars(path)).expanduser()
    documents, queries = (find(root / f"{name}.jsonl") for name in ("corpus", "queries"))
    if documents is None:
        raise BadInput(
            f"{root} has no corpus.jsonl (or corpus.jsonl.gz); name a collection in BEIR's layout."
        )
    found = [] if queries is None else beir.queries(Source(queries, root.name, "train"))
    with naming_twins(documents=documents, queries=queries):
        return write_corpus(
            folder,
            (
                Document(item.id, item.title, item.text if item.text.strip() else item.title, item.where)
                for item in beir.documents(Source(documents, root.name, "train"))
                if isinstance(item, Passage)
            ),
            (Query(item.id, item.text, item.where) for item in found if isinstance(item, Question)),
            (),
            {"name": root.name, "reader": "unjudged", "parameters": {"path": path}},
        )
