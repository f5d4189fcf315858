"""One law judged on its points: held-out errors, information criteria, tests against the laws it contains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genret_core.scaling.comparison.held_out import HeldOut, largest_out, leave_one_out
from genret_core.scaling.comparison.residual_tests import FTest, Runs, f_test, judged, rounding, runs_of
from genret_core.scaling.results import Fit

FLOORED = ("model_size", "data_size", "inference")  # one law, a power with a floor, under three names
# what each law contains as a special case or as a limit; a constant is in all of them
CONTAINS = {
    **dict.fromkeys(FLOORED, ("power",)),
    "broken": ("power", *FLOORED),
}


@dataclass(frozen=True, eq=False)
class Judged:
    """A law in a comparison. None is undefined.

    Attributes
    ----------
    fit : Fit
        Without intervals.
    loo : HeldOut
        Each point predicted from the others.
    largest : HeldOut
        The largest points predicted from the smaller ones.
    AICc, BIC : float or None
        Smaller is better; see `information`.
    tests : tuple of FTest
        Against each simpler law of the comparison that this one contains.
    runs : Runs
        Too few runs of residual signs in order of x: the wrong shape.
    """

    fit: Fit = field(repr=False)
    loo: HeldOut = field(repr=False)
    largest: HeldOut = field(repr=False)
    AICc: float | None
    BIC: float | None
    tests: tuple[FTest, ...]
    runs: Runs

    @property
    def law(self) -> str:
        """Name of the law."""
        return self.fit.law.name

    @property
    def k(self) -> int:
        """Number of parameters."""
        return len(self.fit.law.parameters)

    @property
    def max_residual(self) -> float:
        """Largest absolute residual, in units of y."""
        return float(np.abs(self.fit.residuals).max())

    def test_against(self, law: str) -> FTest | None:
        """Give the test against a simpler law, None where there is none."""
        return next((test for test in self.tests if test.against == law), None)

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping, all digits; null for what is undefined."""
        return {
            "law": self.law,
            "equation": self.fit.law.equation,
            "k": self.k,
            "n": self.fit.n,
            "dof": self.fit.dof,
            "sse": self.fit.sse,
            "r2": self.fit.R2 if np.isfinite(self.fit.R2) else None,
            "loo_rmse": self.loo.rmse,
            "loo": self.loo.to_dict(),
            "largest_out": self.largest.to_dict(),
            "aicc": self.AICc,
            "bic": self.BIC,
            "f_tests": [test.to_dict() for test in self.tests],
            "runs": {"runs": self.runs.runs, "p": self.runs.p},
            "max_residual": self.max_residual,
        }


def judge_law(f: Fit, simpler: tuple[Fit, ...], hold_out: int) -> Judged:
    """Judge a fitted law; `simpler`: fits of other laws to the same points, of which it may contain some."""
    AICc, BIC = information(f)
    tests = []
    for other in simpler:
        if other.law.name == "constant" or other.law.name in CONTAINS.get(f.law.name, ()):
            more = len(f.law.parameters) - len(other.law.parameters)
            test = tested(other, f, more)
            if test is not None:
                tests.append(test)
    runs = runs_of(f.points, f.fitted)
    return Judged(f, leave_one_out(f), largest_out(f, hold_out), AICc, BIC, tuple(tests), runs)


def tested(simple: Fit, rich: Fit, more: int) -> FTest | None:
    """Hold a law against a simpler one that it contains; None where that is undefined.

    Defined for objectives that sum squares (`ols`, `relative`, `logit`), and where the simpler law is at no
    edge of its search: there the edge is tested and not the law.
    """
    if rich.points.objective.robust or simple.best.edge[0].any():
        return None
    known = rich.points.sd is not None
    return f_test(simple.law.name, squares(simple), squares(rich), more, rich.dof, known=known)


def squares(f: Fit) -> float:
    """Give the weighted sum of squared residuals, chi-square where standard deviations are known.

    Never less than the rounding of y would leave, so that perfect fits are not ranked by their rounding.
    """
    return max(float((judged(f.points, f.fitted) ** 2).sum()), f.n * rounding(f.points) ** 2)


def information(f: Fit) -> tuple[float | None, float | None]:
    """Give AICc and BIC, up to what is the same for all laws on the same points.

    With n distinct points, k parameters and Gaussian residuals of unknown variance, K = k + 1:
    AICc = n ln(S / n) + 2 K + 2 K (K + 1) / (n - K - 1) (Hurvich and Tsai 1989) and
    BIC = n ln(S / n) + K ln n, where S is the weighted sum of squares. Where standard deviations are known,
    S is chi-square, stands in place of n ln(S / n), and K = k.

    Returns
    -------
    AICc, BIC : float or None
        None, undefined, where n - K - 1 <= 0: the correction of AICc has no value, and BIC, an argument about
        many points, would rank what it cannot judge. Also for `huber` and `lad`, which are no Gaussian
        likelihoods.
    """
    k = len(f.law.parameters)
    n, S = f.dof + k, squares(f)
    known = f.points.sd is not None
    K = k if known else k + 1
    if f.points.objective.robust or n - K - 1 <= 0:
        return None, None
    misfit = S if known else n * np.log(S / n)
    return float(misfit + 2 * K + 2 * K * (K + 1) / (n - K - 1)), float(misfit + K * np.log(n))
