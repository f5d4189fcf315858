"""`--where`: which rows of a file to take, as an expression over its columns that can do nothing else.

The text is parsed, never run: comparisons, `and`, `or`, `not`, parentheses, column names, text, numbers and
lists are known here, and everything else is refused.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting.table import Cell, Table, number

LONGEST = 2000  # characters: deeper nesting than this can hold is no question about rows
SHOWN = 8  # values of a column that a refusal names
QUOTED = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|`([^`]*)`""")
Compare = Callable[[Any, Any], bool]
OPERATORS: dict[type[ast.cmpop], Compare] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

Condition = Callable[[int], bool]  # of the place of a row


@dataclass(frozen=True)
class _Term:
    """What is compared: a cell of each row, a literal, or several literals."""

    at: Callable[[int], Cell]
    literal: bool = False
    several: tuple[_Term, ...] | None = None


def rows_where(table: Table, expressions: list[str]) -> Table:
    """Take the rows for which every expression holds.

    A cell compares as a number with a number and as text with text; one that is no number is neither less nor
    more than a number, nor equal to it.

    Raises
    ------
    BadInput
        With code `bad_where` for an expression that is not understood, `no_column` for a name that is no
        column, `no_rows` if no row is left.
    """
    asked: list[str] = []
    kept = list(range(len(table.rows)))
    for text in expressions:
        reader = _Reader(table, text)
        kept = reader.places(kept)
        asked += reader.names
    if not kept and table.rows:
        there = "; ".join(f"{name} is {_values(table, name)}" for name in dict.fromkeys(asked))
        told = " and ".join(expressions)
        raise BadInput(f"No row of {table.source} has {told}; {there or 'correct it'}.", code="no_rows")
    return table.take(kept)


def _values(table: Table, name: str) -> str:
    different = [str(cell) for cell in dict.fromkeys(table.columns[name])]
    more = len(different) - SHOWN
    return ", ".join(different[:SHOWN]) + (f" and {more} more" if more > 0 else "")


