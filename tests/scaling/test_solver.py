"""The solver: planted parameters, brute force, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.scaling import fit, laws
from genret_core.scaling.points import read_points
from genret_core.scaling.solver import search as solver
from genret_core.scaling.solver.descent import descend, slope
from genret_core.scaling.solver.projection import Task, best_linear, moments
from genret_core.scaling.solver.resampled import solve_draws

from .second_opinion import power_with_floor


@pytest.mark.parametrize("alpha", [0.02, 0.4, 2.4, 8.0, 30.0])
@pytest.mark.parametrize("floor", [0.0, 0.0035])
def test_planted_parameters_are_recovered(alpha: float, floor: float) -> None:
    span = min(10.0, np.exp(6 / alpha))  # wide enough to bend, not so wide that the floor drowns in digits
    x = np.geomspace(1e8 / span, 1e8 * span, 8)
    gamma = np.exp(np.log(1e8) + np.log(1e-3) / alpha)  # amplitude 1e-3 in the middle
    found = fit("model_size", x, laws.model_size(x, gamma, alpha, floor))
    assert found.params["alpha"] == pytest.approx(alpha, rel=1e-6)
    assert found.derived["amplitude_at_centre"] == pytest.approx(1e-3, rel=1e-6)
    assert found.params["lambda_P"] == pytest.approx(floor, abs=1e-8)


def test_a_planted_joint_law_is_recovered() -> None:
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e4, 1e6, 4)))
    planted = {"gamma": 3e5, "alpha": 0.35, "beta": 0.6, "eta": 2e3, "delta": 0.02}
    found = fit("joint", P, laws.joint(P, D, **planted), D)
    assert found.params == pytest.approx(planted, rel=1e-5)


def test_scale_and_units_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 1e4, 7)
    y = 0.2 + 0.5 * x**-0.4 + 0.01 * rng.normal(size=7)
    one, other = fit("model_size", x, y), fit("model_size", x * 1e9, y * 1e-7)
    assert one.params["alpha"] == pytest.approx(other.params["alpha"], rel=1e-9)
    assert one.params["lambda_P"] == pytest.approx(other.params["lambda_P"] * 1e7, rel=1e-9)


def test_the_same_points_give_the_same_digits() -> None:
    rng = np.random.default_rng(5)
    x, y = np.geomspace(1, 100, 6), rng.uniform(0.1, 0.9, 6)
    Y = y[:, None] + 0.1 * rng.normal(size=(6, 50))
    first, second = (fit("inference", x, y, replicates=Y, seed_sd=0.01, seed=3) for _ in range(2))
    assert first.params == second.params or np.isnan(first.params["sigma"])
    assert np.array_equal(first.draws, second.draws, equal_nan=True)


def test_noisy_points_against_the_second_solver() -> None:
    rng = np.random.default_rng(7)
    x = np.geomspace(1, 1e3, 6)
    for i in range(12):
        y = 0.3 + 0.4 * x ** -rng.uniform(0.1, 1.5) + 0.03 * rng.normal(size=6)
        ours = fit("model_size", x, y)
        _, _, _, sse = power_with_floor(x, y, n_starts=12, seed=i)
        assert ours.sse <= sse * (1 + 1e-7), "the second solver found a lower sum of squares"


def test_draws_are_global_optima() -> None:
    """Every draw, solved in one matrix product, equals its own full search and a second solver."""
    rng = np.random.default_rng(11)
    x = np.geomspace(1, 1e3, 5)
    y = 0.3 + 0.4 * x**-0.5
    Y = y + 0.04 * rng.normal(size=(60, 5))
    points = read_points(laws.MODEL_SIZE, x, y)
    task = points.task(Y)
    together = solve_draws(task)
    for i in range(len(Y)):
        alone, _ = solver.solve(task.rows(np.array([i])))
        assert together.objective[i] == pytest.approx(alone.objective[0], rel=1e-9)
        if i < 12:
            _, _, _, sse = power_with_floor(x, Y[i], n_starts=10, seed=i)
            assert together.objective[i] * points.unit <= sse * (1 + 1e-6)


def test_joint_draws_are_as_good_as_a_full_search() -> None:
    rng = np.random.default_rng(2)
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e4, 1e6, 3)))
    y = laws.joint(P, D, 3e4, 0.5, 0.8, 2e2, 0.1)
    points = read_points(laws.JOINT, P, y, D)
    task = points.task(y + 0.003 * rng.normal(size=(12, y.size)))
    optima, _ = solver.solve(points.task())
    together = solve_draws(task, optima)
    for i in range(12):
        alone, _ = solver.solve(task.rows(np.array([i])))
        assert together.objective[i] <= alone.objective[0] * (1 + 1e-6)


def test_the_linear_part_is_nonnegative_least_squares() -> None:
    from scipy.optimize import nnls

    rng = np.random.default_rng(1)
    phi, Y, w = rng.uniform(0, 1, (200, 6)), rng.normal(size=(200, 6)), rng.uniform(0.2, 3, 6)
    amplitude, floor, objective = best_linear(laws.MODEL_SIZE, moments(phi, Y, w[None]))
    for i in range(200):
        design = np.column_stack([phi[i], np.ones(6)]) * np.sqrt(w)[:, None]
        solution, norm = nnls(design, Y[i] * np.sqrt(w))
        assert (amplitude[i], floor[i]) == pytest.approx(tuple(solution), abs=1e-10)
        assert objective[i] == pytest.approx(norm**2, rel=1e-9, abs=1e-12)


def test_the_slope_is_the_derivative_of_the_profile() -> None:
    rng = np.random.default_rng(8)
    u, v = rng.normal(size=9), rng.normal(size=9)
    task = Task(laws.JOINT, u, v, rng.uniform(0, 1, (1, 9)) + np.exp(-u - v), rng.uniform(0.5, 2, (1, 9)))
    t = np.array([[-0.3, 0.2, 0.4]])

    def objective(at: np.ndarray) -> float:
        phi, _ = task.law.basis(u, v, task.theta(at))
        return float(best_linear(task.law, moments(phi, task.Y, task.w))[2][0])

    for j in range(3):
        step = np.zeros((1, 3))
        step[0, j] = 1e-5
        numeric = (objective(t + step) - objective(t - step)) / 2e-5
        assert slope(task, t)[0, j] == pytest.approx(numeric, rel=1e-5, abs=1e-8)


def test_a_descent_never_climbs_and_keeps_what_is_held() -> None:
    rng = np.random.default_rng(9)
    u, v = rng.normal(size=9), rng.normal(size=9)
    task = Task(laws.JOINT, u, v, np.repeat(rng.uniform(0, 1, (1, 9)), 4, axis=0), np.ones((1, 9)))
    t0 = rng.normal(size=(4, 3))
    t, objective = descend(task, t0, free=np.array([True, False, True]))
    assert np.array_equal(t[:, 1], t0[:, 1])
    phi, _ = task.law.basis(u, v, task.theta(t0))
    assert (objective <= best_linear(task.law, moments(phi, task.Y, task.w))[2] + 1e-12).all()


def test_weights_are_repetitions() -> None:
    """A point of half the variance counts as two points."""
    x, y = np.geomspace(1, 100, 6), np.array([0.9, 0.62, 0.5, 0.41, 0.39, 0.33])
    sd = np.full(6, 0.1)
    sd[2] = 0.1 / np.sqrt(2)
    weighted = fit("model_size", x, y, sd=sd)
    repeated = fit("model_size", np.insert(x, 2, x[2]), np.insert(y, 2, y[2]), sd=0.1)
    # the centre moves with the repeated x, the curve does not
    assert weighted.predict(x) == pytest.approx(repeated.predict(x), rel=1e-8)


def test_the_certificate_tells_what_was_searched() -> None:
    x = np.geomspace(1, 100, 6)
    found = fit("model_size", x, 0.2 + x**-0.5)
    assert (found.certificate.method, found.certificate.searched) == ("grid", solver.GRID)
    assert found.certificate.gradient < 1e-6
