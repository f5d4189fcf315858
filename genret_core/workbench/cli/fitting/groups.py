"""What a verb answers, for all points or for each group, on the screen or as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import typer

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting.command import print_json
from genret_core.workbench.cli.fitting.points import Chosen
from genret_core.workbench.cli.fitting.record import provenance

OF_ALL = ("bad_option", "bad_columns", "no_column")  # what is wrong for one group is wrong for every group


class Answer(Protocol):
    """What a verb has found; prints as a table."""

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values."""
        ...


@dataclass(frozen=True)
class Told:
    """What a verb has found about some points."""

    chosen: Chosen
    answer: Answer | BadInput

    @property
    def ok(self) -> bool:
        """Whether anything was found."""
        return not isinstance(self.answer, BadInput)

    def to_dict(self, ctx: typer.Context) -> dict[str, Any]:
        """Give what programs read."""
        group = {} if self.chosen.by is None else {"group": self.chosen.group}
        if isinstance(self.answer, BadInput):
            return {**group, "error": {"code": self.answer.code, "message": str(self.answer)}}
        return {**group, **self.answer.to_dict(), "provenance": provenance(ctx, self.chosen)}

    def __str__(self) -> str:
        told = f"cannot be fitted: {self.answer}" if isinstance(self.answer, BadInput) else str(self.answer)
        return told if self.chosen.by is None else f"{self.chosen.by} = {self.chosen.group}\n{told}"


def tell(
    ctx: typer.Context,
    chosen: Chosen,
    answer: Callable[[Chosen], Answer],
    *,
    by: str | None,
    as_json: bool,
) -> None:
    """Ask for all points, or for every group, and print what is found.

    Raises
    ------
    typer.Exit
        With status 2, if no group has an answer; each was told why.
    BadInput
        What the points, or the options, were refused for.
    """
    if by is None:
        told = Told(chosen, answer(chosen))
        print_json(told.to_dict(ctx)) if as_json else print(told)
        return
    groups = [_ask(group, answer) for group in chosen.grouped(by)]
    if as_json:
        print_json([told.to_dict(ctx) for told in groups])
    else:
        print("\n\n".join(str(told) for told in groups))
    if not any(told.ok for told in groups):
        raise typer.Exit(2)


def _ask(chosen: Chosen, answer: Callable[[Chosen], Answer]) -> Told:
    try:
        return Told(chosen, answer(chosen))
    except BadInput as error:
        if error.code in OF_ALL:
            raise
        return Told(chosen, error)
