"""Every notebook: how it is written (static), and that it runs on the test preset (marker `notebook`)."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from genret_core.workbench.params import declared
from genret_core.workbench.report import maths
from genret_core.workbench.runs import Study

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = [
    path
    for path in NOTEBOOKS
    if path.stem[:2] in {"00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11"}
]
MOST_CELLS, MOST_LINES = 15, 20
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
ours = pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_there_is_one_for_each_question() -> None:
    numbers = [path.stem[:2] for path in NOTEBOOKS]
    assert len(numbers) == len(set(numbers))
    assert {path.stem for path in OURS} == {
        "00_corpus", "01_identifiers", "02_train", "03_search", "04_cgl_vs_metrics", "05_model_size",
        "06_data_size", "07_joint_law", "08_inference_compute", "09_fit_explorer", "10_summary",
        "11_published",
    }  # fmt: skip


@names
def test_is_valid_and_runs_anywhere(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert book.metadata.kernelspec.name == "python3"
    assert book.metadata.kernelspec.language == "python"
    ids = [cell.id for cell in book.cells]
    assert len(ids) == len(set(ids))


@names
def test_is_committed_without_outputs_or_traces_of_a_run(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    for cell in cells(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
    traces = {"papermill", "widgets", "jupytext", "genret"}
    assert not traces & set(book.metadata)
    assert not any(traces & set(cell.metadata) for cell in book.cells)


@names
def test_is_a_question(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    title = first.source.splitlines()[0]
    assert title.startswith("# ") and title.endswith("?")


@names
def test_holds_no_logic(path: Path) -> None:
    code = cells(path, "code")
    assert len(code) <= MOST_CELLS
    for cell in code:
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.For, ast.While)), cell.source


@names
def test_declares_every_parameter_with_type_and_comment(path: Path) -> None:
    parameters = declared(path)  # refuses what has no annotation, and more or fewer than one tagged cell
    assert "study_dir" in [p.name for p in parameters]
    assert all(p.help for p in parameters), [p.name for p in parameters if not p.help]
    code = cells(path, "code")
    tagged = [i for i, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", [])]
    assert "check_globals(globals())" in code[tagged[0] + 1].source, "the next cell validates"


@names
def test_never_imports_torch_itself(path: Path) -> None:
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(cell.source)):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy = {"torch", "transformers", "peft"}
            assert not heavy & {name.partition(".")[0] for name in modules}


@ours
def test_what_it_imports_stays_without_torch(path: Path) -> None:
    lines = [
        line
        for cell in cells(path, "code")
        for line in cell.source.splitlines()
        if line.startswith(("from ", "import "))
    ]
    check = "import sys; heavy = {'torch', 'transformers'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", "\n".join([*lines, check])], check=True, cwd=ROOT, timeout=120)


@names
def test_every_formula_can_be_drawn(path: Path) -> None:
    found = [
        f
        for cell in cells(path, "markdown")
        for f in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", cell.source, re.S)
    ]
    for block, inline in found:
        assert maths.svg((block or inline).strip(), inline=not block).startswith("<svg")


@ours
def test_reads_as_a_report(path: Path) -> None:
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings[0] == "Method"
    assert "What this does not show" in headings and "Provenance" in headings
    last = cells(path, "code")[-1].source
    assert last.startswith("answer("), "the last cell writes the answer from the numbers"


@pytest.mark.notebook
@ours
def test_runs_on_the_test_study(path: Path, test_study: Study) -> None:
    from genret_core.workbench.notebook.record import answer_of, open_run

    folder = next((test_study.folder / "notebooks").glob(f"{path.stem}-*"))
    record = open_run(folder)
    assert record.done, (folder / "log.txt").read_text()[-2000:]
    executed = nbformat.read(record.notebook, as_version=4)
    answer = answer_of(executed.cells)
    assert answer and answer.endswith(".") and "nan" not in answer.lower().split()
    page = record.report.read_text(encoding="utf-8")
    assert 'class="math-failed"' not in page
    assert re.search(r'<figure[^>]* class="plot"', page)
    stderr = [o.text for c in executed.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert not stderr, stderr


@pytest.mark.notebook
def test_runs_under_plain_papermill(test_study: Study, tmp_path: Path) -> None:
    """The validator inside coerces what papermill passes on as it is: YAML's `5e1` is a string."""
    import papermill

    path = ROOT / "notebooks" / "06_data_size.ipynb"
    values = {"study_dir": str(test_study.folder), "draws": "50", "level": "9e-1"}
    book = papermill.execute_notebook(str(path), str(tmp_path / "out.ipynb"), values, progress_bar=False)
    assert "Answer." in str(book.cells[-1].outputs)
    assert "[90% interval]" in str(book.cells)


@pytest.mark.notebook
def test_the_published_points_need_no_study(tmp_path: Path) -> None:
    from genret_core.workbench.study.one_notebook import run_one

    record = run_one("11_published", out=tmp_path / "run")
    assert record.done, record.reason


@pytest.mark.notebook
def test_a_wrong_value_stops_it_in_one_sentence(test_study: Study, tmp_path: Path) -> None:
    import papermill

    path = ROOT / "notebooks" / "05_model_size.ipynb"
    values = {"study_dir": str(test_study.folder), "draws": "many"}
    with pytest.raises(papermill.PapermillExecutionError, match="draws"):
        papermill.execute_notebook(str(path), str(tmp_path / "out.ipynb"), values, progress_bar=False)


@pytest.mark.notebook
def test_search_makes_what_is_missing_with_the_pool(test_study: Study, tmp_path: Path) -> None:
    from genret_core.workbench.execute import execute
    from genret_core.workbench.study.collect import evaluation_folder

    folder = tmp_path / "copy"
    shutil.copytree(test_study.folder, folder, ignore=shutil.ignore_patterns("notebooks", "lock.json"))
    searched = test_study.results[test_study.results["beam"].notna()]
    lost = evaluation_folder(folder, str(searched["run_id"].iloc[-1]))
    shutil.rmtree(lost)
    path = ROOT / "notebooks" / "03_search.ipynb"
    params = {"study_dir": str(folder), "search_missing": True}
    record = execute(path, params, tmp_path / "run")
    assert record.done, record.reason
    assert (lost / "eval.json").is_file()
