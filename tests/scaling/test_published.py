"""The published numbers: complete, sourced, and drawn where they were printed."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import published


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
    assert {law.metric for law in published.laws(where="Table 3", family="t5")} == {"MR@5", "MR@20", "MR@100"}
    with pytest.raises(BadInput, match="no law with family = 'bert'"):
        published.laws(family="bert")
    with pytest.raises(TypeError):
        t5.params["alpha"] = 0.5  # type: ignore[index]


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
    assert steep.predict(1e9) == 1.0  # 2.28 before clipping


def test_r2_of_the_printed_digits() -> None:
    """Three digits of a floor are too few: the printed T5 coefficients give 0.9755 on their own points."""
    rows = published.points(study="model_size", method="ngram", family="t5")
    (law,) = published.laws(law="model_size", family="t5")
    y = rows["cgl"].to_numpy()
    residuals = y - law.predict(rows["n_params"].to_numpy())
    assert 1 - (residuals**2).sum() / ((y - y.mean()) ** 2).sum() == pytest.approx(0.9755, abs=2e-4)


def test_the_joint_law_exchanged() -> None:
    (law,) = published.laws(law="joint")
    assert law.exchanged and "exchanged" in law.note
    P, D = 6_607_343_616, np.array([117_760, 235_520, 353_280, 471_040, 588_800])
    assert law.predict(P, D) == pytest.approx([0.003409, 0.003350, 0.003345, 0.003344, 0.003344], abs=6e-7)
