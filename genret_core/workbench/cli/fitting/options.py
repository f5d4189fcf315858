"""Options that the verbs about laws share, each declared once.

A verb takes a whole set of them as one argument, `columns: Columns`, and `flattened` shows typer the single
options that the set is made of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from genret_core.errors import BadInput

Source = Annotated[
    str,
    typer.Argument(
        help="Points: CSV, TSV, JSON lines or parquet, with a header; - reads standard input.",
        show_default=False,
    ),
]
Law = Annotated[
    str,
    typer.Option(
        help="model_size (Eq. 6), data_size (Eq. 7), inference (Eq. 12), joint (Eq. 8 as printed), "
        "joint_exchanged (P and D exchanged), surface, constant, log_linear, power, exponential or broken.",
    ),
]
By = Annotated[
    str | None, typer.Option(metavar="COL", help="Treat every group apart: rows with the same cell here.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with all digits.")]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns and rows of a file are the points."""

    x: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the argument; default P, D or C by the law.")
    ] = None
    y: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the value; default CGL or MR by the law.")
    ] = None
    x2: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column of the second argument of joint and surface; default D."),
    ] = None
    sd: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the known standard deviation of y.")
    ] = None
    noise: Annotated[
        float | None, typer.Option(metavar="SD", help="Known standard deviation of y, one for all points.")
    ] = None
    weights: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of relative weights, positive.")
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPR",
            help="Rows to take, e.g. \"family == 't5' and P > 1e9\"; names with signs in `backticks`; "
            "given several times, all hold.",
        ),
    ] = None
    drop_bad: Annotated[
        bool,
        typer.Option(
            "--drop-bad", help="Leave out rows that are not finite and positive, and say so, not refuse them."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a law is fitted."""

    objective: Annotated[
        str, typer.Option(help="ols, relative, huber (on log residuals), lad or logit.", show_default=True)
    ] = "ols"
    delta: Annotated[
        float | None, typer.Option(help="Where huber turns from squares to distances; default 1e-3.")
    ] = None
    bootstrap: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Intervals from so many resamplings of the rows, 0 never; default from 20 rows on.",
            min=0,
        ),
    ] = None
    negatives: Annotated[
        int | None, typer.Option(metavar="N", help="Negatives of the CGL: chance is ln(1 + 1/N).", min=1)
    ] = None
    chance: Annotated[
        float | None, typer.Option(metavar="Y", help="y at chance, where that is not ln(1 + 1/N).")
    ] = None
    queries: Annotated[
        int | None,
        typer.Option(metavar="N", help="Queries behind every rate: its noise is binomial.", min=1),
    ] = None
    bounds: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LO HI", help="Range that y can have; 0 1 with --law inference."),
    ] = None
    level: Annotated[float, typer.Option(help="Confidence level of the printed intervals.")] = 0.95
    seed: Annotated[int, typer.Option(help="Of the resampling.", min=0)] = 0

    def arguments(self) -> dict[str, Any]:
        """Give the keyword arguments of `scaling.fit`."""
        if self.negatives is not None and self.chance is not None:
            raise BadInput("--negatives and --chance both say what chance is; give one.", code="bad_option")
        given = {
            "objective": self.objective,
            "delta": self.delta,
            "bootstrap": self.bootstrap,
            "n_negatives": self.negatives,
            "chance": self.chance,
            "trials": self.queries,
            "bounds": self.bounds,
            "level": self.level,
            "seed": self.seed,
        }
        return {key: value for key, value in given.items() if value is not None}


def flattened(verb: Callable[..., None]) -> Callable[..., None]:
    """Show typer the single options of every set of options that a verb takes."""
    hints = get_type_hints(verb, include_extras=True)
    sets = {name: hint for name, hint in hints.items() if is_dataclass(hint) and isinstance(hint, type)}
    shown: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if name not in sets:
            shown.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        single = get_type_hints(sets[name], include_extras=True)
        shown += [
            inspect.Parameter(
                one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=single[one.name]
            )
            for one in fields(sets[name])
        ]

    def called(**given: Any) -> None:
        for name, kind in sets.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        verb(**given)

    called.__name__, called.__doc__ = verb.__name__, verb.__doc__
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    called.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return called
