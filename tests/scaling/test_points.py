"""What cannot be fitted is refused in a sentence that names the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import fit

X = [1e6, 2e6, 4e6, 8e6, 1.6e7]
Y = [0.5, 0.4, 0.33, 0.28, 0.25]


def with_value(values: list[float], row: int, value: Any) -> list[Any]:
    changed: list[Any] = list(values)
    changed[row - 1] = value
    return changed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": with_value(X, 3, 0)}, "Row 3: P is 0, but it must be positive"),
        ({"x": with_value(X, 2, -5.0)}, "Row 2: P is -5, but"),
        ({"x": with_value(X, 2, np.inf)}, "Row 2: P is inf;"),
        ({"y": with_value(Y, 4, np.nan)}, "Row 4: CGL has no value"),
        ({"y": with_value(Y, 4, None)}, "Row 4: CGL has no value"),
        ({"y": with_value(Y, 5, np.inf)}, "Row 5: CGL is inf;"),
        ({"y": with_value(Y, 1, "high")}, "Row 1: CGL is 'high', not a number"),
        ({"x": [3e9] * 5}, "Rows 1 to 5 all have P = 3e+09"),
        ({"x": X[:2], "y": Y[:2]}, "has 3 parameters, but there are only 2 points"),
        ({"x": [1e6, 1e6, 2e6, 2e6], "y": Y[:4]}, "only 4 points at 2 distinct P"),
        ({"y": Y[:4]}, "P has 5 values and CGL has 4"),
        ({"x2": X}, "has one argument"),
        ({"sd": with_value([0.1] * 5, 2, 0.0)}, "Row 2: sd is 0, but it must be positive"),
        ({"sd": [0.1, 0.1]}, "sd has 2 values"),
        ({"x": [X]}, "P must be one column"),
        ({"x": [], "y": []}, "only 0 points"),
        ({"level": 95}, "level is 95"),
        ({"seed_sd": -1.0}, "seed_sd is -1"),
        ({"replicates": np.ones((50, 5))}, "shape (50, 5), but there are 5 points"),
        ({"replicates": np.ones((5, 10))}, "10 draws; intervals at 95% need 40"),
        ({"replicates": np.full((5, 50), np.nan)}, "Row 1: replicates holds no number in draw 1"),
        ({"replicates": [["a"] * 50] * 5}, "replicates holds something that is not a number"),
    ],
)
def test_refusals(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as refusal:
        fit("model_size", **{"x": X, "y": Y, **arguments})
    assert sentence in str(refusal.value)
    assert str(refusal.value).endswith((".", "?"))


def test_a_miss_rate_must_be_a_rate() -> None:
    with pytest.raises(BadInput, match=r"Row 2: MR is 1.4, outside \[0, 1\]"):
        fit("inference", X, with_value(Y, 2, 1.4))


def test_a_joint_law_needs_two_arguments_that_part() -> None:
    with pytest.raises(BadInput, match="needs a second argument"):
        fit("joint", X, Y)
    x = np.geomspace(1, 100, 8)
    assert "collinear" in fit("surface", x, 0.1 + 1 / x, x * 20).codes
    with pytest.raises(BadInput, match="all have D = 5"):
        fit("joint", x, 1 / x, [5.0] * 8)


def test_names_are_used_in_sentences() -> None:
    with pytest.raises(BadInput, match="Row 1: body parameters is 0"):
        fit("model_size", with_value(X, 1, 0), Y, names={"x": "body parameters"})


def test_rows_without_a_value_are_dropped_on_request() -> None:
    x, y = [*X, 3.2e7], [0.5, np.nan, 0.33, 0.28, 0.25, 0.24]
    replicates = np.tile(np.nan_to_num(np.array(y), nan=9.0)[:, None], (1, 50))
    found = fit("model_size", x, y, replicates=replicates, drop_bad=True)
    assert found.n == 5 and "rows_dropped" in found.codes
    assert next(v for v in found.verdicts if v.code == "rows_dropped").rows == (2,)
    whole = fit("model_size", [x[i] for i in (0, 2, 3, 4, 5)], [y[i] for i in (0, 2, 3, 4, 5)])
    assert found.params == whole.params
    assert found.draws[:, 2].max() < 1  # the 9 that stood in for the dropped row is gone


def test_all_bad_rows_are_told_at_once_and_by_their_own_numbers() -> None:
    x, y = [*X, -1.0, 0.0, 6.4e7], [*Y, 0.2, 0.2, np.nan]
    with pytest.raises(BadInput) as refusal:
        fit("model_size", x, y, rows=range(11, 19))
    told = str(refusal.value)
    assert "Row 16: P is -1" in told and "row 17: P is 0" in told and "row 18: CGL has no value" in told
    assert refusal.value.code == "bad_rows"
    kept = fit("model_size", x, y, rows=range(11, 19), drop_bad=True)
    assert [row for row, _ in kept.points.dropped] == [16, 17, 18]
    assert kept.params == fit("model_size", X, Y).params
    with pytest.raises(BadInput) as nothing:
        fit("model_size", X, [np.nan] * 5, drop_bad=True)
    assert nothing.value.code == "nothing_finite"


def test_options_that_contradict_each_other_are_refused() -> None:
    for options in (
        {"sd": 0.1, "objective": "huber"},
        {"sd": 0.1, "weights": [1.0] * 5},
        {"objective": "median"},
        {"objective": "huber", "delta": 0.0},
        {"bounds": (1.0, 0.0)},
        {"chance": 0.1, "n_negatives": 64},
        {"bootstrap": 3},
    ):
        with pytest.raises(BadInput):
            fit("model_size", X, Y, **options)


def test_binomial_noise_of_rates() -> None:
    rates = [0.5, 0.4, 0.33, 0.0, 0.25]
    sd = np.sqrt(np.array([0.25, 0.24, 0.33 * 0.67, 0.005 * 0.995, 0.25 * 0.75]) / 100)
    one, other = fit("inference", X, rates, trials=100), fit("inference", X, rates, sd=sd)
    assert one.params == pytest.approx(other.params, nan_ok=True)
    assert one.interval("lambda_C") == other.interval("lambda_C")


def test_pandas_and_integers_are_taken() -> None:
    import pandas as pd

    frame = pd.DataFrame({"P": [int(x) for x in X], "CGL": Y}, index=[9, 8, 7, 6, 5])
    assert fit("model_size", frame["P"], frame["CGL"]).params == fit("model_size", X, Y).params
