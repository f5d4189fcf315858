"""Laws against each other on the same points: what each says of points that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.comparison import telling
from genret_core.scaling.comparison.criteria import FLOORED, Judged, judge_law
from genret_core.scaling.fitting import fit
from genret_core.scaling.laws.law import Array, Law, get_law
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.results import Fit

RIVALS = ("constant", "log_linear", "power", "exponential")
WITH_A_BREAK = ("broken", 10)  # and from how many points on
OF_TWO = ("constant", "surface", "joint", "joint_exchanged")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Laws on the same points, the best predictor of left-out points first. Prints as a table.

    Attributes
    ----------
    laws : tuple of Judged
        In order of the leave-one-out error; those without one last.
    left_out : dict
        Laws that the points cannot hold, and why.
    """

    laws: tuple[Judged, ...]
    left_out: dict[str, str]

    def __getitem__(self, law: str) -> Judged:
        for one in self.laws:
            if one.law == law:
                return one
        raise BadInput(f"The law {law!r} is not compared here; there are {', '.join(self.ranking)}.")

    @property
    def ranking(self) -> tuple[str, ...]:
        """Names of the laws by leave-one-out error, the best first."""
        return tuple(one.law for one in self.laws)

    @property
    def best(self) -> dict[str, str | None]:
        """The best law by each criterion: `loo`, `largest`, `AICc`, `BIC`.

        None where a law has no value: AICc and BIC rank all of the laws or none, or else they would favour
        the simple ones, which are defined first.
        """
        scores = {
            "loo": [one.loo.rmse for one in self.laws],
            "largest": [one.largest.rmse for one in self.laws],
            "AICc": [one.AICc for one in self.laws],
            "BIC": [one.BIC for one in self.laws],
        }
        found: dict[str, str | None] = {}
        for criterion, values in scores.items():
            known = [(v, law) for v, law in zip(values, self.ranking, strict=True) if v is not None]
            whole = len(known) == len(values) or criterion in ("loo", "largest")
            found[criterion] = min(known)[1] if known and whole else None
        return found

    def sentence(self) -> str:
        """Say which law predicts best, whether a floor is supported, and what is undefined."""
        return telling.sentence(self)

    def to_dict(self) -> list[dict[str, Any]]:
        """Give a JSON-ready list, a mapping per law in order of rank; all digits, null for undefined."""
        best = self.best
        return [
            {**one.to_dict(), "rank": rank, "best_by": [by for by, law in best.items() if law == one.law]}
            for rank, one in enumerate(self.laws, start=1)
        ]

    def __str__(self) -> str:
        return text_table(*telling.table(self))

    def _repr_html_(self) -> str:
        return html_table(*telling.table(self))


def compare(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    laws: Sequence[str | Law] | None = None,
    x2: npt.ArrayLike | None = None,
    hold_out: int = 1,
    **options: Any,
) -> Comparison:
    """Fit several laws to the same points, and judge each by points that it did not see.

    Parameters
    ----------
    x, y, x2 : array [n]
        As for `fit`.
    laws : sequence, optional
        Default for one argument: constant, log_linear, power, exponential, model_size, and broken from 10
        points on; for two: constant, surface, joint, joint_exchanged. A law of one argument ignores x2.
    hold_out : int
        How many of the largest sizes are held out together.
    **options
        Of `fit`: sd, weights, objective, bounds, names, …

    Raises
    ------
    BadInput
        If no law can be fitted, or `hold_out` leaves no point. Laws that need more points than there are, are
        named in `left_out`.
    """
    chosen = [get_law(law) for law in laws] if laws is not None else None
    if chosen is not None and not chosen:
        raise BadInput("There is no law to compare; name one, or leave laws out.", code="bad_option")
    # the laws of most arguments first: these say which rows can be used by all
    first = chosen or [
        get_law(law) for law in (OF_TWO[1:] if x2 is not None else (FLOORED[0], *RIVALS[::-1]))
    ]
    complaint = None
    for law in sorted(first, key=lambda law: law.x2 is None):
        try:
            start = fit(law, x, y, x2 if law.x2 else None, **{**options, "intervals": False})
        except BadInput as error:
            if error.code not in ("too_few_points", "constant_x"):
                raise
            complaint = complaint or error
            continue
        if x2 is not None and law.x2 is None:
            raise BadInput("x2 is given, but no law of two arguments can use it; leave x2 out.")
        return compare_with(start, laws=chosen, hold_out=hold_out)
    assert complaint is not None  # there was a law, and it was not fitted
    raise complaint


def compare_with(f: Fit, *, laws: Sequence[str | Law] | None = None, hold_out: int = 1) -> Comparison:
    """Compare a fitted law with others, fitted alike to the same points; see `compare`.

    Parameters
    ----------
    f : Fit
    laws : sequence, optional
        Default: the usual rivals of the law of `f` and that law itself.
    hold_out : int
    """
    chosen = [get_law(law) for law in laws] if laws is not None else _usual(f)
    fits: dict[str, Fit] = {}
    left_out: dict[str, str] = {}
    for law in chosen:
        try:
            fits[law.name] = _alike(f, law)
        except BadInput as error:
            left_out[law.name] = str(error)
    if not fits:
        raise BadInput("None of the laws can be fitted to these points: " + " ".join(left_out.values()))
    judged = [judge_law(one, tuple(fits.values()), hold_out) for one in fits.values()]
    judged.sort(key=lambda one: np.inf if one.loo.rmse is None else one.loo.rmse)
    return Comparison(tuple(judged), left_out)


def _usual(f: Fit) -> list[Law]:
    if f.x2 is not None:
        names: tuple[str, ...] = OF_TWO
    else:
        floored = f.law.name if f.law.name in FLOORED else FLOORED[0]
        broken, points = WITH_A_BREAK
        names = (*RIVALS, floored, *((broken,) if f.n >= points else ()))
    return [get_law(name) for name in names if name != f.law.name] + [f.law]


def _alike(f: Fit, law: Law) -> Fit:
    """Fit another law to the points of a fit, in the same way."""
    options = {**f.options, "bounds": f.law.bounds or law.bounds, "intervals": False}
    if f.law.x2 is not None and law.x2 is None:
        law = _deaf_to(f.law.x2, law)
    return fit(law, f.x, f.y, f.x2, **options)


def _deaf_to(x2: str, law: Law) -> Law:
    """Give a law of one argument a second one that it ignores.

    So that points, copies of points, and the largest of them, are the same for all laws.
    """

    def function(x: Array, _: Array, *parameters: float) -> Array:
        return law.function(x, *parameters)

    def basis(u: Array, _: Array | None, theta: Array) -> tuple[Array, Array]:
        return law.basis(u, None, theta)

    def gradient(u: Array, _: Array | None, theta: Array) -> tuple[Array, Array, Array]:
        assert law.gradient is not None  # or it is not used
        return law.gradient(u, None, theta)

    def assemble(
        sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: tuple[float, ...]
    ) -> dict[str, Array]:
        return law.assemble(sign, log_amplitude, floor, theta, centres[:1])

    def place(_: Law, centres: tuple[float, ...]) -> Law:
        return _deaf_to(x2, replace(law.at(centres[:1]), place=None))

    def check(x: Array, _: Array | None) -> None:
        if law.check is not None:
            law.check(x, None)

    return replace(
        law,
        x2=x2,
        function=function,
        basis=basis,
        gradient=None if law.gradient is None else gradient,
        assemble=assemble,
        place=None if law.place is None else place,
        check=check,
    )
