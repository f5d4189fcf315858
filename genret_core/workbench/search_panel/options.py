"""The switches of a search as a person sees them: what they are called, what they do, and how they stand."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from genret_core.modeling import SearchEval
from genret_core.retrieval.scoring import Scoring

OF_SCORING = ("full_score", "allow_overlaps", "corpus_frequency", "length_penalty")


@dataclass(frozen=True)
class Options:
    """Switches of a search, beside its beam.

    Attributes
    ----------
    rescore, query_keys, unigrams : bool
        Of `SearchEval`.
    full_score, allow_overlaps, corpus_frequency : bool
        Of `Scoring`.
    length_penalty : float
        Of `Scoring`.
    """

    rescore: bool = False
    query_keys: bool = False
    unigrams: bool = False
    full_score: bool = False
    allow_overlaps: bool = False
    corpus_frequency: bool = True
    length_penalty: float = 0.0

    @staticmethod
    def of(search: SearchEval) -> Options:
        """Take them from a search."""
        scoring = Scoring.of(search.scoring)
        return Options(
            search.rescore, search.query_keys, search.unigrams,
            **{name: getattr(scoring, name) for name in OF_SCORING},
        )  # fmt: skip

    def put_into(self, search: SearchEval, method: str) -> SearchEval:
        """Switch a search; codes have no words, so that these switches are off for them."""
        words = method == "ngram"
        values = asdict(self)
        own = {name: values[name] for name in OF_SCORING}
        standing = asdict(Scoring.of(search.scoring))
        changed = {name: value for name, value in own.items() if value != standing[name]}
        return replace(
            search,
            scoring={**search.scoring, **changed},
            rescore=self.rescore,
            query_keys=self.query_keys and words,
            unigrams=self.unigrams and words,
        )


LABELS = {  # name: label, tooltip
    "rescore": (
        "Rescore",
        "Score every key anew: the model reads the bare query, and each key is forced upon it. Costs about "
        "as much as the search.",
    ),
    "query_keys": (
        "Query’s words",
        "Words of the query, one to three in a row, are keys too where they stand in the corpus. n-grams "
        "only.",
    ),
    "unigrams": (
        "First tokens",
        "Tokens that the model would begin with are keys too, and with the full score they speak for places "
        "that no key covers. n-grams only.",
    ),
    "full_score": (
        "Full score",
        "Match all keys, frequent ones too, in the text of the best documents, and rank these anew. n-grams "
        "only.",
    ),
    "allow_overlaps": (
        "Overlaps count",
        "Keys count where they overlap heavier ones; else a document's text is given to the heaviest first. "
        "n-grams only.",
    ),
    "corpus_frequency": (
        "Corpus frequency",
        "Weigh a key by how much likelier the model finds it than it is frequent in the corpus; else by its "
        "likelihood alone. n-grams only.",
    ),
    "length_penalty": (
        "Length penalty",
        "From 0 (none) to 1: multiplies a key's log-probability by (1 − penalty) for every token after its "
        "first, so that longer keys weigh more. n-grams only.",
    ),
}
