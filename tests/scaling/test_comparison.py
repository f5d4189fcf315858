"""Laws against each other: held-out errors by plain refits, criteria by hand, the published sets."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy import stats

from genret_core.errors import BadInput
from genret_core.scaling import fit, published
from genret_core.scaling.comparison.by_objective import objectives
from genret_core.scaling.comparison.compare import Comparison, compare, compare_with
from genret_core.scaling.comparison.held_out import largest_out, leave_one_out, rollout
from genret_core.scaling.comparison.residual_tests import runs_test

from .second_opinion import power_with_floor

T5 = {"study": "model_size", "method": "ngram", "family": "t5"}
DATA = {"study": "data_size", "method": "ngram"}
CODEBOOK = {"study": "model_size", "method": "codebook", "family": "t5"}


def points(wanted: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    rows = published.points(**wanted)
    x = rows["n_pairs" if wanted["study"] == "data_size" else "n_params"]
    return x.to_numpy(dtype=float), rows["cgl"].to_numpy()


def planted(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.geomspace(1e6, 1e9, n)
    return x, 3 * (x / 1e6) ** -0.5 + 1 + np.random.default_rng(seed).normal(0, noise, n)


def surface_points(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    P, D = (a.ravel() for a in np.meshgrid([1e6, 4e6, 16e6, 64e6], [1e5, 4e5, 16e5, 64e5]))
    y = 1 + (3e5 / P) ** 0.5 + (4e4 / D) ** 0.4 + np.random.default_rng(seed).normal(0, 0.01, 16)
    return P, D, y


# --- held-out points -------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["constant", "log_linear", "power", "exponential", "model_size"])
@pytest.mark.parametrize("objective", ["ols", "relative", "huber"])
def test_leave_one_out_is_a_plain_refit_each(law: str, objective: str) -> None:
    x, y = planted(7, 0.05)
    found = leave_one_out(fit(law, x, y, objective=objective, intervals=False))
    for i in range(7):
        rest = np.arange(7) != i
        plain = fit(law, x[rest], y[rest], objective=objective, intervals=False).predict(x[i])
        assert found.predictions[i] == pytest.approx(float(plain), rel=2e-6)
    errors = found.predictions - y
    assert found.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))


def test_weights_stay_when_points_are_left_out() -> None:
    x, y = planted(6, 0.05)
    sd = np.array([0.01, 0.2, 0.03, 0.02, 0.3, 0.05])
    found = largest_out(fit("model_size", x, y, sd=sd, intervals=False), 2)
    plain = fit("model_size", x[:4], y[:4], sd=sd[:4], intervals=False).predict(x[4:])
    assert found.predictions == pytest.approx(plain, rel=1e-6)
    assert found.errors == pytest.approx(plain - y[4:], rel=1e-5)
    assert found.mape == pytest.approx(100 * np.mean(np.abs(plain / y[4:] - 1)), rel=1e-5)


def test_the_largest_of_two_arguments_is_the_largest_compute() -> None:
    P, D, y = surface_points()
    found = largest_out(fit("surface", P, y, D, intervals=False), 2)  # P D: 64 x 64, then both 64 x 16
    assert sorted(found.rows) == [12, 15, 16] and found.rows[-1] == 16
    rest = ~np.isin(np.arange(1, 17), found.rows)
    plain = fit("surface", P[rest], y[rest], D[rest], intervals=False)
    assert found.predictions == pytest.approx(plain.predict(found.x, D[found.rows - 1]), rel=1e-6)


def test_copies_of_a_point_are_left_out_with_it() -> None:
    x, y = planted(6, 0.05)
    doubled = leave_one_out(fit("log_linear", np.append(x, x[2]), np.append(y, y[2]), intervals=False))
    rest = np.arange(6) != 2
    assert doubled.rows.tolist() == [1, 2, 3, 4, 5, 6]
    plain = fit("log_linear", x[rest], y[rest], intervals=False).predict(x[2])
    assert doubled.predictions[2] == pytest.approx(float(plain), rel=1e-9)


def test_rollout() -> None:
    x, y = planted(8, 0.02)
    table = rollout(fit("model_size", x, y, intervals=False))
    assert [held.k for held in table.held] == [1, 2, 3, 4, 5]  # three points are left at the end
    for held in table.held:
        plain = fit("model_size", x[: -held.k], y[: -held.k], intervals=False)
        assert held.out.predictions == pytest.approx(plain.predict(x[-held.k :]), rel=1e-6)
        assert held.params["alpha"] == pytest.approx(plain.params["alpha"], rel=1e-6)
        assert held.reach == pytest.approx(x[-1] / x[-held.k - 1])
    assert len(rollout(fit("model_size", x, y, intervals=False), 2).held) == 2
    assert len(json.loads(json.dumps(table.to_dict()))) == 5 and "held out" in str(table)
    with pytest.raises(BadInput, match="too few to hold one out"):
        rollout(fit("model_size", x[:3], y[:3], intervals=False))


# --- criteria and tests by hand --------------------------------------------------------------------------


def test_criteria_of_linear_laws_by_hand() -> None:
    x, y = planted(9, 0.1)
    found = compare(x, y, laws=["constant", "log_linear"])
    line = y - np.polyval(np.polyfit(np.log(x), y, 1), np.log(x))
    for law, residuals, k in (("constant", y - y.mean(), 1), ("log_linear", line, 2)):
        one, n, K = found[law], 9, k + 1
        misfit = n * np.log(residuals @ residuals / n)
        assert one.AICc == pytest.approx(misfit + 2 * K + 2 * K * (K + 1) / (n - K - 1))
        assert pytest.approx(misfit + K * np.log(n)) == one.BIC
        assert one.max_residual == pytest.approx(np.abs(residuals).max())
    total, left = ((y - y.mean()) ** 2).sum(), line @ line
    test = found["log_linear"].test_against("constant")
    assert test is not None and test.dof == (1, 7)
    assert pytest.approx((total - left) / (left / 7)) == test.F
    assert test.p == pytest.approx(stats.f.sf(test.F, 1, 7))
    assert test.p == pytest.approx(stats.linregress(np.log(x), y).pvalue)


def test_criteria_with_known_noise_by_hand() -> None:
    x, y = planted(6, 0.1)
    sd = np.linspace(0.05, 0.2, 6)
    found = compare(x, y, laws=["constant", "log_linear"], sd=sd)
    level = np.average(y, weights=sd**-2)
    line = np.polyval(np.polyfit(np.log(x), y, 1, w=1 / sd), np.log(x))
    chi = [(((y - fitted) / sd) ** 2).sum() for fitted in (level, line)]
    for law, value, k in (("constant", chi[0], 1), ("log_linear", chi[1], 2)):
        assert found[law].AICc == pytest.approx(value + 2 * k + 2 * k * (k + 1) / (6 - k - 1))
        assert pytest.approx(value + k * np.log(6)) == found[law].BIC
    test = found["log_linear"].test_against("constant")
    assert test is not None and test.dof == (1, None)
    assert test.p == pytest.approx(stats.chi2.sf(chi[0] - chi[1], 1))


def test_criteria_are_undefined_where_they_cannot_judge() -> None:
    x, y = planted(5, 0.01)
    found = compare(x, y)
    assert found["power"].AICc is not None and found["model_size"].AICc is None
    assert found["model_size"].BIC is None and found["constant"].AICc is not None
    assert found.best["AICc"] is None and found.best["loo"] == "model_size"
    assert "AICc is undefined for model_size" in found.sentence()
    robust = compare(*planted(8, 0.01), objective="huber")
    assert all(one.AICc is None and not one.tests for one in robust.laws)
    assert "no Gaussian likelihood" in robust.sentence()


def test_three_points_cannot_test_three_parameters() -> None:
    found = compare(*planted(3, 0.01))
    assert found["model_size"].loo.rmse is None and found["model_size"].largest.rmse is None
    assert found["log_linear"].loo.rmse is not None and not found["model_size"].tests
    assert found.ranking[-1] in ("model_size", "exponential")
    assert json.loads(json.dumps(found.to_dict()))[-1]["loo_rmse"] is None


@pytest.mark.parametrize("n", range(1, 9))
def test_runs_against_all_arrangements(n: int) -> None:
    def count(signs: tuple[int, ...]) -> int:
        return 1 + sum(a != b for a, b in itertools.pairwise(signs))

    for above in range(n + 1):
        arranged = set(itertools.permutations([1] * above + [-1] * (n - above))) if n < 8 else None
        if arranged is None:
            ups = itertools.combinations(range(n), above)
            arranged = {tuple(1 if i in up else -1 for i in range(n)) for up in ups}
        counts = np.array([count(signs) for signs in arranged])
        for signs in list(arranged)[:6]:
            found = runs_test(np.array(signs) * np.linspace(1, 2, n))
            assert (found.runs, found.above, found.below) == (count(signs), above, n - above)
            if above in (0, n):
                assert found.p is None
            else:
                assert found.p == pytest.approx(np.mean(counts <= found.runs))


def test_runs_leave_zeros_out_and_find_the_wrong_shape() -> None:
    assert runs_test([1.0, 0.0, 2.0, -1.0]).runs == 2 and runs_test([0.0, 0.0]).p is None
    x = np.geomspace(1, 1e4, 16)
    found = compare(x, 5 * x**-0.5 + 1, laws=["log_linear", "model_size"])
    p = found["log_linear"].runs.p
    assert p is not None and p < 0.05


# --- the published sets ----------------------------------------------------------------------------------

# as recorded, to the digits that were kept; `power` on the data set was recorded with exponents of .005 and
# more (left out, point 1 wants .0011), and errors of the law with a floor on an unpolished grid
RECORDED = [
    (T5, "constant", 7.3e-5, 7.5e-5),
    (T5, "log_linear", 3.8e-5, -4.7e-5),
    (T5, "power", 3.8e-5, -4.6e-5),
    (T5, "exponential", 4.2e-5, 2.6e-5),
    (DATA, "constant", 3.1e-5, 1.7e-5),
    (DATA, "log_linear", 3.0e-5, -2.1e-5),
    (DATA, "exponential", 2.2e-5, 4.9e-7),
]


@pytest.fixture(scope="module")
def compared() -> dict[str, Comparison]:
    return {
        "t5": compare(*points(T5)),
        "data": compare_with(fit("data_size", *points(DATA))),
        "codebook": compare(*points(CODEBOOK)),
    }


@pytest.mark.parametrize(("wanted", "law", "loo", "out"), RECORDED)
def test_the_recorded_held_out_errors(
    compared: dict[str, Comparison], wanted: dict[str, str], law: str, loo: float, out: float
) -> None:
    one = compared["t5" if wanted is T5 else "data"][law]
    assert one.loo.rmse == pytest.approx(loo, abs=0.05 * 10 ** np.floor(np.log10(loo)) * 1.01)
    assert one.largest.errors[0] == pytest.approx(out, abs=0.05 * 10 ** np.floor(np.log10(abs(out))) * 1.01)


@pytest.mark.parametrize(("name", "law", "loo", "out"), [
    ("t5", "model_size", 8.11e-6, 6.2e-7),
    ("data", "data_size", 1.377e-5, 1.97e-7),
])  # fmt: skip
def test_the_floor_law_against_a_second_solver(
    compared: dict[str, Comparison], name: str, law: str, loo: float, out: float
) -> None:
    x, y = points(T5 if name == "t5" else DATA)
    errors = []
    for i in range(5):
        rest = np.arange(5) != i
        alpha, amplitude, floor, _ = power_with_floor(x[rest], y[rest], n_starts=5)
        centre = np.exp(np.log(x[rest]).mean())
        errors.append(floor + amplitude * (x[i] / centre) ** -alpha - y[i])
    one = compared[name][law]
    assert one.loo.errors == pytest.approx(np.array(errors), rel=1e-3, abs=1e-11)
    assert one.loo.rmse == pytest.approx(loo, rel=1e-3)
    assert one.largest.errors[0] == pytest.approx(out, rel=5e-3)


def test_t5_has_a_floor_and_the_ranking_is_not_by_AICc(compared: dict[str, Comparison]) -> None:
    t5 = compared["t5"]
    test = t5["model_size"].test_against("power")
    assert test is not None and test.dof == (1, 2) and round(test.p, 3) == 0.005
    assert t5.ranking[0] == t5.best["largest"] == "model_size" and t5.best["AICc"] is None
    defined = {one.law: one.AICc for one in t5.laws if one.AICc is not None}
    assert min(defined, key=lambda law: defined[law]) == "constant"  # what a naive ranking would pick
    assert "A floor is supported" in t5.sentence()


def test_the_codebook_points_prefer_a_constant(compared: dict[str, Comparison]) -> None:
    found = compared["codebook"]
    assert found["constant"].AICc == pytest.approx(-123.4, abs=0.05)
    assert found["log_linear"].AICc == pytest.approx(-103.8, abs=0.05)
    assert found["model_size"].AICc is None and found["exponential"].AICc is None
    assert found.ranking[0] == "constant" and "No fall stands out" in found.sentence()
    # no power law is flat: its exponent stops at .001 here, at .005 where -71.9 was recorded
    x, y = points(CODEBOOK)
    for least, expected in ((0.001, found["power"].AICc), (0.005, -71.9)):
        basis = x**-least
        residuals = y - basis * (basis @ y) / (basis @ basis)
        assert 5 * np.log(residuals @ residuals / 5) + 6 + 24 == pytest.approx(expected, abs=0.05)
    assert found["model_size"].test_against("power") is None  # an edge is no law


# --- what is compared ------------------------------------------------------------------------------------


def test_defaults_and_orders() -> None:
    x, y = planted(12, 0.01)
    found = compare(x, y)
    assert set(found.ranking) == {"constant", "log_linear", "power", "exponential", "model_size", "broken"}
    errors = [one.loo.rmse for one in found.laws]
    assert errors == sorted(errors) and found.ranking[0] in ("model_size", "broken")
    ours = compare_with(fit("inference", x, y / 10), hold_out=3)
    assert "inference" in ours.ranking and "model_size" not in ours.ranking
    assert all(one.fit.law.bounds == (0.0, 1.0) for one in ours.laws)
    assert len(ours["inference"].largest.rows) == 3 and "3 largest" not in ours.sentence()
    text, html = str(found), found._repr_html_()
    assert "model_size" in text and "<table>" in html and found.sentence() in text
    rows = json.loads(json.dumps(found.to_dict()))
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 6] and "loo" in rows[0]["best_by"]


def test_laws_of_two_arguments_and_a_constant() -> None:
    P, D, y = surface_points()
    found = compare(P, y, x2=D, laws=["constant", "surface", "joint"], names={"x": "size", "x2": "pairs"})
    assert found.ranking[0] == "surface" and found.ranking[-1] == "constant"
    i = 5
    rest = np.arange(16) != i
    assert found["constant"].loo.predictions[i] == pytest.approx(y[rest].mean())
    assert all(one.largest.rows.tolist() == [16] for one in found.laws)
    alone = compare(P, y, x2=D, laws=["exponential", "model_size", "surface"])
    for law in ("exponential", "model_size"):
        plain = fit(law, P, y, intervals=False)
        assert alone[law].fit.params == pytest.approx(plain.params, rel=1e-6)
        assert alone[law].loo.predictions == pytest.approx(leave_one_out(plain).predictions, rel=1e-6)
        assert float(alone[law].fit.predict(2e6, 3e5)) == pytest.approx(float(plain.predict(2e6)))
    test = found["surface"].test_against("constant")
    assert test is not None and test.dof == (4, 11) and test.p < 1e-9
    bad = y.copy()
    bad[3] = np.nan
    kept = compare(P, bad, x2=D, laws=["constant", "surface"], drop_bad=True)
    assert kept["constant"].fit.n == kept["surface"].fit.n == 15


def test_laws_that_the_points_cannot_hold_are_named() -> None:
    x, y = planted(4, 0.01)
    found = compare(x, y, laws=["broken", "power", "constant"])
    assert set(found.ranking) == {"power", "constant"} and "broken" in found.left_out
    assert "Not compared: broken" in str(found)
    for laws, message in (
        (["broken"], "broken"),
        ([], "no law to compare"),
        (["powr"], "did you mean power"),
    ):
        with pytest.raises(BadInput, match=message):
            compare(x, y, laws=laws)
    with pytest.raises(BadInput, match="hold out between 1 and 3"):
        compare(x, y, hold_out=4)
    with pytest.raises(BadInput, match="no law of two arguments"):
        compare(x, y, x2=x, laws=["power"])
    with pytest.raises(BadInput, match="not compared here"):
        found["surface"]


def test_perfect_points_are_not_ranked_by_their_rounding() -> None:
    x = np.geomspace(1, 1e4, 12)
    found = compare(x, 3 * x**-0.5 + 1, laws=["model_size", "broken", "power"])
    assert found.best["BIC"] == "model_size"  # as good as the broken law, with fewer parameters
    test = found["broken"].test_against("model_size")
    assert test is not None and test.p > 0.05


def test_points_of_one_size_have_nothing_to_hold_out() -> None:
    constant = compare_with(fit("constant", [5.0, 5.0, 5.0], [1.0, 2.0, 1.5]))
    assert constant["constant"].largest.rmse is None and len(constant["constant"].largest.rows) == 0
    assert (
        constant["constant"].loo.errors == pytest.approx([0.75, -0.75, 0.0]) and "power" in constant.left_out
    )
    P = np.array([1, 2, 4, 8, 16, 32]) * 1e6
    budget = compare_with(fit("surface", P, 1 + (1e6 / P) ** 0.5 + (P / 6e7) ** 0.4, 6e12 / P))
    assert budget.best["largest"] is None and "largest point" not in budget.sentence()


@pytest.mark.parametrize("y", [np.arange(1.0, 7.0), np.full(6, 0.5), np.array([2.0, 1, 1, 1, 1, 1])])
def test_points_without_a_law_are_compared_all_the_same(y: np.ndarray) -> None:
    found = compare(np.geomspace(1e6, 1e9, 6), y)
    assert len(found.laws) == 5 and json.dumps(found.to_dict(), allow_nan=False)
    if y[0] < y[-1]:
        assert "No fall stands out" in found.sentence()


# --- objectives side by side -----------------------------------------------------------------------------


def test_objectives_side_by_side() -> None:
    x, y = planted(10, 0.01)
    y[4] *= 1.5
    f = fit("model_size", x, y, intervals=False)
    table = objectives(f, [1e9, 1e10])
    assert list(table.fits) == ["ols", "relative", "huber", "lad"]
    for name, one in table.fits.items():
        assert one.params == fit("model_size", x, y, objective=name, intervals=False).params
    values = [one.params["lambda_P"] for one in table.fits.values()]
    assert table.spread["lambda_P"] == pytest.approx(max(values) - min(values))
    clean = fit("model_size", np.delete(x, 4), np.delete(y, 4), intervals=False)
    off = {name: abs(one.params["alpha"] - clean.params["alpha"]) for name, one in table.fits.items()}
    assert off["lad"] < off["ols"] / 5 and off["huber"] < off["ols"] / 5
    at = np.array([one.predict([1e10])[0] for one in table.fits.values()])
    assert table.predicted_spread[1] == pytest.approx(np.ptp(at))
    assert "spread" in str(table) and len(json.loads(json.dumps(table.to_dict()))) == 4


def test_objectives_that_points_do_not_allow_are_told() -> None:
    x, y = planted(6, 0.01)
    table = objectives(fit("log_linear", x, y - 2, intervals=False))
    assert "ols" in table.fits and "huber" in table.left_out and "Not fitted: huber" in str(table)
    P, D, z = surface_points()
    both = objectives(fit("surface", P, z, D, intervals=False))
    assert both.x.tolist() == [64e6, 64e7] and both.x2 is not None and both.x2.tolist() == [64e5, 64e6]
