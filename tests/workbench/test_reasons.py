"""`--dry-run` says what will run and why: against changes planted in a study that was run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_studies import TINY
from typer.testing import CliRunner

from genret_core.files import read_json, write_json
from genret_core.workbench.cli.app import build
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.study import run_cells
from genret_core.workbench.study.choice import Choice
from genret_core.workbench.study.notebooks import notebook_file, notebook_folder, reads_of
from genret_core.workbench.study.place import place
from genret_core.workbench.study.reasons import Reason, reasons_of_cells
from genret_core.workbench.study.reasons_of_notebooks import reasons_of_notebooks

STUDY = TINY + "notebooks: [00_corpus]\n"
Ask = Callable[..., dict[str, Reason]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its cells trained and its one notebook run, as far as its records tell."""
    root = tmp_path_factory.mktemp("ran")
    (root / "study.yaml").write_text(STUDY)
    assert run_cells(root / "study.yaml", out=root / "runs") == []
    here = place(root / "study.yaml", root / "runs")
    run = notebook_folder(here, "00_corpus", reads_of(here))
    run.mkdir(parents=True)
    shutil.copy(notebook_file("00_corpus"), run / "executed.ipynb")
    (run / "report.html").write_text("<html></html>\n")
    from genret_core.workbench.params import check

    values = check({"study_dir": str(here.folder)}, notebook_file("00_corpus"))
    record = RunRecord("00_corpus", run, "done", started="2026-01-01T00:00:00+00:00", inputs=reads_of(here))
    write_json(run / "run.json", {**record.to_dict(), "parameters": values})
    write_json(run / "status.json", {"state": "done", "reason": None, "pid": None, "host": None})
    return root


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Path:
    shutil.copytree(ran, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


@pytest.fixture
def ask(copy: Path) -> Ask:
    def ask(*changes: tuple[str, str], choice: Choice | None = None) -> dict[str, Reason]:
        text = STUDY
        for before, now in changes:
            assert before in text
            text = text.replace(before, now)
        (copy / "study.yaml").write_text(text)
        found = reasons_of_cells(place(copy / "study.yaml", copy / "runs"), choice)
        return {reason.name: reason for reason in found}

    return ask


A, B = "a ngram s0", "b ngram s0"


def test_nothing_changed(ask: Ask) -> None:
    assert [(r.runs, r.kind) for r in ask().values()] == [(False, "done")] * 2


@pytest.mark.parametrize(
    ("before", "now", "names", "told"),
    [
        ("batch_queries: 8", "batch_queries: 4", [A, B], "recipe.batch_queries from 8 to 4"),
        ("d_model: 16", "d_model: 24", [B], "backbone.d_model from 16 to 24"),
        ("0.1/d", "0.2/d", [A, B], "backbone.lr"),
        ("length: 5", "length: 6", [A, B], "identifiers.ngram.length from 5 to 6"),
        ("vocab_size: 300", "vocab_size: 310", [A, B], "tokenizer.vocab_size from 300 to 310"),
        ("n_documents: 40", "n_documents: 44", [A, B], "corpus.n_documents from 40 to 44"),
    ],
)
def test_a_changed_value_is_named(ask: Ask, before: str, now: str, names: list[str], told: str) -> None:
    found = ask((before, now))
    assert [name for name, reason in found.items() if reason.runs] == names
    for name in names:
        assert found[name].kind == "parameters" and told in found[name].why


def test_what_no_cell_depends_on_changes_nothing(ask: Ask) -> None:
    assert not any(reason.runs for reason in ask(("name: tiny", "name: tiny\nnote: other words")).values())


def test_new_cells_and_new_searches(ask: Ask) -> None:
    found = ask(("backbones: [a, b]}", "backbones: [a, b], seeds: [0, 1]}"), ("[2]", "[2, 4]"))
    assert found["a ngram s1"].kind == "new" and "did not ask" in found["a ngram s1"].why
    assert (found[A].kind, found[A].why) == ("evaluations", "trained; not measured yet: beam 4")
    assert found[B].kind == "done"


def test_what_a_cell_came_to_before(ask: Ask, copy: Path) -> None:
    cells = {read_json(path)["backbone"]: path.parent for path in copy.glob("runs/tiny/cells/*/cell.json")}
    for name, state, reason in (("a", "failed", "it diverged"), ("b", "killed", "killed: out of memory")):
        (cells[name] / "cell.json").unlink()
        write_json(cells[name] / "status.json", {"state": state, "reason": reason, "pid": None})
    found = ask()
    assert (found[A].runs, found[A].kind) == (False, "failed")
    assert "it diverged" in found[A].why and "--retry-failed" in found[A].why
    assert (found[B].runs, found[B].kind, found[B].why) == (True, "killed", "killed: out of memory")
    assert ask(choice=Choice(retry_failed=True))[A].runs
    assert ask(("beams: [2]", "beams: [3]"))[A].runs, "it failed at something else"
    left = ask(choice=Choice(("backbone == 'a'",), retry_failed=True))
    assert left[A].runs and (left[B].runs, left[B].kind) == (False, "left_out")
    shutil.rmtree(cells["b"])
    assert ask()[B].kind == "never_ran"


def test_another_version_of_the_recipe(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("genret_core.modeling.spec", "genret_core.workbench.study.choice"):
        monkeypatch.setattr(f"{module}.RECIPE_VERSION", 1000)
    found = ask()
    assert {reason.kind for reason in found.values()} == {"recipe"}
    assert "to 1000" in found[A].why


def test_notebooks(copy: Path) -> None:
    def ask(text: str = STUDY, **how: bool | int) -> Reason:
        (copy / "study.yaml").write_text(text)
        (found,) = reasons_of_notebooks(place(copy / "study.yaml", copy / "runs"), ["00_corpus"], **how)  # type: ignore[arg-type]
        return found

    assert (ask().runs, ask().kind) == (False, "done")
    assert "3 cells run first" in ask(cells_run=3).why
    other = ask(STUDY + "notebook_parameters: {00_corpus: {n_examples: 1}}\n")
    assert (
        other.runs and other.kind == "parameters" and "n_examples from" in other.why and "to 1" in other.why
    )
    assert "the study's file changed" in ask(STUDY.replace("name: tiny", "name: tiny\nnote: other")).why
    run = next(copy.glob("runs/tiny/notebooks/*"))
    write_json(run / "status.json", {"state": "failed", "reason": "ValueError: no"})
    assert (ask().runs, ask().kind) == (False, "failed") and ask(retry_failed=True).runs
    run.rename(run.with_name("00_corpus-00000000"))
    path = run.with_name("00_corpus-00000000") / "executed.ipynb"
    notebook = read_json(path)
    notebook["cells"][0]["source"] = ["# Another question"]
    write_json(path, notebook)
    assert (ask().kind, ask().why) == ("source", "its source changed")
    shutil.rmtree(path.parent)
    assert ask().kind == "never_ran"


def test_the_command_tells_it_to_people_and_programs(copy: Path) -> None:
    (copy / "study.yaml").write_text(STUDY.replace("d_model: 16", "d_model: 24"))
    words = ["study", str(copy / "study.yaml"), "--out", str(copy / "runs"), "--dry-run"]
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    shown = CliRunner().invoke(build(), words)
    assert shown.exit_code == 0, shown.output
    assert "changed since it was last run: ladders.b.d_model from 16 to 24" in shown.output
    assert "cells that will run now: 1 of 2" in shown.output
    found = json.loads(CliRunner().invoke(build(), [*words, "--json"]).stdout)
    assert [(cell["cell"], cell["runs"], cell["kind"]) for cell in found["cells"]] == [
        (A, False, "done"),
        (B, True, "parameters"),
    ]
    assert found["changed"] == [{"key": "ladders.b.d_model", "before": 16, "now": 24}]
    assert [(n["name"], n["runs"]) for n in found["notebooks"]] == [("00_corpus", True)]
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
