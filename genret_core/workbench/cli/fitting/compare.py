"""`genret compare`: laws against each other on the same points, judged by points that they did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting import options
from genret_core.workbench.cli.fitting.groups import tell
from genret_core.workbench.cli.fitting.naming import law_named, laws_named
from genret_core.workbench.cli.fitting.points import Chosen, choose

if TYPE_CHECKING:
    from genret_core.scaling.comparison.compare import Comparison


@options.flattened
def compare(
    *,
    ctx: typer.Context,
    points: options.Source,
    laws: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Laws to compare; default all that are usual for such points."),
    ] = None,
    hold_out: Annotated[
        int, typer.Option(metavar="K", min=1, help="How many of the largest sizes are held out together.")
    ] = 1,
    columns: options.Columns,
    by: options.By = None,
    manner: options.Manner,
    as_json: options.AsJson = False,
) -> None:
    """Compare laws on the same points.

    Judged by leaving out every point in turn and the largest ones together, by the F test for a floor, the
    runs of the residuals, AICc and BIC; what is undefined for so few points says so.
    """
    two = columns.x2 is not None
    wanted = None if laws is None else laws_named(laws)
    law = law_named("surface" if two else "model_size")
    if wanted is not None:
        # the law of most arguments says which columns there are
        law = max(wanted, key=lambda one: one.x2 is not None)
    chosen = choose(points, law, columns)
    how = manner.arguments()

    def answer(chosen: Chosen) -> Compared:
        from genret_core.scaling.comparison.compare import compare

        try:
            found = compare(**chosen.arguments(), **how, laws=wanted, hold_out=hold_out)
        except BadInput as error:
            raise chosen.retold(error) from None
        chosen.used[:] = [int(row) for row in found.laws[0].fit.points.rows]
        return Compared(found)

    tell(ctx, chosen, answer, by=by, as_json=as_json)


@dataclass(frozen=True)
class Compared:
    """Laws that were compared; prints as their table."""

    comparison: Comparison

    def to_dict(self) -> dict[str, Any]:
        """Give the laws in order of rank, and those that the points cannot hold."""
        found = self.comparison
        return {
            "n": found.laws[0].fit.n,
            "comparison": found.to_dict(),
            "best": found.best,
            "left_out": [{"law": law, "reason": why} for law, why in found.left_out.items()],
            "sentence": found.sentence(),
        }

    def __str__(self) -> str:
        return str(self.comparison)
