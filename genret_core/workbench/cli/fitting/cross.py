"""`genret cross`: where two families meet, which is lower beyond, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting import options
from genret_core.workbench.cli.fitting.command import print_json, words_of
from genret_core.workbench.cli.fitting.naming import law_named, printed_laws
from genret_core.workbench.cli.fitting.points import Chosen, choose
from genret_core.workbench.cli.fitting.record import provenance

if TYPE_CHECKING:
    from genret_core.scaling import Fit, Law
    from genret_core.scaling.published import PublishedLaw


@options.flattened
def cross(
    *,
    ctx: typer.Context,
    points: Annotated[
        list[str] | None,
        typer.Argument(help="Two files of points; or one, with --by or --published.", show_default=False),
    ] = None,
    law: options.Law = "model_size",
    columns: options.Columns,
    by: Annotated[
        str | None, typer.Option(metavar="COL", help="In one file, the column that tells the two families.")
    ] = None,
    manner: options.Manner,
    published: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Printed laws: table3:k=5 is both families; table3:t5:k=5 one."),
    ] = None,
    low: Annotated[float | None, typer.Option("--from", help="Where to start looking.")] = None,
    high: Annotated[float | None, typer.Option("--to", help="Where to stop looking.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Find where two curves meet: of two files, of two groups of one file, or printed ones.

    An interval holds all places at which the data do not tell the curves apart; a place outside of what was
    measured is an extrapolation, and said to be one.
    """
    from genret_core.scaling.beyond.crossing import crossing

    how = manner.arguments()
    families = _families(points or [], law_named(law), columns, by)
    curves: list[Fitted | Printed] = []
    for i, (name, chosen) in enumerate(families):
        # another seed for each: rows of independent files are not resampled alike
        curves.append(Fitted(name, chosen, chosen.fit(law_named(law), {**how, "seed": manner.seed + i})))
    curves += [Printed(one) for one in printed_laws(published)]
    if len(curves) != 2:
        raise BadInput(
            f"Curves cross in pairs, and this names {len(curves)}; give two files, one file with --by and "
            "two groups, one file and one printed law, or two printed laws.",
            code="bad_option",
        )
    a, b = curves
    names = (a.name, b.name)
    found = crossing(a.curve, b.curve, level=manner.level, low=low, high=high, names=names)
    if as_json:
        told = {**found.to_dict(), "curves": [one.to_dict(ctx) for one in curves]}
        print_json({**told, "provenance": {"command": words_of(ctx)}})
    else:
        print("\n".join([*(str(one) for one in curves), "", str(found)]))


@dataclass(frozen=True)
class Fitted:
    """A curve fitted to points."""

    name: str
    chosen: Chosen
    curve: Fit

    def to_dict(self, ctx: typer.Context) -> dict[str, Any]:
        """Give the fit in short, and where it is from."""
        told = self.chosen.in_short(self.curve)
        return {"name": self.name, **told, "provenance": provenance(ctx, self.chosen)}

    def __str__(self) -> str:
        told = [f"{self.name}: {self.curve.law.title}. {self.curve.sentence()}"]
        return "\n".join([*told, *(f"  {verdict}" for verdict in self.curve.verdicts)])


@dataclass(frozen=True)
class Printed:
    """A curve with printed coefficients."""

    curve: PublishedLaw

    @property
    def name(self) -> str:
        """Its name, and what `published.find` finds it by."""
        return self.curve.id

    def to_dict(self, ctx: typer.Context) -> dict[str, Any]:
        """Give the coefficients as printed."""
        one = self.curve
        return {"name": one.id, "law": one.law, "where": one.where, "printed": dict(one.printed)}

    def __str__(self) -> str:
        printed = ", ".join(f"{name} {value}" for name, value in self.curve.printed.items())
        return f"{self.curve.id}: {self.curve.described.equation} with {printed} ({self.curve.where})"


def _families(
    files: list[str], law: Law, columns: options.Columns, by: str | None
) -> list[tuple[str, Chosen]]:
    """Give the families by name: the files, or the two groups of one."""
    if by is None:
        short = [Path(file).stem for file in files]
        names = short if len(set(short)) == len(files) else files
        return [(name, choose(file, law, columns)) for name, file in zip(names, files, strict=True)]
    if len(files) != 1:
        raise BadInput(f"--by splits one file, but there are {len(files)}.", code="bad_option")
    groups = [(f"{group.group}", group) for group in choose(files[0], law, columns).grouped(by)]
    if len(groups) != 2:
        there = ", ".join(name for name, _ in groups[:8])
        raise BadInput(
            f"{files[0]} has {len(groups)} groups by {by} ({there}), and curves cross in pairs; choose two "
            f"with --where \"{by} in ['a', 'b']\".",
            code="bad_option",
        )
    return groups
