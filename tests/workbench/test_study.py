"""Whole studies on a made-up corpus: from nothing to index.html, resumed, broken, killed, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.workbench.notebook.record import open_run
from genret_core.workbench.pool import read_status
from genret_core.workbench.retriever.ask import ask
from genret_core.workbench.runs import Study, open_study
from genret_core.workbench.study import StudyOutcome, run_cells, run_study
from genret_core.workbench.study.choice import Choice
from genret_core.workbench.study.file import load, save
from genret_core.workbench.study.grid import expand
from genret_core.workbench.study.lock import locked
from genret_core.workbench.study.one_notebook import run_one
from genret_core.workbench.study.rebuild import rebuild

LADDER = """
family: llama
lr: {ngram: 0.1/d, codebook: 0.1/d}
backbones:
  - {name: a, d_model: 8, n_layers: 1, n_heads: 1, d_ff: 16}
  - {name: b, d_model: 16, n_layers: 1, n_heads: 1, d_ff: 16}
"""
STUDY = """
name: tiny
corpus: {reader: synthetic, n_documents: 40, queries_per_document: 6, test_queries: 12, validation_queries: 4}
tokenizer: {vocab_size: 300}
identifiers: {ngram: {length: 5, n_samples: 2}, codebook: {N_c: 4, L_c: 3, embedding_dim: 8}}
evaluation: {n_queries: 12, n_negatives: 4, ngrams_per_positive: 2}
recipe: {batch_queries: 8}
ladders: [ladder.yaml]
grid:
  - {methods: [ngram], backbones: [a, b]}
search:
  - {methods: [ngram], backbones: [a], beams: [2]}
"""


@pytest.fixture(scope="module", autouse=True)
def fresh_server() -> Iterator[None]:
    """Have the server of this process fork from the modules that cells need, not from an earlier test's."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(study: str = STUDY, ladder: str = LADDER) -> Path:
        (tmp_path / "study.yaml").write_text(study)
        (tmp_path / "ladder.yaml").write_text(ladder)
        return tmp_path / "study.yaml"

    return write


def times(study: Path, pattern: str = "**/*") -> dict[str, int]:
    """When each file of a study was written, those aside that tell when it was last looked at."""
    changing = {"status.json", "index.html", "lock.json", "study.yaml", "cells.parquet", "results.parquet"}
    files = [path for path in study.glob(pattern) if path.is_file()]
    return {str(p): p.stat().st_mtime_ns for p in files if p.parent != study or p.name not in changing}


# ---- the preset that `make test` runs everything on ----


@pytest.mark.notebook
def test_the_test_preset_runs_from_nothing_to_its_page(test_outcome: StudyOutcome) -> None:
    assert test_outcome.failures == ()
    assert test_outcome.cells == test_outcome.cells_done == 13
    assert test_outcome.notebooks == test_outcome.notebooks_done == len(load("test").notebooks) > 0
    page = test_outcome.index.read_text()
    for name in load("test").notebooks:
        assert f"notebooks/{name}-" in page, f"{name} is not linked"
    assert read_json(test_outcome.folder / "status.json")["state"] == "done"
    study = open_study(test_outcome.folder)
    assert study.missing() == ""
    assert set(study.results["method"]) == {"ngram", "codebook", "bm25"}
    assert set(study.rows("CGL")["split"]) == {"seen", "unseen"}
    searched = study.rows("MR@5", method="ngram", backbone="llama-d32")
    assert searched.groupby("variant")["beam"].apply(list).to_dict() == {
        "as SEAL": [2, 4],
        "default": [1, 2, 4, 8],
    }
    again = searched[searched["variant"] == "as SEAL"]
    assert (again["C_rescoring"] > 0).all() and (searched["C_unshared"] >= 0).all()
    assert (
        searched["model_seconds"] + searched["index_seconds"] + searched["scoring_seconds"]
        < searched["seconds"]
    ).all()
    sd, source = study.seed_sd("CGL")
    assert sd is not None and sd > 0 and "this study" in source
    best = study.replicates(study.rows("CGL", split="seen", method="ngram"), draws=50)
    assert best.shape[1] == 50 and (best > 0).all()


