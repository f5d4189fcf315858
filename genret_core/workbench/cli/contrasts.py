"""`genret contrasts`: what each change that a study lists does to CGL and rho."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genret_core.workbench.contrasts import Difference

HEAD = (
    f"  {'':38s} {'seeds':>5s} {'rho':>14s} {'instead of':>14s} {'difference of rho':>24s}   "
    "difference of CGL"
)


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("contrasts")(contrasts)


def contrasts(
    study: Annotated[str, typer.Argument(help="A study's folder or name.")],
    split: Annotated[
        str | None, typer.Option(help="Queries to measure on.  [default: the study's first split]")
    ] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare what a study's `contrasts` name: the same training but for one thing.

    Below 0 a change helps. Differences are paired by seed and query; an interval covers both.
    """
    from genret_core.workbench.contrasts import contrasts as measure_all
    from genret_core.workbench.runs import find_study

    found = measure_all(find_study(study), split=split, level=level)
    if as_json:
        print(json.dumps([one.to_dict() for one in found], ensure_ascii=False, indent=1))
        return
    print(HEAD)
    for one in found:
        print("\n".join(_lines(one)))
    first = found[0]
    print(
        f"mean ± SD between seeds; {100 * level:g} % intervals over {first.n_queries} queries and the seeds; "
        f"N {first.N}: chance is rho 1, CGL {math.log1p(1 / first.N):.5f}; below 0 the change helps"
    )


def _lines(one: Difference) -> list[str]:
    sides = [_pm(one.rho, one.rho_sd), _pm(one.other_rho, one.other_rho_sd)]
    rho = _interval(one.rho_difference, one.rho_low, one.rho_high, 3)
    cgl = _interval(one.difference, one.low, one.high, 5)
    what = f"{one.backbone} instead of {one.instead_of} ({one.method})"
    return [
        f"{one.question}",
        f"  {what:38s} {len(one.seeds):5d} {sides[0]:>14s} {sides[1]:>14s} {rho:>24s}   {cgl}",
    ]


def _pm(mean: float, sd: float) -> str:
    return f"{mean:.3f}" if math.isnan(sd) else f"{mean:.3f} ± {sd:.3f}"


def _interval(value: float, low: float, high: float, digits: int) -> str:
    if math.isnan(low):
        return f"{value:+.{digits}f} (one seed)"
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
