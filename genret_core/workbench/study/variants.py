"""What searches of one cell are called that differ in their switches: `default`, `rescored`, `query keys`.

The plain search of a method is `default`: that of the first block of `search` without a `name` (or the one
named `default`). Another is called by its block's `name`, else by what it has otherwise than the plain one.
The words depend on these two searches alone, not on what else a study searches.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import pandas as pd

from genret_core.errors import BadInput
from genret_core.modeling import SearchEval
from genret_core.retrieval.scoring import Scoring
from genret_core.workbench.study.file import SearchBlock, StudySpec
from genret_core.workbench.study.grid import Where, longest_identifier, nowhere

DEFAULT = "default"
WORDS = {  # of a switch: on, off
    "rescore": ("rescored", "not rescored"),
    "query_keys": ("query keys", "no query keys"),
    "unigrams": ("unigrams", "no unigrams"),
    "full_score": ("full score", "first stage"),
    "allow_overlaps": ("overlaps count", "no overlaps"),
    "corpus_frequency": ("corpus frequency", "no corpus frequency"),
    "sort_by_length": ("best key longest", "best key not longest"),
    "sort_by_freq": ("best key rarest", "best key not rarest"),
    "unigrams_ignore_free_places": ("unigrams everywhere", "unigrams on free places"),
}


@dataclass(frozen=True)
class Switches:
    """All that tells two searches of a cell apart, beside beam, split and number of queries."""

    scoring: Scoring
    rescore: bool
    query_keys: bool
    unigrams: bool
    k: int
    max_new_tokens: int

    @staticmethod
    def of(search: SearchEval) -> Switches:
        """Take them from a search."""
        return Switches(
            Scoring.of(search.scoring), search.rescore, search.query_keys, search.unigrams,
            search.k, search.max_new_tokens,
        )  # fmt: skip

    @staticmethod
    def asked(spec: StudySpec, block: SearchBlock, method: str) -> Switches:
        """Take what a block of the study asks of a method: codes know no query keys and no unigrams."""
        words = method == "ngram"
        return Switches(
            Scoring.of(block.scoring), block.rescore, block.query_keys and words, block.unigrams and words,
            block.k, block.max_new_tokens or longest_identifier(spec, method),
        )  # fmt: skip

    def told_from(self, plain: Switches) -> str:
        """Say what is otherwise than in the plain search."""
        told = []
        for own, other in (
            (_flat(self), _flat(plain)),
            (asdict(self.scoring), asdict(plain.scoring)),
        ):
            told += [_word(name, value) for name, value in own.items() if value != other[name]]
        return ", ".join(told)


def _flat(switches: Switches) -> dict[str, float]:
    return {name: value for name, value in vars(switches).items() if name != "scoring"}


def _word(name: str, value: float) -> str:
    if name in WORDS:
        return WORDS[name][0 if value else 1]
    if name == "max_new_tokens":
        return f"{value} tokens"
    return f"{name.replace('_', ' ')} {value:g}"


def variant_names(spec: StudySpec, method: str, *, where: Where = nowhere) -> dict[Switches, str]:
    """Name the searches of a method, the plain one first.

    Raises
    ------
    BadInput
        If two names are given to the same search, or one name to two.
    """
    blocks = [(i, block) for i, block in enumerate(spec.search) if method in block.methods]
    asked = [(i, block.name, Switches.asked(spec, block, method)) for i, block in blocks]
    plain = next((own for _, name, own in asked if name == DEFAULT), None)
    plain = plain or next((own for _, name, own in asked if name is None), None)
    given: dict[Switches, str] = {}
    for i, name, own in asked:
        if name is None:
            continue
        other = given.setdefault(own, name)
        taken = next((one for one, its in given.items() if its == name and one != own), None)
        if other != name or taken is not None:
            told = f"is called {other!r} above" if other != name else "has other switches than the one above"
            raise BadInput(
                f"{where(('search', i, 'name'))}: the search {name!r} of {method} {told}; a name belongs to "
                "one set of switches."
            )
    names = {} if plain is None else {plain: given.get(plain, DEFAULT)}
    for i, _, own in asked:
        if own not in names:
            names[own] = given.get(own) or ("" if plain is None else own.told_from(plain))
            if list(names.values()).count(names[own]) > 1:
                raise BadInput(
                    f"{where(('search', i))}: two searches of {method} are called {names[own]!r}; give this "
                    "one another `name`."
                )
    return names


def plain_search(spec: StudySpec, method: str) -> SearchEval:
    """Describe the plain search of a method for a single query, with a beam of 10.

    A method that the study does not search is searched with the published settings.
    """
    own = next(iter(variant_names(spec, method)), None)
    search = SearchEval(
        sample="", beam=10, split="", n_queries=1, max_new_tokens=longest_identifier(spec, method)
    )
    if own is None:
        return search
    standing = asdict(Scoring())
    scoring = {name: value for name, value in asdict(own.scoring).items() if value != standing[name]}
    switches = {name: value for name, value in vars(own).items() if name != "scoring"}
    return replace(search, scoring=scoring, **switches)


def plain_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep, of each method, the plain searches; where all are named, those that there are most of."""
    if "variant" not in rows or rows["variant"].nunique() < 2:
        return rows
    kept = pd.Series(False, index=rows.index)
    for _, own in rows.groupby("method", sort=False)["variant"]:
        counts = own.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        kept[own.index] = own == (DEFAULT if DEFAULT in counts else counts.index[0])
    return rows[kept]