@pytest.mark.notebook
def test_a_second_run_finds_everything_done_and_imports_nothing_heavy(test_outcome: StudyOutcome) -> None:
    before = times(test_outcome.folder)
    code = (
        "import sys\n"
        "from genret_core.workbench.study import run_study\n"
        f"outcome = run_study('test', out={str(test_outcome.folder.parent)!r})\n"
        "assert outcome.ok and outcome.notebooks_done == outcome.notebooks\n"
        "heavy = [name for name in ('torch', 'papermill', 'transformers') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert times(test_outcome.folder) == before


@pytest.mark.notebook
def test_a_changed_parameter_runs_that_notebook_alone(test_outcome: StudyOutcome) -> None:
    before = set((test_outcome.folder / "notebooks").iterdir())
    spec = load("test")
    changed = spec.model_copy(
        update={"notebook_parameters": {**spec.notebook_parameters, "00_corpus": {"n_examples": 1}}}
    )
    outcome = run_study(changed, out=test_outcome.folder.parent)
    assert outcome.ok
    (new,) = set((test_outcome.folder / "notebooks").iterdir()) - before
    assert new.name.startswith("00_corpus-")
    alone = run_study(changed, out=test_outcome.folder.parent, only=["05_model_size"])
    assert alone.notebooks == 1
    for name in changed.notebooks:  # the page shows what was not asked for, too
        assert f"notebooks/{name}-" in alone.index.read_text(), name


@pytest.mark.notebook
def test_one_notebook_by_itself(test_outcome: StudyOutcome, tmp_path: Path) -> None:
    """`genret run` follows the rules of the study: the same key, the same folder, the same report."""
    out = tmp_path / "alone"
    record = run_one("00_corpus", assignments=[f"study_dir={test_outcome.folder}", "n_examples=1"], out=out)
    assert record.done and record.parameters["n_examples"] == 1
    assert record.report.is_file() and "For tests" in record.report.read_text()
    in_study = open_run(next((test_outcome.folder / "notebooks").glob("00_corpus-*")))
    assert record.inputs == in_study.inputs != {}


@pytest.mark.notebook
def test_pages_can_be_made_anew_without_running_anything(test_outcome: StudyOutcome) -> None:
    before = times(test_outcome.folder, "notebooks/*/executed.ipynb")
    test_outcome.index.unlink()
    page, failures = rebuild(str(test_outcome.folder))
    assert (page, failures) == (test_outcome.index, []) and page.is_file()
    assert times(test_outcome.folder, "notebooks/*/executed.ipynb") == before


@pytest.mark.notebook
@pytest.mark.parametrize("method", ["ngram", "codebook"])
def test_a_trained_retriever_answers_as_in_its_evaluation(test_outcome: StudyOutcome, method: str) -> None:
    """`genret search` ranks as the study's own search of that query did."""
    study = open_study(test_outcome.folder)
    rows = study.rows("MR@5", method=method, backbone="llama-d32", beam=4, variant="default")
    cell, _, evaluation = str(rows["run_id"].iloc[0]).partition("/")
    found = pd.read_parquet(study.layout.evaluation(cell, evaluation) / "searches.parquet")
    query = int(found["query"].iloc[0])
    expected = found[found["query"] == query].sort_values("rank")
    answer = ask(
        str(study.folder), study.corpus.query_text(query), beam=4, k=100, cell="llama-d32", method=method
    )
    assert [hit.document for hit in answer.hits] == [
        study.corpus.document_id(row) for row in expected["document"]
    ]
    assert [hit.score for hit in answer.hits] == pytest.approx(expected["score"].tolist(), abs=1e-4)
    with pytest.raises(BadInput, match="did you mean 'llama-d32'"):
        ask(str(study.folder), "any words", beam=1, k=1, cell="llama-d23")


# ---- what can go wrong ----


def test_failing_cells_stop_nobody_and_are_tried_again_when_asked(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    broken = LADDER.replace("d_ff: 16}\n", "d_ff: 16, lr: 1.0e+30}\n", 1)
    outcome = run_study(write(ladder=broken), out=tmp_path / "runs", only=[])
    assert not outcome.ok and (outcome.cells, outcome.cells_done) == (2, 1)
    (failure,) = outcome.failures
    assert failure.startswith("a ngram s0: failed: a (ngram, seed 0)") and "1e+30" in failure
    study = Study(outcome.folder, load(outcome.folder))
    states = study.progress().set_index("backbone")["state"]
    assert states.to_dict() == {"a": "failed", "b": "done"}
    status = read_json(outcome.folder / "status.json")
    assert status["state"] == "failed" and failure == status["reason"]
    assert "failed" in outcome.index.read_text()
    assert set(study.results["backbone"]) == {"b", "bm25"}  # the tables hold what there is
    before = times(outcome.folder, "cells/*/checkpoint/*")
    log = outcome.folder / "cells" / study.progress().set_index("backbone")["cell"]["a"] / "log.txt"
    tried = log.stat().st_mtime_ns
    said: list[str] = []
    again = run_study(outcome.folder, only=[], say=said.append)
    assert again.failures == outcome.failures and times(outcome.folder, "cells/*/checkpoint/*") == before
    assert log.stat().st_mtime_ns == tried
    assert "1 cell failed before; --retry-failed tries it again" in said
    retried = run_study(outcome.folder, only=[], choice=Choice(retry_failed=True))
    assert retried.failures == outcome.failures and log.stat().st_mtime_ns > tried
    measured = STUDY.replace("beams: [2]", "beams: [3]")  # what is asked of it now was never tried
    run_study(write(measured, ladder=broken), out=tmp_path / "runs", only=[], say=said.append)
    assert log.stat().st_mtime_ns > tried


def test_a_changed_value_makes_anew_what_depends_on_it(write: Callable[..., Path], tmp_path: Path) -> None:
    first = run_study(write(), out=tmp_path / "runs", only=[])
    results = open_study(first.folder).results
    before = times(first.folder, "cells/*/checkpoint/*")
    said: list[str] = []
    other = LADDER.replace("d_model: 16", "d_model: 24")
    second = run_study(write(ladder=other), out=tmp_path / "runs", only=[], say=said.append)
    assert second.ok and second.cells == 2
    (told,) = [line for line in said if line.startswith("changed since")]
    assert "ladders.b.d_model from 16 to 24" in told and "stays in" in told and "a.d" not in told
    after = times(first.folder, "cells/*/checkpoint/*")
    assert before.items() < after.items() and len(list((first.folder / "cells").iterdir())) == 3
    kept = open_study(second.folder).results
    same = results[results["backbone"] != "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[kept["backbone"] != "b"].reset_index(drop=True), same)
    back = run_study(write(), out=tmp_path / "runs", only=[])  # and back: nothing is computed
    assert back.ok and times(first.folder, "cells/*/checkpoint/*") == after
    pd.testing.assert_frame_equal(open_study(back.folder).results, results)


def test_fresh_removes_what_a_run_made_and_says_so(write: Callable[..., Path], tmp_path: Path) -> None:
    first = run_study(write(), out=tmp_path / "runs", only=[])
    notes = [first.folder / "notes.txt", first.folder / "cells" / "mine.txt"]
    for note in notes:
        note.write_text("mine")
    other = STUDY.replace("batch_queries: 8", "batch_queries: 4").replace("length: 5", "length: 6")
    said: list[str] = []
    anew = run_study(write(other), out=tmp_path / "runs", fresh=True, only=[], say=said.append)
    assert anew.ok and len(list((anew.folder / "cells").glob("*/cell.json"))) == 2
    assert said[0].startswith("removing what was made in") and "2 cells, 1 corpus" in said[0]
    assert "mine.txt" in said[1] and [note.read_text() for note in notes] == ["mine", "mine"]
    elsewhere = tmp_path / "elsewhere"
    (anew.folder / "cells").rename(elsewhere)
    (anew.folder / "cells").symlink_to(elsewhere)
    with pytest.raises(BadInput, match="is a link to"):
        run_study(write(), out=tmp_path / "runs", fresh=True, only=[])
    assert len(list(elsewhere.glob("*/cell.json"))) == 2
    stranger = tmp_path / "runs" / "theirs" / "cells" / ("0" * 16)
    stranger.mkdir(parents=True)  # a folder that holds no study
    run_study(write(STUDY.replace("tiny", "theirs")), out=tmp_path / "runs", fresh=True, only=[])
    assert stranger.is_dir()


def test_a_wider_grid_trains_only_what_is_new(write: Callable[..., Path], tmp_path: Path) -> None:
    first = run_study(write(), out=tmp_path / "runs", only=[])
    before = times(first.folder, "cells/*/checkpoint/*")
    wider = STUDY.replace("backbones: [a, b]}", "backbones: [a, b], fractions: [0.5, 1.0]}").replace(
        "[2]", "[1, 2]"
    )
    second = run_study(write(wider), out=tmp_path / "runs", only=[])
    assert (second.ok, second.cells) == (True, 4)
    after = times(first.folder, "cells/*/checkpoint/*")
    assert before.items() < after.items()
    beams = open_study(second.folder).rows("MR@5", method="ngram")["beam"].tolist()
    assert beams == [1, 2]


def test_only_the_cells_that_an_expression_names(write: Callable[..., Path], tmp_path: Path) -> None:
    small = Choice(("P < 1000 and family == 'llama'", "seed == 0"))
    sizes = {cell.name: cell.backbone.parameters(1)[0] for cell in expand(load(write()))}
    assert sorted(n < 1000 for n in sizes.values()) == [False, True], sizes
    outcome = run_study(write(), out=tmp_path / "runs", only=[], choice=small)
    states = Study(outcome.folder, load(outcome.folder)).progress().set_index("backbone")["state"]
    assert states.to_dict() == {"a": "done", "b": "queued"} and not outcome.failures
    for wrong, words in (("familly == 'llama'", "did you mean family"), ("seed == 7", "seed is 0")):
        with pytest.raises(BadInput, match=words):
            run_cells(write(), out=tmp_path / "runs", choice=Choice((wrong,)))


def test_a_step_of_preparation_that_cannot_work_says_why(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="n_queries is 500"):
        run_study(write(STUDY.replace("n_queries: 12", "n_queries: 500")), out=tmp_path / "runs")
    assert not (tmp_path / "runs" / "tiny").exists(), "bad input leaves nothing behind"


def test_parameters_are_free_until_a_cell_is_trained(write: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    save(load(write(STUDY.replace("batch_queries: 8", "batch_queries: 4"))), folder / "study.yaml")
    assert run_cells(write(), out=tmp_path / "runs", jobs=2) == []
    assert load(folder).recipe.batch_queries == 8
    assert not (tmp_path / "runs" / "tiny" / "lock.json").exists()


def test_one_command_at_a_time(write: Callable[..., Path], tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "runs" / "tiny"
    with locked(folder), pytest.raises(BadInput, match=f"process {os.getpid()}"):
        run_study(write(), out=tmp_path / "runs", only=[])
    gone = subprocess.Popen(["true"])
    gone.wait()
    with locked(folder):
        lock = read_json(folder / "lock.json")
    write_json(folder / "lock.json", {**lock, "pid": gone.pid})
    assert run_study(write(), out=tmp_path / "runs", only=[]).ok
    assert f"taking over the lock of process {gone.pid}" in capsys.readouterr().out


def test_shards_share_the_cells(write: Callable[..., Path], tmp_path: Path) -> None:
    assert run_cells(write(), out=tmp_path / "runs", shard=(1, 2)) == []
    study = open_study(tmp_path / "runs" / "tiny")
    assert sorted(study.progress()["state"]) == ["done", "queued"]
    assert run_cells(study.folder, shard=(2, 2)) == []
    assert open_study(study.folder).missing() == ""


def test_when_the_time_is_up_cells_wait_for_the_next_time(write: Callable[..., Path], tmp_path: Path) -> None:
    failures = run_cells(write(), out=tmp_path / "runs", max_seconds=0.01)
    assert failures == ["2 cells were not started: the time was up"]
    assert run_cells(tmp_path / "runs" / "tiny") == []


# ---- killed and interrupted from outside ----

LONG = STUDY.replace("batch_queries: 8", "batch_queries: 8, steps: fixed, n_steps: 100000").replace(
    "backbones: [a, b]", "backbones: [a]"
)


def start(study: Path, out: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "genret_core.workbench.cli.app", "study", str(study), "--out", str(out)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def running_cell(study: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until a cell trains."""
    for _ in range(900):
        for path in study.glob("cells/*/log.txt"):  # the job itself has begun
            status = read_status(path.parent)
            if status["state"] == "running":
                return status
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError("no cell ever ran")


def test_kill_9_of_a_worker(write: Callable[..., Path], tmp_path: Path) -> None:
    study = tmp_path / "runs" / "tiny"
    process = start(write(LONG), tmp_path / "runs")
    os.kill(running_cell(study, process)["pid"], signal.SIGKILL)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a ngram s0: killed: probably out of memory" in told and "Traceback" not in told
    assert "0 of 1 cells" in out
    assert read_json(study / "status.json")["state"] == "failed"


def test_ctrl_c_says_how_to_go_on(write: Callable[..., Path], tmp_path: Path) -> None:
    study = tmp_path / "runs" / "tiny"
    process = start(write(LONG), tmp_path / "runs")
    running_cell(study, process)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on where it stopped" in told and "Traceback" not in told
    assert read_json(study / "status.json")["state"] == "killed"
    assert not (study / "lock.json").exists()
    assert [read_status(path.parent)["state"] for path in study.glob("cells/*/status.json")] == ["killed"]


def test_tables_are_written_whole(write: Callable[..., Path], tmp_path: Path) -> None:
    outcome = run_study(write(), out=tmp_path / "runs", only=[])
    tables = [pd.read_parquet(outcome.folder / f"{name}.parquet") for name in ("cells", "results")]
    assert tables[0]["cell"].is_unique and not tables[1].duplicated(["run_id", "metric"]).any()
    assert not list(outcome.folder.rglob("*.part"))
