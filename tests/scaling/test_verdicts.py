"""Each verdict appears where it should, and not where it should not."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.scaling import fit, get_law, laws

X = np.geomspace(1e6, 1e9, 6)
GOOD = 0.2 + 0.5 * (X / X[0]) ** -0.5
WAVE = np.array([1, -1, 1, -1, 1, -1])


def test_a_good_fit_has_none() -> None:
    assert not fit("model_size", X, GOOD + 1e-4 * WAVE).codes
    assert not fit("model_size", X, GOOD, sd=1e-3).codes


def test_saturated() -> None:
    found = fit("model_size", X[:3], GOOD[:3])
    assert found.codes == {"saturated", "aicc_undefined"} and not found.intervals
    assert np.isnan(found.band(X)[0]).all()
    assert "cannot test 3 parameters" in found.sentence()
    with_noise = fit("model_size", X[:3], GOOD[:3], sd=1e-4)
    assert "saturated" in with_noise.codes and "alpha" in with_noise.intervals
    with_draws = fit(
        "model_size",
        X[:3],
        GOOD[:3],
        replicates=GOOD[:3, None] + 1e-4 * np.random.default_rng(0).normal(size=(3, 60)),
    )
    assert "alpha" in with_draws.intervals and "R2" not in with_draws.intervals


def test_wrong_sign() -> None:
    found = fit("model_size", X, GOOD[::-1])
    assert "wrong_sign" in found.codes and "rises with P" in found.findings[0].message
    assert "does not fall" in found.sentence()
    assert np.isnan(found.params["alpha"]) and found.params["lambda_P"] == pytest.approx(GOOD.mean())
    assert found.predict(X) == pytest.approx(np.full(6, GOOD.mean()))


def test_no_trend() -> None:
    flat = 0.3 + 0.01 * np.array([1.0, -1, 0.4, -0.6, 1, -0.9])
    assert "no_trend" in fit("model_size", X, flat).codes
    draws = flat[:, None] + 0.01 * np.random.default_rng(0).normal(size=(6, 200))
    assert "no_trend" in fit("model_size", X, flat, replicates=draws).codes
    clear = GOOD[:, None] + 0.01 * np.random.default_rng(0).normal(size=(6, 200))
    assert "no_trend" not in fit("model_size", X, GOOD, replicates=clear).codes


def test_constant_values_have_no_trend_and_no_r2() -> None:
    found = fit("model_size", X, np.full(6, 0.3))
    assert found.codes & {"wrong_sign", "no_trend"} and np.isnan(found.R2)


def test_at_edge() -> None:
    step = np.array([1.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert "at_edge" in fit("model_size", np.linspace(1, 1.5, 6), step).codes


def test_outside_bounds() -> None:
    miss = np.array([0.97, 0.999, 0.5, 0.3, 0.25, 0.2])
    found = fit("inference", X, miss)
    assert (found.predict(X) <= 1).all() and (found.predict(X, clip=False) > 1).any()
    assert "outside_bounds" in found.codes


def test_near_chance_needs_n() -> None:
    chance = np.log1p(1 / 64)
    y = chance * np.array([1.001, 0.999, 0.97, 0.9, 0.85, 0.83])
    found = fit("model_size", X, y, n_negatives=64)
    assert "near_chance" in found.codes and "2 of 6 points" in "".join(v.message for v in found.verdicts)
    assert "near_chance" not in fit("model_size", X, y).codes
    assert "near_chance" not in fit("model_size", X, y * 0.5, n_negatives=64).codes


def test_lack_of_fit() -> None:
    wavy = GOOD + 0.02 * WAVE
    assert "lack_of_fit" in fit("model_size", X, wavy, sd=0.002).codes
    assert "lack_of_fit" not in fit("model_size", X, wavy, sd=0.02).codes


def test_pure_error_tells_a_law_that_misses_the_means() -> None:
    x = np.repeat(X, 3)
    jitter = 1e-3 * np.tile([-1.0, 0.0, 1.0], 6)
    bent = np.repeat(GOOD + 0.02 * WAVE, 3) + jitter
    assert "lack_of_fit" in fit("model_size", x, bent).codes
    assert "lack_of_fit" not in fit("model_size", x, np.repeat(GOOD, 3) + jitter).codes


def test_every_open_end_has_its_verdict() -> None:
    step = np.array([1.0, 0.5, 0.5, 0.5, 0.5])
    found = fit("model_size", X[:5], step, sd=0.01)
    open_ = next(v for v in found.verdicts if v.code == "exponent_open")
    assert open_.param == "alpha" and open_.help and not found.identified("alpha")
    assert not found.identified("gamma") and found.identified("lambda_P")


def test_an_outlier_and_a_row_that_rules_are_named_by_their_rows() -> None:
    rng = np.random.default_rng(3)
    x = np.geomspace(1e6, 1e9, 12)
    y = 0.2 + 0.5 * (x / x[0]) ** -0.5 + 1e-3 * rng.normal(size=12)
    assert not {"outlier", "influential"} & fit("model_size", x, y).codes
    y[6] += 0.02
    found = fit("model_size", x, y, rows=range(101, 113))
    assert next(v for v in found.verdicts if v.code == "outlier").rows == (107,)
    y[6] -= 0.02
    y[0] += 0.03  # the row that sets the exponent
    pulled = fit("model_size", x, y, rows=range(101, 113))
    assert 101 in next(v for v in pulled.verdicts if v.code == "influential").rows


def test_two_arms_do_not_test_how_they_combine() -> None:
    P, D = np.array([1, 2, 4, 8, 8, 8, 8.0]) * 1e6, np.array([8, 8, 8, 8, 4, 2, 1.0]) * 1e4
    y = laws.surface(P, D, 0.1, 50.0, 30.0, 0.4, 0.5)
    assert "no_interaction_tested" in fit("surface", P, y, D).codes
    off = fit("surface", np.append(P, 1e6), np.append(y, laws.surface(1e6, 1e4, 0.1, 50, 30, 0.4, 0.5)),
              np.append(D, 1e4))  # fmt: skip
    assert "no_interaction_tested" not in off.codes


def test_verdicts_are_machine_readable() -> None:
    told = [v.to_dict() for v in fit("model_size", np.append(X, X[0]), np.append(GOOD, GOOD[0])).verdicts]
    duplicates = next(one for one in told if one["code"] == "duplicates")
    assert duplicates["rows"] == [7] and duplicates["message"] and duplicates["help"]


def test_duplicates_add_no_freedom() -> None:
    found = fit("model_size", np.append(X, X[0]), np.append(GOOD, GOOD[0]))
    assert found.dof == 3 and found.n == 7 and "duplicates" in found.codes
    replicated = fit("model_size", np.append(X, X[0]), np.append(GOOD, GOOD[0] + 0.01))
    assert replicated.dof == 4 and "duplicates" not in replicated.codes


@pytest.mark.parametrize("law", ["constant", "log_linear", "exponential"])
def test_rows_that_rule_a_law_without_an_exponent(law: str) -> None:
    ruled = next(v for v in fit(law, X, GOOD, sd=1e-6).verdicts if v.code == "influential")
    assert ruled.param in get_law(law).names and ruled.rows
