"""Guided tours through the published points: what the fits look like that cannot be trusted, and why.

A step is a state and a text. Every number in a text is computed from the fit that the step shows, or from
another fit of the same points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genret_core.workbench.explorer import tour_texts as texts

if TYPE_CHECKING:
    from genret_core.workbench.explorer.shown import Shown
    from genret_core.workbench.explorer.source import Source
    from genret_core.workbench.explorer.state import State

WHY = "the tour leaves it out"


@dataclass(frozen=True)
class Step:
    """One stop of a tour.

    Attributes
    ----------
    title : str
    text : callable
        Writes two or three sentences from what is shown.
    changes : dict
        The state, as what differs from the one in which the series opens.
    of : str or None
        The printed law whose points are shown, where these are not the tour's.
    without : tuple of int
        Points of the series that are left out, from 0.
    noisy : bool
        Whether the noise between runs is stated.
    """

    title: str
    text: Callable[[Shown], str]
    changes: dict[str, Any] = field(default_factory=dict)
    of: str | None = None
    without: tuple[int, ...] = ()
    noisy: bool = False


@dataclass(frozen=True)
class Tour:
    """A way through the published points.

    Attributes
    ----------
    title : str
    about : str
        What it shows, in a sentence.
    published : str
        The printed law whose points it is about.
    steps : tuple of Step
    """

    title: str
    about: str
    published: str
    steps: tuple[Step, ...]

    def state(self, source: Source, number: int) -> State:
        """Give the state of a step, of the source of published points."""
        from genret_core.workbench.explorer.state import State

        step = self.steps[number]
        law = step.of or self.published
        series = next(one for one, identifier in source.published.items() if identifier == law)
        rows = [int(row) for row in source.rows(series)["row"]]
        return State(
            focus=series,
            shown=(series,),
            law=source.law(series),
            excluded=tuple((rows[i], WHY) for i in step.without),
            sd=texts.noise() if step.noisy else None,
            chance=False,  # far above the points, which it would press together
        ).but(**step.changes)


TOURS = (
    Tour(
        "Three points are not a law",
        "Table 1 prints a law with R² near 1 for LLaMA: three points, three parameters.",
        "table1:llama",
        (
            Step("A curve through every point", texts.through_all, {"overlay": "table1:llama"}),
            Step("Another law, through every point", texts.another_law, {"law": "exponential"}),
            Step("What noise leaves of the exponent", texts.with_noise, noisy=True),
            Step("Five points, for comparison", texts.five_points, of="table1:t5"),
        ),
    ),
    Tour(
        "The stalled joint fit",
        "Eqs 9-10 print a law of model size and data; its coefficients fit the points only when exchanged.",
        "eqs9-10",
        (
            Step("The coefficients as printed", texts.as_printed, {"law": "joint", "overlay": "eqs9-10"}),
            Step("P and D exchanged", texts.stalled, {"overlay": "eqs9-10"}),
            Step("What the optimum does not show", texts.two_arms),
        ),
    ),
    Tour(
        "One point makes the exponent",
        "Table 2 prints a steep law in training data. Leave one point out, and watch the exponent.",
        "table2:ngram",
        (
            Step("A steep and certain law?", texts.all_five, {"overlay": "table2:ngram"}),
            Step("Without the first point", texts.without_first, without=(0,)),
            Step("With the noise between runs", texts.noise_known, noisy=True),
            Step("A law without an exponent", texts.exponential, {"law": "exponential"}),
        ),
    ),
)
