"""Where curves meet: against closed forms, brute force and refits' own crossings."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, published
from genret_core.scaling.beyond.crossing import crossing

X = np.geomspace(1e6, 1e9, 8)
STEEP, SLOW = (2e5 / X) ** 0.8 + 0.05, (5e2 / X) ** 0.2 + 0.05
MEET = np.exp((0.8 * np.log(2e5) - 0.2 * np.log(5e2)) / 0.6)  # (2e5/x)^.8 = (5e2/x)^.2
SD = 3e-3


class Curve:
    """Anything that predicts."""

    def __init__(self, of: Callable[[np.ndarray], np.ndarray]) -> None:
        self.of = of

    def predict(self, x: float | np.ndarray) -> np.ndarray:
        return np.asarray(self.of(np.asarray(x, dtype=np.float64)))


@pytest.mark.parametrize(
    ("k", "expected", "tolerance"),
    [(5, [2.07e11], 0.003), (20, [7.91e11, 7.6e20], 0.003), (100, [5.61e12, 3.9e15], 0.015)],
)
def test_table_3_crosses_where_it_was_read_to(k: int, expected: list[float], tolerance: float) -> None:
    t5, llama = published.laws(metric=f"MR@{k}")
    found = crossing(llama, t5, names=("LLaMA", "T5"))
    np.testing.assert_allclose([one.at for one in found], expected, rtol=tolerance)
    assert found.lower_first == "T5"
    assert [one.lower_beyond for one in found] == ["LLaMA", "T5"][: len(expected)]
    for one in found:
        assert one.interval is None and one.inside is None and one.factor is None  # printed: no data, no band
        assert one.y == pytest.approx(float(t5.predict(one.at)), rel=1e-12)
    told = found.to_dict()
    assert told["crossings"][0]["ci95"] is None and told["looked"] == [1e6, 1e24]


def test_all_crossings_are_found_and_none_invented() -> None:
    """Two random power laws with floors, clipped: every change of sign of a grid 50 times as fine."""
    rng = np.random.default_rng(3)
    counts = []
    x = np.geomspace(1e6, 1e24, 200_001)
    for _ in range(60):
        (g1, g2), (s1, s2), (l1, l2) = rng.uniform(0, 9, 2), rng.uniform(0.03, 0.6, 2), rng.uniform(0, 0.3, 2)
        a, b = (
            Curve(lambda x, g=g, s=s, f=f: np.clip((10**g / x) ** s + f, 0, 1))
            for g, s, f in ((g1, s1, l1), (g2, s2, l2))
        )
        d = a.predict(x) - b.predict(x)
        d[np.abs(d) < 1e-15] = 0
        kept = np.flatnonzero(d)
        turns = kept[:-1][np.diff(np.sign(d[kept])) != 0]
        found = crossing(a, b)
        assert len(found) == len(turns)
        np.testing.assert_allclose([one.at for one in found], x[turns], rtol=2.1e-4)
        counts.append(len(turns))
    assert set(counts) == {0, 1, 2}


def test_two_crossings_between_two_places_of_the_grid() -> None:
    a = Curve(lambda x: 1 + (np.log(x) - np.log(3.3e9)) ** 2)
    found = crossing(a, Curve(lambda x: np.full(x.shape, 1 + 1e-8)), names=("a", "b"))
    np.testing.assert_allclose(np.log([one.at for one in found]) - np.log(3.3e9), [-1e-4, 1e-4], rtol=1e-3)
    assert [one.lower_beyond for one in found] == ["a", "b"]


def test_curves_at_one_bound_do_not_cross_there() -> None:
    a, b = (Curve(lambda x, g=g: np.clip((g / x) ** 0.5, 0, 1)) for g in (1e9, 1e10))
    found = crossing(a, b, names=("a", "b"))
    assert len(found) == 0 and found.lower_first == "a"
    assert "do not meet" in found.sentence() and "a is lower" in found.sentence()
    same = crossing(a, a)
    assert len(same) == 0 and same.lower_first is None and "are equal" in same.sentence()


def test_a_crossing_of_fits_knows_where_both_were_measured() -> None:
    a, b = fit("inference", X, STEEP), fit("inference", X, SLOW)
    (one,) = crossing(a, b).places
    assert one.at == pytest.approx(MEET, rel=1e-6) and one.inside and one.factor == 1
    (far,) = crossing(a, fit("inference", X * 10, (5e2 / (X * 10)) ** 0.2 + 0.05)).places
    assert far.inside is False and far.factor == pytest.approx(1e7 / MEET, rel=1e-6)
    apart = crossing(a, fit("inference", X, (2e5 / X) ** 0.8 + 0.3))
    assert not len(apart) and apart.looked == (1e4, 1e11)
    narrow = crossing(a, b, low=1e7, high=1e8)
    assert not len(narrow) and narrow.looked == (1e7, 1e8)


@pytest.fixture(scope="module")
def replicated() -> tuple[Fit, Fit]:
    """Two families over the same resampled queries: the noise of a draw is shared in part."""
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 2 * SD, (1, 1000))
    return tuple(  # type: ignore[return-value]
        fit("inference", X, y, replicates=y[:, None] + shared + rng.normal(0, SD, (8, 1000)))
        for y in (STEEP, SLOW)
    )


def test_interval_of_paired_refits_is_that_of_their_own_crossings(replicated: tuple[Fit, Fit]) -> None:
    """0 is within the percentiles of the difference at x just where x is within those of the crossings."""
    a, b = replicated

    def own(p: np.ndarray, q: np.ndarray) -> float:
        return float(
            np.exp(
                brentq(lambda t: (p[0] / np.e**t) ** p[1] + p[2] - (q[0] / np.e**t) ** q[1] - q[2], 12, 17)
            )
        )

    roots = [own(p, q) for p, q in zip(a.draws, b.draws, strict=True)]
    found = crossing(a, b)
    interval = found[0].interval
    assert interval is not None
    np.testing.assert_allclose([interval.lo, interval.hi], np.quantile(roots, [0.025, 0.975]), rtol=1e-3)
    assert found.share == 1.0 and "refits" in str(found)
    narrower = crossing(a, b, level=0.68)[0].interval
    assert narrower is not None and interval.lo < narrower.lo < narrower.hi < interval.hi  # type: ignore[operator]
    assert list(crossing(a, b, level=0.68).to_dict()["crossings"][0])[3] == "ci68"


def test_unpaired_bands_give_fiellers_interval_of_two_lines() -> None:
    """For straight lines in ln x with known noise Fieller (1954) is a quadratic."""
    rng = np.random.default_rng(7)
    t = np.log(X)
    values = [0.9 - 0.03 * t + rng.normal(0, 2e-3, 8), 0.6 - 0.012 * t + rng.normal(0, 1e-3, 8)]
    a, b = (fit("log_linear", X, y, sd=s) for y, s in zip(values, (2e-3, 1e-3), strict=True))
    found = crossing(a, b)
    design = np.stack([np.ones(8), t], axis=1)
    difference = np.polyfit(t, values[0], 1)[::-1] - np.polyfit(t, values[1], 1)[::-1]
    covariance = np.linalg.inv(design.T @ design) * (2e-3**2 + 1e-3**2)
    z2 = 1.959963984540054**2
    ends = np.roots(
        [
            difference[1] ** 2 - z2 * covariance[1, 1],
            2 * (difference[0] * difference[1] - z2 * covariance[0, 1]),
            difference[0] ** 2 - z2 * covariance[0, 0],
        ]
    )
    interval = found[0].interval
    assert interval is not None and "MOVER" in found.method
    np.testing.assert_allclose(np.log([interval.lo, interval.hi]), np.sort(ends), rtol=1e-6)


def test_an_interval_that_never_closes_is_open() -> None:
    rng = np.random.default_rng(11)
    a, b = (
        fit("log_linear", X, 0.5 - slope * np.log(X) + rng.normal(0, 0.02, 8), sd=0.02)
        for slope in (0.0, 1e-4)
    )
    found = crossing(a, b, low=1e-30, high=1e40)
    assert len(found) == 1
    interval = found[0].interval
    assert interval is not None and interval.open == ("low", "high")
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["crossings"][0]["ci95"] == [None, None]


def test_no_interval_where_nothing_tells() -> None:
    """Three points of three parameters: no noise, no band."""
    found = crossing(fit("inference", X[:3], STEEP[:3]), fit("inference", X, SLOW, sd=SD))
    assert found[0].interval is None and found.method == "" and found[0].at == pytest.approx(MEET, rel=1e-5)


def test_resamples_of_points_do_not_pair_up() -> None:
    """The same noise in both and the same seed: paired, the difference would not scatter at all."""
    x = np.geomspace(1e6, 1e9, 40)
    noise = np.random.default_rng(2).normal(0, 0.01, 40)
    one, other = ((2e5 / x) ** 0.8 + 0.05 + noise, (5e2 / x) ** 0.2 + 0.05 + noise)
    a = fit("inference", x, one, bootstrap=1000)
    widths = []
    for seed in (0, 1):
        interval = crossing(a, fit("inference", x, other, bootstrap=1000, seed=seed))[0].interval
        assert interval is not None
        widths.append(np.log(interval.hi / interval.lo))  # type: ignore[operator]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)


def test_what_cannot_be_crossed_is_refused() -> None:
    (joint,) = published.laws(where="Eqs 9-10")
    (line, *_) = published.laws(where="Table 3")
    with pytest.raises(BadInput, match="has two arguments"):
        crossing(joint, line)
    with pytest.raises(BadInput, match="0 < low < high"):
        crossing(line, line, low=1e9, high=1e8)
    with pytest.raises(BadInput, match="level is 95"):
        crossing(line, line, level=95)


def test_names_are_escaped(replicated: tuple[Fit, Fit]) -> None:
    html = crossing(*replicated, names=("<b>a</b>", "b"))._repr_html_()
    assert "<b>a" not in html and "&lt;b&gt;a&lt;/b&gt;" in html and html.count("<tr>") == 2
