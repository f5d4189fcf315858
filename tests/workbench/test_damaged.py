"""Every file of a finished study damaged in turn: one sentence or a good answer, never a traceback."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genret_core.workbench.cli.app import build

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from many_cells import finished_study


def other_types(content: bytes) -> bytes:
    """Give each value of a record another type."""
    try:
        record = json.loads(content)
    except ValueError:
        return b'{"a": 1}'
    odd = itertools.cycle([None, -1, "\u202e<script>", [], {}, 1e308, True])
    return json.dumps({key: next(odd) for key in record}).encode()


FOLDER = b"a folder in its place"
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "list": lambda content: b"[]",
    "null": lambda content: b"null",
    "types": other_types,
    "binary": lambda content: bytes(range(256)) * 3,
    "deep": lambda content: b"[" * 100_000,
    "gone": lambda content: None,
    "folder": lambda content: FOLDER,
}
COMMANDS = (
    "runs ls --out {runs}",
    "runs show {study}",
    "runs gc {study}",
    "runs diff {study} {whole}",
    "study {study} --dry-run",
    "report {study}",
    "fit {study}",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_study(tmp_path_factory.mktemp("made") / "runs", 2, 1, 1)


def every_case(whole: Path) -> list[tuple[Path, str, str]]:
    read = {".json", ".yaml", ".parquet"}
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.suffix in read)
    return list(itertools.product(files, DAMAGES, COMMANDS))


def try_it(whole: Path, runs: Path, file: Path, damage: str, command: str) -> int:
    shutil.copytree(whole, runs / whole.name)
    at = runs / whole.name / file
    content = DAMAGES[damage](at.read_bytes())
    at.unlink()
    if content == FOLDER:
        at.mkdir()
    elif content is not None:
        at.write_bytes(content)
    words = command.format(runs=runs, study=runs / whole.name, whole=whole).split()
    found = CliRunner().invoke(build(), words)
    shutil.rmtree(runs)
    case = f"{file} {damage}: {command}"
    assert found.exception is None or isinstance(found.exception, SystemExit), case
    assert found.exit_code in (0, 1, 2), case
    if found.exit_code == 2:
        told = [line for line in found.output.splitlines() if line.startswith("genret: ")]
        assert len(told) == 1 and "Traceback" not in found.output, case
    return found.exit_code


def test_some_damage(whole: Path, tmp_path: Path) -> None:
    cases = random.Random(0).sample(every_case(whole), 60)
    ends = [try_it(whole, tmp_path / "runs", *case) for case in cases]
    assert {0, 2} <= set(ends)


@pytest.mark.slow
def test_all_damage(whole: Path, tmp_path: Path) -> None:
    for case in every_case(whole):
        try_it(whole, tmp_path / "runs", *case)
