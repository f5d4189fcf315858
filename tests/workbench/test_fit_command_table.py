"""A file of points as the shell's verbs read it: formats, rows, what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting.table import number, read_table

HEADER, CELLS = ["name", "P", "CGL"], [["a, b", "1e6", ".5"], ["ç", "1e7", ".4"], ["", "1e8", "n/a"]]


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def refusal(source: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_table(source)
    return caught.value


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("csv", ";"), ("tsv", "\t"), ("txt", "\t")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_as_programs_write_it(
    tmp_path: Path, suffix: str, separator: str, encoding: str, end: str
) -> None:
    frame = pd.DataFrame(CELLS, columns=HEADER)
    path = tmp_path / f"points.{suffix}"
    frame.to_csv(path, index=False, sep=separator, encoding=encoding, lineterminator=end)
    table = read_table(str(path))
    assert table.columns == {name: list(frame[name]) for name in HEADER}
    assert table.rows == (1, 2, 3)
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_typed_formats(tmp_path: Path) -> None:
    records = [{"P": 1e6, "n": 3, "name": "a"}, {"P": None, "n": 4, "name": None}]
    pd.DataFrame(records).to_parquet(tmp_path / "points.parquet")
    parquet = read_table(str(tmp_path / "points.parquet"))
    lines = read_table(written(tmp_path / "points.jsonl", "\n".join(map(json.dumps, records)) + "\n\n"))
    assert parquet.columns["n"] == lines.columns["n"] == [3, 4]
    assert lines.columns["P"] == [1e6, None] and [number(cell) for cell in lines.columns["P"]] == [1e6, None]
    assert lines.rows == (1, 2)


def test_what_has_no_suffix_is_told_by_its_first_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"P": [1.5]}).to_parquet(tmp_path / "points.parquet")
    for content in (b"P,y\n1.5,2\n", b'{"P": 1.5}\n', (tmp_path / "points.parquet").read_bytes()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert number(read_table("-").columns["P"][0]) == 1.5
        assert number(read_table(written(tmp_path / "points", content)).columns["P"][0]) == 1.5


def test_blank_lines_are_no_rows_and_short_rows_are_filled(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "p.csv", "\nP, CGL ,note\n\n1,2,x\n  \n3\n\n4,5,,\n,,\n\n"))
    assert table.columns == {"P": ["1", "3", "4", ""], "CGL": ["2", "", "5", ""], "note": ["x", "", "", ""]}
    assert table.rows == (1, 2, 3, 4)
    assert table.take([0, 2]).rows == (1, 3)


def test_cells_that_are_numbers() -> None:
    told = ["1", " 2e3 ", "-.5", 7, 1.5, "", "n/a", "1,5", None, True, "0x10", "1e400", 10**400]
    infinite = float("inf")
    assert [number(cell) for cell in told] == [
        1, 2000, -0.5, 7, 1.5, None, None, None, None, None, None, infinite, None,
    ]  # fmt: skip


def test_what_cannot_be_read(tmp_path: Path) -> None:
    good = written(tmp_path / "points.csv", "P,CGL\n1,2\n")
    missing = refusal(str(tmp_path / "point.csv"))
    assert missing.code == "no_file" and f"did you mean {good}?" in str(missing)
    assert refusal(str(tmp_path)).code == "no_file"
    for name, content in {
        "empty.csv": "",
        "wide.csv": "P,CGL\n1,2\n1,000,2\n",
        "twice.csv": "P,P\n1,2\n",
        "quote.csv": 'P,CGL\n"1,2\n',
        "latin.csv": b"P,CGL\n\xe9,2\n",
        "sheet.csv": b"PK\x03\x04\x00\x00",
        "broken.jsonl": '{"P": 1}\n{"P": \n',
        "list.jsonl": "[1, 2]\n",
        "bad.parquet": b"PAR1 not",
    }.items():
        told = refusal(written(tmp_path / name, content))
        assert told.code == "bad_file" and name in str(told), name
    assert "row 2: it has 3 cells" in str(refusal(str(tmp_path / "wide.csv")))
    assert "line 2: not JSON" in str(refusal(str(tmp_path / "broken.jsonl")))


def test_a_csv_needs_no_pandas(tmp_path: Path) -> None:
    path = written(tmp_path / "points.csv", "P,CGL\n1,2\n")
    program = (
        "import sys; from genret_core.workbench.cli.fitting.table import read_table; "
        f"read_table({path!r}); print([m for m in ('numpy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
