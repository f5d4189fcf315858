"""One exponent or one floor for all families, against scipy's own least squares."""

from itertools import product

import numpy as np
import pytest
from scipy import optimize, stats

from genret_core.errors import BadInput
from genret_core.scaling import fit, published
from genret_core.scaling.comparison.families import shared

X = np.geomspace(1e6, 1e10, 7)


def _family(alpha, floor, amplitude, seed, noise=0.004):
    rng = np.random.default_rng(seed)
    return amplitude * (X / 1e8) ** -alpha + floor + rng.normal(0, noise, len(X))


def _scipy(what, families):
    """Minimise over (shared, own…) with scipy from many starts; parameters are ln amplitude, alpha, floor."""
    k = len(families)

    def split(theta):
        for i in range(k):
            log_A, own = theta[1 + 2 * i : 3 + 2 * i]
            yield (log_A, theta[0], own) if what == "exponent" else (log_A, own, theta[0])

    def residuals(theta):
        parts = zip(split(theta), families, strict=True)
        return np.concatenate([y - L - np.exp(log_A) * (x / 1e8) ** -a for (log_A, a, L), (x, y) in parts])

    best = None
    for first, second in product((0.1, 0.4, 0.8), (0.1, 0.4, 0.8)):
        start = [first if what == "exponent" else 0.0]
        for _, y in families:
            start += [np.log(np.ptp(y)), 0.9 * y.min() if what == "exponent" else second]
        found = optimize.least_squares(residuals, start, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
        if best is None or found.cost < best.cost:
            best = found
    return best.x[0], 2 * best.cost


@pytest.mark.parametrize("what", ["exponent", "floor"])
@pytest.mark.parametrize("alphas", [(0.4, 0.4, 0.4), (0.3, 0.5, 0.7)])
def test_the_shared_value_and_its_test_are_those_of_scipy(what, alphas):
    floors = (0.3, 0.3, 0.3) if what == "floor" else (0.3, 0.1, 0.5)
    families = [
        (X, _family(a, L, A, i))
        for i, (a, L, A) in enumerate(zip(alphas, floors, (0.5, 0.8, 0.3), strict=True))
    ]
    fits = {f"family {i}": fit("model_size", x, y) for i, (x, y) in enumerate(families)}
    found = shared(fits, what)
    value, least = _scipy(what, families)
    own = sum(f.sse for f in fits.values())
    F = (least - own) / 2 / (own / 12)
    assert found.value == pytest.approx(value, rel=1e-6)
    assert pytest.approx(F, rel=1e-6) == found.F
    assert found.p == pytest.approx(stats.f.sf(F, 2, 12), rel=1e-5)
    assert found.dof == (2, 12)
    for f, params in zip(fits.values(), found.params.values(), strict=True):
        assert params["alpha" if what == "exponent" else "lambda_P"] == pytest.approx(value, rel=1e-6)
        curve = f.law(f.x, **params)
        assert f.sse <= ((f.y - curve) ** 2).sum()
    total = sum(((f.y - f.law(f.x, **found.params[n])) ** 2).sum() for n, f in fits.items())
    assert total == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize("what", ["exponent", "floor"])
def test_at_the_ends_of_the_interval_the_sum_of_squares_is_at_its_threshold(what):
    families = [(X, _family(0.4, 0.3, A, i)) for i, A in enumerate((0.5, 0.8))]
    fits = {str(i): fit("model_size", x, y) for i, (x, y) in enumerate(families)}
    found = shared(fits, what, level=0.9)
    _, least = _scipy(what, families)
    threshold = least * (1 + stats.t.ppf(0.95, 9) ** 2 / 9)
    for end in (found.interval.lo, found.interval.hi):
        held = [_held(what, x, y, end) for x, y in families]
        assert sum(held) == pytest.approx(threshold, rel=1e-5)
    assert found.value in found.interval


def _held(what, x, y, value):
    """The least sum of squares of one family with the number held, by scipy over what is left."""

    def sse(other):
        alpha, floor = (value, None) if what == "exponent" else (other, value)
        phi = (x / 1e8) ** -alpha
        if floor is not None:
            A = phi @ (y - floor) / (phi @ phi)
            return float(((y - floor - A * phi) ** 2).sum())
        columns = np.stack([phi, np.ones_like(x)], axis=1)
        return float(np.linalg.lstsq(columns, y, rcond=None)[1][0])

    if what == "exponent":
        return sse(0.0)
    return optimize.minimize_scalar(sse, bounds=(0.01, 3), method="bounded", options={"xatol": 1e-10}).fun


def test_known_noise_makes_it_chi_square_and_uneven_scatter_is_told():
    ys = [_family(0.4, 0.3, 0.5, 1, 0.001), _family(0.5, 0.3, 0.5, 2, 0.03)]
    known = {str(i): fit("model_size", X, y, sd=0.01) for i, y in enumerate(ys)}
    test = shared(known, "exponent")
    assert test.dof == (1, None) and test.scatter is None
    assert test.p == pytest.approx(stats.chi2.sf(test.F, 1), rel=1e-9)
    unknown = shared({str(i): fit("model_size", X, y) for i, y in enumerate(ys)}, "exponent")
    assert unknown.scatter[0] > 20 and "unevenly" in unknown.sentence()


def test_the_published_families_do_not_share_an_exponent_or_a_floor():
    points = [published.points(study="model_size", method="ngram", family=one) for one in ("t5", "llama2")]
    fits = {str(i): fit("model_size", p["n_params"], p["cgl"]) for i, p in enumerate(points)}
    for what in ("exponent", "floor"):
        found = shared(fits, what)
        assert found.dof == (1, 2) and found.p < 0.05
        assert "do not share" in found.sentence()


def test_what_cannot_be_pooled_is_refused_in_a_sentence():
    y = _family(0.4, 0.3, 0.5, 1)
    f = fit("model_size", X, y)
    for fits, what, told in (
        ({"a": f}, "exponent", "one family"),
        ({"a": f, "b": fit("power", X, y)}, "exponent", "another law"),
        ({"a": f, "b": fit("model_size", X, y, sd=0.01)}, "exponent", "is known"),
        ({"a": f, "b": fit("model_size", X, y[::-1])}, "exponent", "no falling part"),
        (dict.fromkeys("ab", fit("power", X, y)), "floor", "no floor"),
        (dict.fromkeys("ab", fit("model_size", X, y, objective="lad")), "floor", "sums of squares"),
    ):
        with pytest.raises(BadInput, match=told):
            shared(fits, what)