class _Reader:
    """Reads one expression."""

    def __init__(self, table: Table, text: str) -> None:
        self.table, self.text = table, text
        self.names: list[str] = []
        self._quoted: dict[str, str] = {}
        if len(text) > LONGEST:
            raise self._refusal(f"it is longer than {LONGEST} characters")
        try:
            self.tree = ast.parse(QUOTED.sub(self._stand_in, text).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._refusal() from None

    def _stand_in(self, found: re.Match[str]) -> str:
        """Give a backtick-quoted column a name that Python's grammar takes; leave text as it is."""
        if found[1] is not None:
            return found[1]
        name = f"_column_{len(self._quoted)}_"
        while name in self.text or name in self.table.columns:
            name += "_"
        self._quoted[name] = found[2].strip()
        return name

    def _refusal(self, why: str = "") -> BadInput:
        text = self.text if len(self.text) <= 200 else self.text[:200] + "…"
        return BadInput(f"--where {text!r} is not understood: {why or self._hint()}.", code="bad_where")

    def _hint(self) -> str:
        column, equals, value = (part.strip() for part in self.text.partition("="))
        if equals and column and value and not re.search(r"[=<>!:'\"`]", column + value):
            column = column if column.isidentifier() else f"`{column}`"
            written = value if number(value) is not None else repr(value)
            return f"write == for is equal to: {column} == {written}"
        return (
            "compare columns with text or numbers, such as \"family == 't5' and P > 1e9\", and put names "
            "that hold signs in backticks"
        )

    def places(self, among: list[int]) -> list[int]:
        """Give the places of the rows for which it holds."""
        try:
            holds = self._condition(self.tree)
            return [i for i in among if holds(i)]
        except RecursionError:
            raise self._refusal("it is nested too deeply") from None

    def _condition(self, node: ast.expr) -> Condition:
        """Read what is true or false of a row."""
        if isinstance(node, ast.BoolOp):
            parts = [self._condition(value) for value in node.values]
            together = all if isinstance(node.op, ast.And) else any
            return lambda i: together(part(i) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            part = self._condition(node.operand)
            return lambda i: not part(i)
        if isinstance(node, ast.Compare):
            terms = [self._term(side) for side in (node.left, *node.comparators)]
            links = [self._link(terms[j], sign, terms[j + 1]) for j, sign in enumerate(node.ops)]
            return lambda i: all(link(i) for link in links)
        if isinstance(node, ast.Name):
            raise self._refusal(f"say what {self._written(node)} is compared with")
        raise self._unknown(node, "no comparison of columns, text and numbers")

    def _link(self, left: _Term, sign: ast.cmpop, right: _Term) -> Condition:
        if isinstance(sign, (ast.In, ast.NotIn)):
            wanted = isinstance(sign, ast.In)
            if left.several is not None:
                raise self._refusal("a list stands on the right of in")
            if right.several is None and not right.literal:  # a column: part of its text
                return lambda i: (str(left.at(i)) in str(right.at(i))) is wanted
            choices = (right,) if right.several is None else right.several
            return lambda i: any(_holds(operator.eq, left, choice, i) for choice in choices) is wanted
        compare = OPERATORS.get(type(sign))
        if compare is None or left.several is not None or right.several is not None:
            raise self._refusal("a list stands on the right of in" if compare else "is and is not are ==, !=")
        return lambda i: _holds(compare, left, right, i)

    def _term(self, node: ast.expr) -> _Term:
        """Read what is compared."""
        if isinstance(node, ast.Name):
            name = self._quoted.get(node.id, node.id)
            if name not in self.table.columns:
                self._no_column(name)
            self.names.append(name)
            return _Term(self.table.columns[name].__getitem__)
        if isinstance(node, ast.Constant) and _plain(node.value):
            return _literal(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = node.operand
            if isinstance(operand, ast.Constant) and type(operand.value) in (int, float):
                return _literal(-float(operand.value))  # type: ignore[arg-type]
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            several = tuple(self._term(element) for element in node.elts)
            if all(term.literal for term in several):
                return _Term(lambda i: None, several=several)
        raise self._unknown(node, "neither a column, text, a number nor a list of these")

    def _unknown(self, node: ast.expr, what: str) -> BadInput:
        written = self._written(node)
        sign = getattr(node, "op", None)
        if isinstance(sign, (ast.BitAnd, ast.BitOr, ast.Invert)):
            return self._refusal("write and, or, not for &, |, ~")
        if isinstance(node, ast.BinOp):
            return self._refusal(f"{written} is arithmetic; if it is a column's name, put it in backticks")
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return self._refusal(f"{written} is text in a file: write '{written}'")
        return self._refusal(f"{written} is {what}")

    def _no_column(self, name: str) -> None:
        try:
            self.table.column(name)
        except BadInput as error:
            raise BadInput(f"{error} (text stands in quotes: '{name}')", code=error.code) from None

    def _written(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        for stand_in, name in self._quoted.items():
            text = text.replace(stand_in, f"`{name}`")
        return text if len(text) <= 60 else text[:60] + "…"


def _plain(value: Any) -> TypeGuard[str | int | float]:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _literal(value: Cell) -> _Term:
    return _Term(lambda i: value, literal=True)


def _holds(compare: Compare, left: _Term, right: _Term, i: int) -> bool:
    a, b = left.at(i), right.at(i)
    as_text = (left.literal and isinstance(a, str)) or (right.literal and isinstance(b, str))
    if as_text and isinstance(a, str) and isinstance(b, str):
        return compare(a, b)
    x, y = number(a), number(b)
    if x is not None and y is not None:
        return compare(x, y)
    one_is_number = isinstance(a, (int, float)) or isinstance(b, (int, float))
    if one_is_number and not as_text:
        return compare is operator.ne
    return compare(_as_text(a), _as_text(b))


def _as_text(cell: Cell) -> str:
    return "" if cell is None else str(cell)
