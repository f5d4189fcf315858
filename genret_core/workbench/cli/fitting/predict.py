"""`genret predict`: what all laws say where nothing was measured, beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting import options
from genret_core.workbench.cli.fitting.command import places
from genret_core.workbench.cli.fitting.groups import tell
from genret_core.workbench.cli.fitting.naming import law_named, laws_named
from genret_core.workbench.cli.fitting.points import Chosen, choose

if TYPE_CHECKING:
    from genret_core.scaling.beyond.predictions import Predictions


@options.flattened
def predict(
    *,
    ctx: typer.Context,
    points: options.Source,
    at: Annotated[
        list[str],
        typer.Option(metavar="X ...", help="Where: one or several numbers; P,D for laws of two."),
    ],
    law: options.Law = "model_size",
    laws: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C", help="Laws beside it; default the usual rivals that the points can hold."
        ),
    ] = None,
    columns: options.Columns,
    by: options.By = None,
    manner: options.Manner,
    as_json: options.AsJson = False,
) -> None:
    """Predict beyond the data by every law that may hold, and say how far out that is.

    The interval is that of --law and holds only if that law does; the spread between laws says how much hangs
    on the choice.
    """
    found = law_named(law)
    others = None if laws is None else laws_named(laws)
    for other in others or ():
        if (other.x2 is None) != (found.x2 is None):
            raise BadInput(
                f"--laws: {other.name} and {found.name} are not functions of the same arguments.",
                code="bad_option",
            )
    how = manner.arguments()
    chosen = choose(points, found, columns)
    where = places(at, "--at", chosen.arguments_of_law())

    def answer(chosen: Chosen) -> Predictions:
        from genret_core.scaling.beyond.extrapolation import predict, rivals

        first = chosen.fit(found, how)
        if others is None:
            beside = rivals(first)
        else:
            quick = {**how, "intervals": False}
            beside = tuple(chosen.fit(other, quick) for other in others if other.name != found.name)
        try:
            return predict((first, *beside), *where, level=manner.level)
        except BadInput as error:
            raise chosen.retold(error) from None

    tell(ctx, chosen, answer, by=by, as_json=as_json)
