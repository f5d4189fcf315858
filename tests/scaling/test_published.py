"""The published numbers: complete, sourced, found by their names, and drawn where they were printed."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import published
from genret_core.scaling.published.digits import rounded, unit


def test_points_are_all_there_with_their_source() -> None:
    table = published.points()
    assert len(table) == 21 and table["source_note"].str.len().min() > 20
    assert table.groupby(["study", "method", "family"]).size().to_dict() == {
        ("data_size", "ngram", "llama2"): 5,
        ("model_size", "codebook", "llama2"): 3,
        ("model_size", "codebook", "t5"): 5,
        ("model_size", "ngram", "llama2"): 3,
        ("model_size", "ngram", "t5"): 5,
    }
    small = published.points(family="t5", method="ngram")["n_params"].iloc[0]
    assert small == 60_506_624 - 32_128 * 512  # without the embedding
    with pytest.raises(BadInput, match="family = 'bert'; there are llama2, t5"):
        published.points(family="bert")


def test_laws_as_printed() -> None:
    assert len(published.laws()) == 11
    (t5,) = published.laws(law="model_size", family="t5")
    assert dict(t5.params) == {"gamma": 2.26e-2, "alpha": 0.40, "lambda_P": 0.00356} and t5.R2 == 0.996
    assert dict(t5.printed) == {"gamma": "2.26e-2", "alpha": "0.40", "lambda_P": "0.00356"}
    assert {law.metric for law in published.laws(where="Table 3", family="t5")} == {"MR@5", "MR@20", "MR@100"}
    with pytest.raises(BadInput, match="no law with family = 'bert'"):
        published.laws(family="bert")
    with pytest.raises(TypeError):
        t5.params["alpha"] = 0.5  # type: ignore[index]


def test_every_law_is_found_by_its_own_name() -> None:
    names = [law.id for law in published.laws()]
    assert len(set(names)) == 11
    for law in published.laws():
        assert published.find(law.id) == (law,)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("table1", ["table1:t5", "table1:llama"]),
        ("table1:llama2", ["table1:llama"]),
        ("Table 1 : T5", ["table1:t5"]),
        ("table2:llama", ["table2:ngram", "table2:codebook"]),
        ("table3:k=5", ["table3:t5:k=5", "table3:llama:k=5"]),
        ("table3:MR@20,t5", ["table3:t5:k=20"]),
        ("table3:t5:ngram:k=100", ["table3:t5:k=100"]),
        *((alias, ["eqs9-10"]) for alias in ("eq8", "eq9", "eq10", "eqs9-10", "joint", "joint:llama")),
    ],
)
def test_identifiers_in_any_order(asked: str, found: list[str]) -> None:
    assert [law.id for law in published.find(asked)] == found


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("table4", "no published law 'table4'; there are table1:t5, table1:llama, table2:ngram"),
        ("t5", "no published law 't5'; there are table1:t5"),
        ("table3:k=7", "'k=7' in 'table3:k=7' selects no published law; write a family"),
        ("table1:", "'' in 'table1:' selects no published law"),
        ("table1:codebook", "no law 'table1:codebook'; of table1 there are table1:t5, table1:llama."),
        ("table3:t5:llama", "of table3 there are table3:t5:k=5"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(asked: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        published.find(asked)


def test_the_points_behind_a_law() -> None:
    counts = {law.id: published.behind(law) for law in published.laws()}
    assert {name: len(points.y) for name, points in counts.items() if points is not None} == {
        "table1:t5": 5, "table1:llama": 3, "table2:ngram": 5, "eqs9-10": 8,
    }  # fmt: skip
    joint = counts["eqs9-10"]
    assert joint is not None and joint.x2 is not None
    assert joint.x.min() > 6e9 and joint.x2.max() == 588_800, "x is P and x2 is D"


def test_printed_digits() -> None:
    assert [unit(text) for text in ("2.26e-2", "0.40", "1.24e8", "0.00356", "0.996")] == [
        1e-4, 1e-2, 1e6, 1e-5, 1e-3,
    ]  # fmt: skip
    assert rounded(2.24934e-2, "2.26e-2") == 0.0225
    assert rounded(29235.0, "6.32e3") == 29200.0  # three significant digits, whatever its size
    assert rounded(8.9134, "3.27") == 8.91  # two decimals
    assert rounded(9.996, "1.01") == 10.0
    assert rounded(0.0, "2.26e-2") == 0.0
    for law in published.laws():
        for text in law.printed.values():
            assert rounded(float(text), text) == pytest.approx(float(text), rel=1e-15)


def test_table_3_as_read() -> None:
    """Predictions at C = 1e12 and 1e9, as read from the printed coefficients by hand."""
    expected = {
        ("t5", "MR@5"): 0.488, ("t5", "MR@20"): 0.292, ("t5", "MR@100"): 0.158,
        ("llama2", "MR@5"): 0.406, ("llama2", "MR@20"): 0.284, ("llama2", "MR@100"): 0.189,
    }  # fmt: skip
    for (family, metric), value in expected.items():
        (law,) = published.laws(law="inference", family=family, metric=metric)
        assert law.predict(1e12) == pytest.approx(value, abs=6e-4)
    (steep,) = published.laws(law="inference", family="llama2", metric="MR@100")
    assert steep.predict(1e9) == 1.0
    assert steep.predict(1e9, clip=False) == pytest.approx(2.28, abs=5e-3)


def test_the_joint_law_exchanged() -> None:
    (law,) = published.laws(law="joint")
    assert law.exchanged and "exchanged" in law.note
    P, D = 6_607_343_616, np.array([117_760, 235_520, 353_280, 471_040, 588_800])
    assert law.predict(P, D) == pytest.approx([0.003409, 0.003350, 0.003345, 0.003344, 0.003344], abs=6e-7)
    assert law.predict(P, 588_800, as_printed=True) == pytest.approx(0.5918, abs=5e-5)
