"""What only some tabs ask of a fit: comparison, influence, profiles, crossings, budgets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from genret_core.errors import BadInput
from genret_core.scaling import Fit, crossing, fit, influence, next_run, published
from genret_core.scaling.beyond.crossing import Crossings
from genret_core.scaling.beyond.extrapolation import FLOORED, RIVALS
from genret_core.scaling.comparison.by_objective import Objectives, objectives
from genret_core.scaling.comparison.compare import Comparison, compare_with
from genret_core.scaling.comparison.held_out import Rollout, rollout
from genret_core.scaling.influence.rows import Influence
from genret_core.scaling.planning import Allocations, NextRun, allocate
from genret_core.workbench.explorer.fits import Fits

if TYPE_CHECKING:
    from genret_core.scaling.intervals.maps import ProfileCurve, ProfileMap

T = TypeVar("T")
QUICK = ("constant", "log_linear", "power", "exponential")  # rivals of one argument that take milliseconds


class Answers(Fits):
    """Questions to the fit in focus. Each answer is the result, or the reason for none in one sentence."""

    def _ask(self, name: str, question: Callable[[Fit], T], *more: Hashable) -> T | str:
        """Ask the fit in focus, once for the same fit."""
        found = self.fit
        if found is None:
            return self.why
        return self.remember((self.key, self.state.level, name, *more), lambda: question(found))

    @property
    def candidates(self) -> tuple[Fit, ...]:
        """The rivals of the law in focus that are fitted in milliseconds, on the same points.

        A law with a break takes too long to follow a slider; the comparison has it.
        """
        found = self._ask("candidates", _rivals)
        return () if isinstance(found, str) else found

    def comparison(self, *, whole: bool = True) -> Comparison | str:
        """Compare the usual laws on the points in focus.

        Parameters
        ----------
        whole : bool
            With the laws that take seconds (a break, from 10 points on).
        """
        hold_out = max(1, self.state.hold_out)

        def question(f: Fit) -> Comparison:
            if whole or f.x2 is not None:
                return compare_with(f, hold_out=hold_out)
            floored = f.law.name if f.law.name in FLOORED else FLOORED[0]
            return compare_with(
                f, laws=tuple(dict.fromkeys((*QUICK, floored, f.law.name))), hold_out=hold_out
            )

        return self._ask("comparison", question, hold_out, whole)

    @property
    def influence(self) -> Influence | str:
        """What hangs on each row."""
        return self._ask("influence", influence)

    @property
    def rollout(self) -> Rollout | str:
        """How the error grows as more of the largest points are held out."""
        return self._ask("rollout", rollout)

    @property
    def objectives(self) -> Objectives | str:
        """The law under several objectives."""
        return self._ask("objectives", objectives)

    @property
    def overlaid(self) -> published.PublishedLaw | None:
        """The published law that is drawn over the points."""
        return None if self.state.overlay is None else published.find(self.state.overlay)[0]

    @property
    def held(self) -> published.Held | str | None:
        """The published law that is overlaid, held against the points; None without one."""
        law = self.overlaid
        return None if law is None else self._ask("held", lambda f: published.hold(f, law), law.id)

    @cached_property
    def crossings(self) -> dict[str, Crossings | str]:
        """Where the curve in focus meets that of every other series that is shown."""
        focus, found = self.state.focus, {}
        for other in self.state.shown:
            if other != focus:
                second = self.fits[other]
                found[other] = second if isinstance(second, str) else self._crossing(other, second)
        return found

    def _crossing(self, other: str, second: Fit) -> Crossings | str:
        names = (self.source.label(self.state.focus), self.source.label(other))
        return self._ask(
            "crossing",
            lambda f: crossing(f, second, level=self.state.level, names=names),
            self.calls[other].key,
        )

    def profile(self, param: str, n: int = 81) -> ProfileCurve | str:
        """Give the profile of a parameter."""
        from genret_core.scaling.intervals.maps import profile_curve

        return self._ask("profile", lambda f: profile_curve(f, param, n), param, n)

    def profile_map(self, n: int = 41) -> ProfileMap | str:
        """Give the profile over exponent and floor."""
        from genret_core.scaling.intervals.maps import profile_map

        return self._ask("profile_map", lambda f: profile_map(f, n), n)

    def allocation(
        self, budget: float, *, tokens_per_pair: float = 1.0, inference: tuple[float, Any] | None = None
    ) -> Allocations | str:
        """Give the best use of a budget under the law in focus, one of two arguments."""
        level = self.state.level
        return self._ask(
            "allocation",
            lambda f: allocate(f, budget, tokens_per_pair=tokens_per_pair, inference=inference, level=level),
            budget,
            tokens_per_pair,
            inference,
        )

    @property
    def next_run(self) -> NextRun | str:
        """Which run more would narrow the exponent most."""
        return self._ask("next_run", lambda f: next_run(f, level=self.state.level))


def _rivals(of: Fit) -> tuple[Fit, ...]:
    """Fit the usual rivals of a law to its points, but for the one with a break."""
    own = FLOORED if of.law.name in FLOORED else (of.law.name,)
    found = []
    for name in RIVALS[1 if of.x2 is None else 2]:
        if name not in own and name != "broken":
            try:
                found.append(fit(name, of.x, of.y, of.x2, **of.options, intervals=False))
            except BadInput:
                continue  # fewer points than it needs
    return tuple(found)
