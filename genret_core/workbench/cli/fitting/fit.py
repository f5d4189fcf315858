"""`genret fit`: a law through the points of a file, how sure it is, and what it cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting import options
from genret_core.workbench.cli.fitting.command import places
from genret_core.workbench.cli.fitting.groups import tell
from genret_core.workbench.cli.fitting.naming import law_named, printed_law
from genret_core.workbench.cli.fitting.points import LEVEL, Chosen, choose

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.scaling.beyond.predictions import Predictions
    from genret_core.scaling.published.held import Held


@options.flattened
def fit(
    *,
    ctx: typer.Context,
    points: options.Source,
    law: options.Law = "model_size",
    columns: options.Columns,
    by: options.By = None,
    manner: options.Manner,
    predict: Annotated[
        list[str] | None,
        typer.Option(metavar="X ...", help="Predict there: one or several numbers; P,D for laws of two."),
    ] = None,
    published: Annotated[
        str | None, typer.Option(metavar="ID", help="Hold printed coefficients against it: table1:t5, eq8, …")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Fit a scaling law to points, with intervals and what they cannot tell.

    Rows are counted from 1 below the header. What can be fitted but not trusted is told in verdicts.
    """
    found = law_named(law)
    how, printed = manner.arguments(), printed_law(published)
    chosen = choose(points, found, columns)
    at = places(predict or [], "--predict", chosen.arguments_of_law())

    def answer(chosen: Chosen) -> Fitted:
        one = chosen.fit(found, how)
        predictions = held = None
        if at[0]:
            from genret_core.scaling.beyond.extrapolation import predict

            predictions = predict(one, *at, level=LEVEL)
        if printed is not None:
            from genret_core.scaling.published.held import hold

            try:
                held = hold(one, printed)
            except BadInput as error:
                raise BadInput(f"--published: {error}", code="bad_option") from None
        return Fitted(chosen, one, predictions, held)

    tell(ctx, chosen, answer, by=by, as_json=as_json)


@dataclass(frozen=True)
class Fitted:
    """A fit, what it predicts, and what printed coefficients make of the same points."""

    chosen: Chosen
    fit: Fit
    predictions: Predictions | None
    held: Held | None

    def to_dict(self) -> dict[str, Any]:
        """Give the object that programs read."""
        told = self.chosen.told(self.fit)
        told["predictions"] = [] if self.predictions is None else self.predictions.rows()
        for more in (self.predictions, self.held):
            told["verdicts"] += [] if more is None else [verdict.to_dict() for verdict in more.verdicts]
        return told if self.held is None else {**told, "published": self.held.to_dict()}

    def __str__(self) -> str:
        return "\n\n".join(str(part) for part in (self.fit, self.predictions, self.held) if part is not None)
