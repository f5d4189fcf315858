from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.workbench import params
from genret_core.workbench.params import read_yaml

CELL = '''"""What can be chosen."""
study_dir: str = "runs/demo"  # the study to read
lr: float = 1e-3              # learning rate
draws: int = 1000             # resamplings behind each interval
quiet: bool = False
beams: list[int] = [1, 5]     # beam sizes
limit: int | None = None      # at most so many rows
shift: float = -0.5
'''

META = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}


def notebook(tmp_path: Path, *cells: str, tags: tuple[str, ...] = ("parameters",)) -> Path:
    code = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": list(tags[i : i + 1])}, "source": cell,
         "outputs": [], "execution_count": None}
        for i, cell in enumerate(cells)
    ]  # fmt: skip
    path = tmp_path / "toy.ipynb"
    path.write_text(json.dumps({"cells": code, "metadata": META, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return notebook(tmp_path, CELL)


def test_declared_agrees_with_papermill(toy: Path) -> None:
    papermill = pytest.importorskip("papermill")
    theirs = papermill.inspect_notebook(str(toy))
    ours = params.declared(toy)
    # its inspection does not see annotations with `|` (it injects them all the same)
    assert [p.name for p in ours if p.name != "limit"] == list(theirs)
    for p in ours:
        if p.name == "limit":
            continue
        assert p.type.replace(" ", "") == theirs[p.name]["inferred_type_name"].replace(" ", "")
        assert p.help == theirs[p.name]["help"]
    assert [p.default for p in ours] == ["runs/demo", 1e-3, 1000, False, [1, 5], None, -0.5]


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("lr", "1e-3", 0.001),
        ("lr", 1, 1.0),
        ("draws", "20", 20),
        ("draws", 3.0, 3),
        ("draws", np.int64(7), 7),
        ("lr", np.float64(0.5), 0.5),
        ("quiet", "yes", True),
        ("beams", (1, "10"), [1, 10]),
        ("beams", np.array([2, 3]), [2, 3]),
        ("limit", None, None),
        ("limit", "4", 4),
        ("study_dir", Path("runs/x"), "runs/x"),
        ("study_dir", 5, "5"),
    ],
)
def test_check_coerces(toy: Path, name: str, given: object, wanted: object) -> None:
    value = params.check({name: given}, toy)[name]
    assert value == wanted and type(value) is type(wanted)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lr": "abc"}, ("'lr'", "float", "'abc'")),
        ({"draws": 2.5}, ("'draws'", "int", "2.5")),
        ({"draws": True}, ("'draws'", "int", "True")),
        ({"beams": [1, "x"]}, ("'beams'", "list[int]")),
        ({"limit": "many"}, ("'limit'", "int | None")),
        ({"study_dir": None}, ("'study_dir'", "str")),
        ({"draw": 5}, ("'draw'", "toy.ipynb", "'draws'")),
        ({"zzz": 5}, ("'zzz'", "study_dir", "lr", "draws")),
    ],
)
def test_check_refuses_in_one_sentence(toy: Path, values: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        params.check(values, toy)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert text[-1] in ".?" and "\n" not in text


def test_defaults_fill_in_and_order_is_the_cells(toy: Path) -> None:
    full = params.check({"draws": 5}, toy)
    assert list(full) == ["study_dir", "lr", "draws", "quiet", "beams", "limit", "shift"]
    assert full["lr"] == 1e-3 and full["draws"] == 5
    assert params.check(full, toy) == full


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("a = 1", "line 1: 'a = 1' is not of the form"),
        ("import os", "is not of the form"),
        ("a: dict = {}", "the type dict of 'a'"),
        ("a: __import__('os').system('x') = 1", "cannot be a parameter's"),
        ("a: int = len('x')", "the default of 'a' must be a plain value"),
        ("a: int = 'x'", "must be int, not 'x'"),
        ("a: int = (", "line 1"),
    ],
)
def test_cells_that_declare_badly_are_refused(tmp_path: Path, cell: str, words: str) -> None:
    with pytest.raises(BadInput, match="toy") as caught:
        params.declared(notebook(tmp_path, cell))
    assert words in str(caught.value)


def test_exactly_one_tagged_cell(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has 0 cells"):
        params.declared(notebook(tmp_path, CELL, tags=()))
    with pytest.raises(BadInput, match="has 2 cells"):
        params.declared(notebook(tmp_path, CELL, CELL, tags=("parameters", "parameters")))
    with pytest.raises(BadInput, match="no notebook at"):
        params.declared(tmp_path / "nowhere.ipynb")
    (tmp_path / "text.ipynb").write_text("hello")
    with pytest.raises(BadInput, match="cannot be read as a notebook"):
        params.declared(tmp_path / "text.ipynb")


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_check_globals_coerces_in_place(future: str) -> None:
    namespace: dict[str, object] = {}
    exec(future + CELL, namespace)
    exec("lr = '1e-4'\nbeams = (3,)", namespace)  # as papermill injects
    namespace["__annotations__"]["table"] = "pd.DataFrame"  # type: ignore[index]  # a later cell's
    namespace["table"] = 1
    params.check_globals(namespace)
    assert namespace["lr"] == 1e-4 and namespace["beams"] == [3] and namespace["draws"] == 1000
    namespace["draws"] = 2.5
    with pytest.raises(BadInput, match="'draws' in the parameters cell must be int"):
        params.check_globals(namespace)


def test_check_globals_asks_for_annotations_computed_on_demand() -> None:
    namespace = {"n": "3", "__annotate__": lambda form: {"n": int}}
    params.check_globals(namespace)
    assert namespace["n"] == 3


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_yaml_numbers_and_nesting(tmp_path: Path) -> None:
    value = read_yaml(write(tmp_path, "lr: 1e-3\nd: 3e8\nname: e5\nday: 12\nx: {a: [1, 2.5, -1E-4]}\n"))
    assert value == {"lr": 0.001, "d": 3e8, "name": "e5", "day": 12, "x": {"a": [1, 2.5, -1e-4]}}
    assert read_yaml(write(tmp_path, "")) == {}
    assert read_yaml(write(tmp_path, "a: &x {b: 1}\nc: {<<: *x, d: 2}\n"))["c"] == {"b": 1, "d": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "study.yaml:3"),
        ("a: 1\non: 2\n", "put it in quotes"),
        ("- 1\n- 2\n", "expected `key: value` pairs"),
        ("a: !!python/object/apply:os.system [ls]\n", "study.yaml:1"),
    ],
)
def test_yaml_errors_say_where(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_yaml(write(tmp_path, text))
    assert words in str(caught.value) and "\n" not in str(caught.value)
