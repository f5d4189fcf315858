"""What the verbs about laws understand beyond typer: several numbers after one flag, and errors as JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from genret_core.errors import BadInput

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NUMBERS = re.compile(rf"{NUMBER}(?:,{NUMBER})*")
SEVERAL = ("--predict", "--at", "--budget", "--reach")  # options that take all numbers which follow
WORDS = "genret.words"  # what was typed after the verb, in the context
UsageError: Any = typer.BadParameter.__base__  # click's, or typer's own copy of it


class LawCommand(TyperCommand):
    """A verb about laws."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the verb."""
        ctx.meta[WORDS] = list(args)
        try:
            result: list[str] = super().parse_args(ctx, spread_out(args))
        except UsageError as error:
            if "--json" in args:
                print_json({"error": {"code": "bad_option", "message": error.format_message()}})
            raise
        return result

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; what it refuses is told on standard output, too, if a program listens."""
        try:
            return super().invoke(ctx)
        except BadInput as error:
            if ctx.params.get("as_json"):
                print_json({"error": {"code": error.code, "message": str(error)}})
            raise


def spread_out(words: Sequence[str]) -> list[str]:
    """Repeat a flag for each of the numbers that follow it: `--predict 1 2` is `--predict=1 --predict=2`."""
    told: list[str] = []
    flag = ""
    for i, word in enumerate(words):
        if word == "--":
            return told + list(words[i:])
        name, equals, _ = word.partition("=")
        if flag and NUMBERS.fullmatch(word):
            if told[-1] == flag:  # its first number
                told.pop()
            told.append(f"{flag}={word}")
            continue
        flag = name if name in SEVERAL and (word == name or equals) else ""
        told.append(word)
    return told


def words_of(ctx: typer.Context) -> str:
    """Give the command as it can be typed again."""
    return f"genret {ctx.info_name} {shlex.join(ctx.meta.get(WORDS, []))}".strip()


def print_json(value: Any) -> None:
    """Print JSON with all digits; what is undefined is null."""
    print(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def places(entries: Sequence[str], flag: str, arguments: Sequence[str]) -> list[list[float]]:
    """Read the numbers of a flag, a list for each argument of the law: `P` or `P,D`.

    Raises
    ------
    BadInput
        With code `bad_option`.
    """
    columns: list[list[float]] = [[] for _ in arguments]
    for entry in entries:
        parts = entry.split(",")
        if not NUMBERS.fullmatch(entry) or len(parts) != len(arguments):
            one = ",".join("1e10" for _ in arguments)
            raise BadInput(
                f"{flag} {entry} is no place; write {','.join(arguments)} as numbers, such as {one}.",
                code="bad_option",
            )
        for column, part in zip(columns, parts, strict=True):
            if not 0 < float(part) < float("inf"):
                raise BadInput(
                    f"{flag} {entry}: arguments of a law are positive and finite.", code="bad_option"
                )
            column.append(float(part))
    return columns
