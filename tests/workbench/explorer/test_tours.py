"""The guided tours: every number in them against a fit made here, and the way there and back."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit, least_squares

from genret_core.scaling import fit, published
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.sources import frame_source, opening, published_source
from genret_core.workbench.explorer.tour_steps import TOURS
from genret_core.workbench.explorer.tours import ASTRAY, ToursPanel

NGRAM = published.points(method="ngram", family="llama2")
SIZE, DATA = (NGRAM[NGRAM["study"] == one] for one in ("model_size", "data_size"))


@pytest.fixture
def panel() -> ToursPanel:
    source = published_source()
    desk = Desk(source, opening(source))
    panel = ToursPanel(desk)
    desk.watch(panel)
    return panel


def text(panel: ToursPanel) -> str:
    return html.unescape(re.sub("<[^>]+>", " ", panel.text.value))


def written(value: float, said: str) -> bool:
    """Whether a text holds a number as it is, rounded to some digits of its own."""
    found = re.findall(r"−?\d[\d,]*\.?\d*(?: × 10[⁻⁰-⁹¹²³]+)?", said)
    superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    for one in found:
        mantissa, _, power = one.replace(",", "").replace("−", "-").partition(" × 10")
        number = float(mantissa) * 10.0 ** int(power.translate(superscripts) or 0 if power else 0)
        decimals = len(mantissa.partition(".")[2])
        unit = 10.0 ** (int(power.translate(superscripts)) if power else 0) * 10.0**-decimals
        if abs(number - value) <= 0.51 * unit and mantissa.strip("-0."):
            return True
    return False


def test_every_step_shows_a_fit_and_says_something_of_it(panel: ToursPanel) -> None:
    for tour in TOURS:
        panel.start(tour)
        for i in range(len(tour.steps)):
            assert panel.step == i and panel.desk.message == "" and panel.desk.shown.fit is not None
            said = text(panel)
            assert tour.steps[i].title in said and len(re.findall(r"\d", said)) > 5
            assert "nan" not in said.lower().split() and "undefined undefined" not in said
            assert panel.next.disabled == (i == len(tour.steps) - 1) and panel.back.disabled == (i == 0)
            panel.next.click()


def test_three_points_are_not_a_law(panel: ToursPanel) -> None:
    x, y = SIZE["n_params"].to_numpy(float), SIZE["cgl"].to_numpy()
    panel.start(TOURS[0])
    assert "leave 0 degrees of freedom" in text(panel)
    panel.next.click()
    between = np.sqrt(x[1] * x[2])
    for law in ("exponential", "model_size"):
        assert written(float(fit(law, x, y).predict(between)), text(panel))
    panel.next.click()
    sd = float(published.points(method="codebook", family="t5")["cgl"].std(ddof=1))
    interval = fit("model_size", x, y, sd=sd).interval("alpha")
    assert interval is not None
    assert all(written(float(value), text(panel)) for value in (sd, interval.lo, interval.hi))  # type: ignore[arg-type]


def test_the_stalled_joint_fit(panel: ToursPanel) -> None:
    """By scipy: the printed digits in Eq. 8 both ways, the optimum, and the best fit with beta held."""
    rows = NGRAM.sort_values("study", ascending=False)
    P, D, y = (rows[name].to_numpy(float) for name in ("n_params", "n_pairs", "cgl"))
    printed = published.find("eq8")[0].params
    gamma, alpha, beta, eta, delta = (printed[name] for name in ("gamma", "alpha", "beta", "eta", "delta"))

    def eq8(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return ((gamma / first) ** (alpha / beta) + eta / second) ** beta + delta

    def sse(curve: np.ndarray) -> float:
        return float(((y - curve) ** 2).sum())

    def best(held: float | None) -> float:
        def left(free: np.ndarray) -> np.ndarray:
            b = free[3] if held is None else held
            base = np.exp(free[0] - free[1] * np.log(D / 3e5)) + np.exp(free[2] - np.log(P / 1e10))
            return (base**b + free[4] - y) * 1e5

        fits = [
            least_squares(left, [a, slope, a, b, 3.28e-3], x_scale="jac", max_nfev=4000)
            for a in (-6.0, -4.5)
            for slope in (1.5, 4.0)
            for b in (1.0, 2.4)
        ]
        return min(2 * one.cost for one in fits) / 1e10

    total = sse(np.full_like(y, y.mean()))
    panel.start(TOURS[1])
    largest = int(P.argmax())
    assert written(float(eq8(P, D)[largest]), text(panel))
    assert written(sse(eq8(P, D)) / sse(eq8(D, P)), text(panel))
    panel.next.click()
    optimum = best(None)
    assert written(1 - optimum / total, text(panel))
    assert written(1 - best(beta) / total, text(panel))
    assert 0.98 < sse(eq8(D, P)) / optimum / 10_900 < 1.02 and "10,900" in text(panel)


def test_one_point_makes_the_exponent(panel: ToursPanel) -> None:
    x, y = DATA["n_pairs"].to_numpy(float), DATA["cgl"].to_numpy()

    def law(u: np.ndarray, amplitude: float, beta: float, floor: float) -> np.ndarray:
        return amplitude * u**-beta + floor

    def exponent(keep: slice) -> float:
        start = (4e-3, 3.0, y[-1] * 1e3)
        found, _ = curve_fit(
            law, x[keep] / x[1], y[keep] * 1e3, p0=start, maxfev=100_000, ftol=1e-15, xtol=1e-15
        )
        return float(found[1])

    panel.start(TOURS[2])
    assert f"{(y[0] - y[1]) / (y[0] - y[-1]):.0%}" in text(panel)
    panel.next.click()
    assert written(exponent(slice(1, None)), text(panel)) and written(exponent(slice(None)), text(panel))
    assert panel.desk.shown.fit is not None and panel.desk.shown.fit.n == 4
    panel.next.click()
    assert "without an upper limit" in text(panel)


def test_leaving_returns_to_what_was_there(panel: ToursPanel) -> None:
    mine = frame_source(pd.DataFrame({"P": [1e6, 1e7, 1e8, 1e9], "loss": [1.52, 0.698, 0.421, 0.332]}))
    panel.desk.open(mine)
    panel.desk.dispatch(law="power", hold_out=1)
    before = panel.desk.state
    panel.start(TOURS[1])
    panel.start(TOURS[2])  # from one tour into the next
    panel.next.click()
    assert panel.desk.source is not mine
    panel.leave_tour.click()
    assert panel.desk.source is mine and panel.desk.state == before
    assert panel.moves.layout.display == "none"


def test_a_step_that_was_changed_says_so_and_can_be_shown_again(panel: ToursPanel) -> None:
    panel.start(TOURS[2])
    there = panel.desk.state
    panel.desk.save("mine")
    panel.desk.dispatch(tab="fit")  # looking elsewhere changes nothing
    panel.desk.dispatch(tab="tours")
    assert ASTRAY not in panel.text.value and panel.again.disabled
    panel.desk.dispatch(law="power")
    assert ASTRAY in panel.text.value and not panel.again.disabled
    panel.again.click()
    assert panel.desk.state == there and ASTRAY not in panel.text.value
    assert panel.desk.names == ("mine",)  # tours of the points on the desk keep what was saved
