"""`genret plan`: how to spend a budget, what a target takes, and which run would tell most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting import options
from genret_core.workbench.cli.fitting.command import NUMBERS, places
from genret_core.workbench.cli.fitting.groups import tell
from genret_core.workbench.cli.fitting.naming import law_named
from genret_core.workbench.cli.fitting.points import Chosen, choose

if TYPE_CHECKING:
    from genret_core.scaling import Fit, Law
    from genret_core.scaling.planning import Allocations, NextRun, Reach

PER_PARAMETER_AND_TOKEN = 2.0  # FLOPs of a forward pass, as 6 are those of training


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be planned."""

    budget: Annotated[
        list[str] | None,
        typer.Option(metavar="C ...", help="FLOPs to spend: how large a model, on how many pairs?"),
    ] = None
    reach: Annotated[
        list[str] | None,
        typer.Option(metavar="Y ...", help="A target, for a law of one argument: what does it take?"),
    ] = None
    next_run: Annotated[
        bool, typer.Option("--next-run", help="Which run more would narrow the target of --narrow most?")
    ] = False
    narrow: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A parameter, or the place of a prediction (X or P,D); default the exponent."
        ),
    ] = None
    tokens_per_pair: Annotated[
        float, typer.Option(metavar="T", help="Training costs 6 P D T FLOPs; 1 where D counts tokens.")
    ] = 1.0
    serve: Annotated[
        float, typer.Option(metavar="N", help="Queries to be answered out of the budget, too.")
    ] = 0.0
    tokens_per_query: Annotated[
        float | None,
        typer.Option(metavar="T", help="A query costs 2 P T FLOPs: prompt, and steps times beams."),
    ] = None


@options.flattened
def plan(
    *,
    ctx: typer.Context,
    points: options.Source,
    law: options.Law = "surface",
    columns: options.Columns,
    by: options.By = None,
    asked: Asked,
    manner: options.Manner,
    as_json: options.AsJson = False,
) -> None:
    """Plan by a fitted law: the best use of a budget, what a target takes, the next run.

    Intervals of a budget's best use need refits: they come with 20 points and more, or with --bootstrap.
    """
    found = law_named(law)
    question = _question(found, asked, manner.level)
    how = manner.arguments()
    chosen = choose(points, found, columns)

    def answer(chosen: Chosen) -> Planned:
        fit = chosen.fit(found, how)
        try:
            return question.answer(chosen, fit)
        except BadInput as error:
            raise chosen.retold(error) from None

    tell(ctx, chosen, answer, by=by, as_json=as_json)


@dataclass(frozen=True)
class Planned:
    """A fit and what was planned by it."""

    chosen: Chosen
    fit: Fit
    budget: Allocations | None
    targets: tuple[Reach, ...]
    next_run: NextRun | None

    def to_dict(self) -> dict[str, Any]:
        """Give the fit in short, and every plan; null for what was not asked."""
        return {
            "fit": self.chosen.in_short(self.fit),
            "budget": None if self.budget is None else self.budget.to_dict(),
            "targets": [one.to_dict() for one in self.targets],
            "next_run": None if self.next_run is None else self.next_run.to_dict(),
        }

    def __str__(self) -> str:
        verdicts = [f"{self.fit.law.title}: {self.fit.sentence()}", *map(str, self.fit.verdicts)]
        plans = (self.budget, *self.targets, self.next_run)
        return "\n\n".join(["\n".join(verdicts), *(str(one) for one in plans if one is not None)])


@dataclass(frozen=True)
class Question:
    """What is asked of a fit."""

    asked: Asked
    budgets: list[float]
    targets: list[float]
    narrow: str | float | tuple[float, float] | None
    level: float

    def answer(self, chosen: Chosen, fit: Fit) -> Planned:
        """Plan by a fit."""
        from genret_core.scaling.planning import allocate, next_run, reach

        asked, budget, run = self.asked, None, None
        tokens = asked.tokens_per_pair
        if self.budgets:
            flops = PER_PARAMETER_AND_TOKEN * (asked.tokens_per_query or 0.0)
            serving = (asked.serve, lambda P: flops * P) if asked.serve else None
            budget = allocate(fit, self.budgets, tokens_per_pair=tokens, inference=serving, level=self.level)
        if asked.next_run:
            cost = None if fit.law.x2 is None else (lambda P, D: 6.0 * P * D * tokens)
            run = next_run(fit, target=self.narrow, cost=cost, level=self.level)
        reached = tuple(reach(fit, target, level=self.level) for target in self.targets)
        return Planned(chosen, fit, budget, reached, run)


def _question(law: Law, asked: Asked, level: float) -> Question:
    """Read what is asked, and refuse what the law cannot answer."""
    arguments = [law.x] if law.x2 is None else [law.x, law.x2]
    (budgets,) = places(asked.budget or [], "--budget", ["C"])
    (targets,) = places(asked.reach or [], "--reach", [law.y])
    told = ""
    if not (budgets or targets or asked.next_run):
        told = "There is nothing to plan: give --budget, --reach or --next-run."
    elif budgets and law.x2 is None:
        told = f"The law {law.name} has one argument, so --budget has nothing to divide; ask --reach Y."
    elif targets and law.x2 is not None:
        told = f"The law {law.name} has two arguments, so --reach has no one answer; ask --budget C."
    elif bool(asked.serve) != (asked.tokens_per_query is not None):
        told = "Answering queries costs --serve times --tokens-per-query; give both."
    elif asked.narrow is not None and not asked.next_run:
        told = "--narrow says what the next run is for; give --next-run, too."
    if told:
        raise BadInput(told, code="bad_option")
    narrow: str | float | tuple[float, float] | None = asked.narrow
    if asked.narrow is not None and NUMBERS.fullmatch(asked.narrow):
        at = [column[0] for column in places([asked.narrow], "--narrow", arguments)]
        narrow = at[0] if len(at) == 1 else (at[0], at[1])
    elif asked.narrow is not None and asked.narrow not in (*law.names, "amplitude_at_centre"):
        raise BadInput(
            f"--narrow {asked.narrow} is no parameter of {law.name}; there are {', '.join(law.names)}.",
            code="bad_option",
        )
    return Question(asked, budgets, targets, narrow, level)
