"""What searches with other switches are called, and who takes only the plain ones."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from planted import spec

from genret_core.errors import BadInput
from genret_core.modeling import SearchEval
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import expand
from genret_core.workbench.study.variants import Switches, plain_rows, variant_names


def study(*blocks: dict[str, Any]) -> StudySpec:
    plain = spec().model_dump()
    return StudySpec(**{**plain, "search": blocks})


def names(*blocks: dict[str, Any], method: str = "ngram") -> list[str]:
    return list(variant_names(study(*blocks), method).values())


MILD = {"allow_overlaps": True, "repetition_penalty": 0}


def test_the_first_block_is_plain_and_others_say_what_is_otherwise() -> None:
    assert names({}, {"rescore": True}) == ["default", "rescored"]
    assert names({"scoring": MILD}, {"beams": [1, 2], "scoring": MILD}) == ["default"]
    assert names({"scoring": MILD}, {"scoring": {**MILD, "full_score": True}, "unigrams": True}) == [
        "default", "unigrams, full score",
    ]  # fmt: skip
    assert names({"scoring": MILD}, {}) == ["default", "repetition penalty 0.8, no overlaps"]
    assert names({}, {"scoring": {"length_penalty": 0.25}}) == ["default", "length penalty 0.25"]
    assert names({"query_keys": True}, {}) == ["default", "no query keys"]
    assert names({}, {"k": 50, "max_new_tokens": 5}) == ["default", "k 50, 5 tokens"]
    assert names({}, {"scoring": {"alpha": 2.0, "smoothing": 5}}) == ["default"]  # the defaults, spelled out
    assert names({"n_queries": 9}, {"split": "seen"}) == ["default"]  # these have columns of their own


def test_what_codes_do_not_use_names_no_variant() -> None:
    both = {"methods": ["ngram", "codebook"]}
    blocks = ({**both}, {**both, "query_keys": True})
    assert names(*blocks) == ["default", "query keys"]
    assert names(*blocks, method="codebook") == ["default"]


def test_a_name_of_the_study_is_taken() -> None:
    assert names({}, {"rescore": True, "name": "as SEAL"}) == ["default", "as SEAL"]
    assert names({"rescore": True, "name": "as SEAL"}, {}) == ["default", "as SEAL"]
    assert names({"rescore": True}, {"name": "default"}) == ["default", "rescored"]
    assert names({"rescore": True, "name": "a"}, {"name": "b"}) == ["a", "b"]
    assert names({"name": "a", "beams": [1]}, {"name": "a", "beams": [2]}) == ["a"]


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        (
            ({}, {"rescore": True, "name": "a"}, {"unigrams": True, "name": "a"}),
            "search.2.name.*'a' of ngram",
        ),
        (({"name": "a"}, {"name": "b"}), "is called 'a' above"),
        (({}, {"rescore": True}, {"unigrams": True, "name": "rescored"}), "called 'rescored'"),
    ],
)
def test_one_name_means_one_search(blocks: tuple[dict[str, Any], ...], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        expand(study(*blocks))


def test_planned_and_done_searches_have_the_same_switches() -> None:
    made = study({"scoring": MILD, "rescore": True})
    planned = expand(made)[0].searches[0]
    done = SearchEval(
        "s", planned.beam, "seen", 5, planned.k, planned.max_new_tokens, dict(planned.scoring), True
    )
    assert variant_names(made, "ngram")[Switches.of(done)] == "default"


def test_only_plain_rows_are_kept() -> None:
    rows = pd.DataFrame(
        {
            "method": ["ngram", "ngram", "codebook", "codebook", "codebook", "bm25"],
            "variant": ["default", "rescored", "b", "a", "b", "default"],
        }
    )
    assert plain_rows(rows).index.tolist() == [0, 2, 4, 5]
    assert plain_rows(rows.head(1)).index.tolist() == [0]
