"""`--where`: which rows an expression takes, and that it can do nothing else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting.table import Table, read_table
from genret_core.workbench.cli.fitting.where import rows_where

CSV = """family,P,R@100,beam width,cgl
t5,1e6,0.5,1,.1
t5,2000000,,5,.2
llama2,1e9,0.7,10,x
llama2,7e9,0.9,20,.4
bert,2e6,0.9,nan,.5
"""


@pytest.fixture()
def table(tmp_path: Path) -> Table:
    path = tmp_path / "points.csv"
    path.write_text(CSV)
    return read_table(str(path))


def taken(table: Table, *expressions: str) -> list[int]:
    return list(rows_where(table, list(expressions)).rows)


def refusal(table: Table, expression: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        rows_where(table, [expression])
    return caught.value


# expressions that pandas understands in the same way: an independent reading of the same file
AS_PANDAS = [
    "family == 't5'",
    'family != "t5"',
    "P > 1e6 and family in ('t5', 'bert')",
    "P == 2e6",
    "P != 2000000",
    "1e6 < P <= 1e9",
    "`R@100` >= 0.7 or family == 't5'",
    "not (`beam width` < 10) and family not in ['bert']",
    "P in [1e6, 7e9]",
    "family < 'm'",
    "P > -1",
    "((family == 't5' or family == 'bert') and not P == 1e6)",
]


@pytest.mark.parametrize("expression", AS_PANDAS)
def test_it_takes_the_rows_that_pandas_takes(table: Table, expression: str, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "points.csv")
    expected = frame.query(expression, engine="python").index + 1
    assert taken(table, expression) == expected.tolist()


def test_numbers_and_text_are_kept_apart(table: Table) -> None:
    assert taken(table, "P == 2e6") == [2, 5], "however a number is written"
    assert taken(table, "P == '2e6'") == [5], "text is text"
    assert taken(table, "cgl == 'x'") == [3]
    assert taken(table, "cgl > 0") == [1, 2, 4, 5], "what is no number is neither more nor less"
    assert taken(table, "not cgl > 0") == [3]
    assert taken(table, "`R@100` == ''") == [2]
    assert taken(table, "'t5' in family") == [1, 2], "part of a column's text"
    assert taken(table, "family in ('t5')") == [1, 2], "brackets without a comma"


def test_several_must_all_hold(table: Table) -> None:
    assert taken(table, "family == 't5'", "P > 1e6") == [2]


def test_columns_are_compared_with_each_other(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("a,b\n9,10\n10,9\nx,y\ny,x\n")
    assert taken(read_table(str(path)), "a < b") == [1, 3], "9 < 10 as numbers, x < y as text"


def test_cells_of_a_typed_file(tmp_path: Path) -> None:
    path = tmp_path / "points.parquet"
    pd.DataFrame({"seed": [0, 1, 2], "name": ["0", "b", None], "ok": [True, False, True]}).to_parquet(path)
    table = read_table(str(path))
    assert taken(table, "seed == 1") == taken(table, "seed == '1'") == [2]
    assert taken(table, "name == '0'") == [1]
    assert taken(table, "ok == 'True'") == [1, 3]


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch MARK')",
        "__import__('os').system('touch MARK') == 0",
        "open('MARK', 'w') == 1 or family == 't5'",
        "[c for c in ().__class__.__base__.__subclasses__()] == 1",
        "(lambda: open('MARK', 'w'))() == 1",
        "family.upper() == 'T5'",
        "family[0] == 't'",
        "family.__class__ == 'str'",
        "f'{open(\"MARK\", \"w\")}' == ''",
        "(P := 3) == 3",
        "P * 2 > 1",
        "P ** 9 ** 9 ** 9 > 1",
        "(P if P else P) == 1",
        "{'a': P} == 1",
        "P == True",
        "P == None",
        "P == 1j",
        "P == b'1'",
        "~P == 1",
        "family == ['t5']",
        "family in [['t5']]",
        "family in ['t5', P]",
        "family is 't5'",
        "P > 1; import os",
        "P > 1\nimport os",
        "import os",
        "yield P",
        "P > 1 if",
        "P",
        "'t5'",
        "1",
        "",
        "   ",
        "`",
        "P > `R@100",
        "\x00",
        "(" * 300 + "P > 1" + ")" * 300,
        "not " * 100_000 + "P > 1",
        "P > 1 and (" * 180 + "P > 1" + ")" * 180,
    ],
)
def test_everything_else_is_refused(table: Table, tmp_path: Path, expression: str) -> None:
    mark = tmp_path / "mark"
    told = refusal(table, expression.replace("MARK", str(mark)))
    assert told.code in ("bad_where", "no_column")
    assert not mark.exists()
    assert str(told).count("\n") == 0 and len(str(told)) < 600


def test_refusals_say_what_to_write(table: Table) -> None:
    assert "write == for is equal to: family == 't5'" in str(refusal(table, "family=t5"))
    assert "P == 1e6" in str(refusal(table, "P = 1e6"))
    assert "write and, or, not" in str(refusal(table, "(family == 't5') & (P > 1)"))
    assert "put it in backticks" in str(refusal(table, "R@100 > 0.5"))
    unknown = refusal(table, "famly == 't5'")
    assert unknown.code == "no_column" and "did you mean family?" in str(unknown)
    assert "text stands in quotes: 't5'" in str(refusal(table, "family == t5"))
    none = refusal(table, "family == 'gpt' and P > 1")
    assert none.code == "no_rows" and "family is t5, llama2, bert; P is 1e6, 2000000, 1e9" in str(none)
