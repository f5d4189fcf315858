"""Finished and unfinished studies, opened for reading: what notebooks read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import read_table
from genret_core.modeling import CellSpec, StudyFolder
from genret_core.workbench import project
from genret_core.workbench.documents import nearest
from genret_core.workbench.pool import read_status
from genret_core.workbench.pool.progress import doing
from genret_core.workbench.replicates.resampling import pooled_sd, replicate_means
from genret_core.workbench.study.collect import evaluation_folder, is_done
from genret_core.workbench.study.file import StudySpec, load
from genret_core.workbench.study.grid import cell_name, cell_specs
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.variants import plain_rows

if TYPE_CHECKING:
    from genret_core.retrieval.bm25 import Bm25Index
    from genret_core.retrieval.code_index import CodeIndex
    from genret_core.retrieval.codebook import Codebook
    from genret_core.retrieval.corpus import Corpus
    from genret_core.retrieval.sample import EvaluationSample
    from genret_core.retrieval.token_index import TokenIndex
    from genret_core.retrieval.token_stream import TokenStream
    from genret_core.retrieval.tokenizer import TextTokenizer

Floats = npt.NDArray[np.float64]
HEADLINES = ("CGL", "rho", "MR@5", "nDCG@10")
ROW_ORDER = ["method", "family", "P", "D", "fraction", "seed", "split", "beam", "metric"]


@dataclass(frozen=True, eq=False)
class Study:
    """A study folder, opened for reading. Nothing is loaded before it is asked for.

    Parameters
    ----------
    folder : Path
        The study folder, `runs/<study>`.
    spec : StudySpec
        The study as it was run.
    """

    folder: Path
    spec: StudySpec

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.spec.name

    @property
    def quick_note(self) -> str | None:
        """Sentence that every report of this study shows."""
        return self.spec.note

    @property
    def layout(self) -> StudyFolder:
        """Paths of the study."""
        return StudyFolder(self.folder)

    @cached_property
    def inputs(self) -> Inputs:
        """Keys of the shared inputs."""
        found = Inputs.read(self.folder, self.spec)
        if found is None:
            raise BadInput(f"{self.folder} is not prepared yet: run `{self.command}`.")
        return found

    @property
    def command(self) -> str:
        """The command that makes, or goes on with, this study."""
        folder, root = self.folder.resolve(), project.project_root()
        return f"genret study {folder.relative_to(root) if folder.is_relative_to(root) else folder}"

    @cached_property
    def plan(self) -> list[CellSpec]:
        """Every cell that the study file asks for."""
        return cell_specs(self.spec, self.inputs, self.folder)

    # ---- tables ----

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row per trained cell."""
        return self._table(self.layout.cells_table)

    @cached_property
    def results(self) -> pd.DataFrame:
        """A row per cell, evaluation and metric."""
        return self._table(self.layout.results_table)

    def _table(self, path: Path) -> pd.DataFrame:
        if not path.is_file():
            raise BadInput(f"{self.folder} has no results yet: run `{self.command}`.")
        return read_table(path)

    def rows(self, metric: str | Sequence[str], **filters: Any) -> pd.DataFrame:
        """Select rows of `results`, sorted by method, family, size, data, seed and beam.

        Parameters
        ----------
        metric : str or list of str
            `CGL`, `rho`, `MR@5`, …
        **filters
            Column by name: a value, or a list of the values allowed (`method="ngram"`, `beam=[10, 20]`).
        """
        found = self.results
        for column, wanted in {"metric": metric, **filters}.items():
            if column not in found:
                raise BadInput(
                    f"results.parquet has no column {column!r}; it has {', '.join(found.columns)}."
                )
            many = isinstance(wanted, (list, tuple, set, np.ndarray))
            found = found[found[column].isin(list(wanted))] if many else found[found[column] == wanted]
        return found.sort_values([*ROW_ORDER, "run_id"], kind="stable", ignore_index=True)

    def per_query(self, rows: pd.DataFrame) -> Floats:
        """Give the value of every query behind each row.

        Returns
        -------
        ndarray of float64, shape (len(rows), n_queries)
            Queries in one order for all rows.

        Raises
        ------
        BadInput
            If the rows were not all measured on the same queries.
        """
        columns = [
            self.by_query(str(run), str(metric))
            for run, metric in zip(rows["run_id"], rows["metric"], strict=True)
        ]
        for found in columns[1:]:
            if not found.index.equals(columns[0].index):
                raise BadInput(
                    f"these rows were measured on different queries ({len(columns[0])} and {len(found)}); "
                    "choose rows of one split and one number of queries."
                )
        return np.array([found.to_numpy() for found in columns], np.float64)

    def by_query(self, run_id: str, metric: str) -> pd.Series[float]:
        """Give the value of every query in one evaluation, sorted by query; of rho, the query's CGL.

        Raises
        ------
        BadInput
            If the evaluation has no such values.
        """
        source = "CGL" if metric == "rho" else metric  # rho is a transform of the mean CGL, not a mean itself
        cache = self.__dict__.setdefault("_per_query", {})
        if run_id not in cache:
            cache[run_id] = read_table(evaluation_folder(self.folder, run_id) / "per_query.parquet")
        table = cache[run_id]
        found = table[table["metric"] == source].set_index("query")["value"].sort_index()
        if found.empty:
            raise BadInput(f"evaluation {run_id} has no values of {metric} by query.")
        return found

    def replicates(self, rows: pd.DataFrame, draws: int = 1000, seed: int = 0) -> Floats:
        """Resample the queries once for all rows, and give the metric of each row in each resample.

        Calls with the same `draws` and `seed` over the same queries share the resamples: series stay paired.

        Returns
        -------
        ndarray of float64, shape (len(rows), draws)
        """
        if not len(rows):
            return np.empty((0, draws))
        means = replicate_means(self.per_query(rows), draws, seed)
        is_rho = (rows["metric"] == "rho").to_numpy()
        n = rows["n_negatives"].to_numpy(np.float64)[:, None]
        return np.where(is_rho[:, None], n * np.expm1(means), means)

    def seed_sd(self, metric: str) -> tuple[float | None, str]:
        """Give the standard deviation of a metric between seeds of one cell, and where it is from.

        Measured in this study wherever a cell has several seeds, else as the study file declares it.

        Returns
        -------
        sd : float or None
            None when it is neither measured nor declared.
        source : str
            A sentence for the report.
        """
        rows = self.results[self.results["metric"] == metric]
        alike = ["method", "backbone", "fraction", "split", "n_negatives", "variant", "beam"]
        groups = [
            tuple(row) for row in rows[alike].astype(object).where(rows[alike].notna(), None).to_numpy()
        ]
        sd, degrees = pooled_sd(groups, rows["value"])
        if degrees:
            freedom = "1 degree" if degrees == 1 else f"{degrees} degrees"
            return sd, f"pooled SD of {freedom} of freedom over the repeated seeds of this study"
        for name in (metric, metric.split("@")[0]):
            declared = self.spec.seed_noise.get(name)
            if declared is not None:
                return declared.sd, declared.source
        return (
            None,
            f"one seed per cell: how far {metric} moves between seeds is not known, and not in the interval",
        )

    def lr_rule(self, family: str, method: str) -> str:
        """Say how the learning rates of a family were chosen."""
        return self.spec.lr_rule(family, method)

    # ---- shared inputs ----

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus."""
        from genret_core.retrieval.corpus import Corpus

        return Corpus.open(self.layout.corpus(self.inputs.corpus))

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer."""
        from genret_core.retrieval.tokenizer import load_tokenizer

        return load_tokenizer(self.layout.tokenizer(self.inputs.corpus, self.inputs.tokenizer))

    @cached_property
    def stream(self) -> TokenStream:
        """The corpus as tokens."""
        from genret_core.retrieval.token_stream import TokenStream

        return TokenStream.open(self.layout.tokenizer(self.inputs.corpus, self.inputs.tokenizer))

    @cached_property
    def index(self) -> TokenIndex:
        """The index over the tokens of the corpus."""
        from genret_core.retrieval.token_index import TokenIndex

        return TokenIndex.open(self.layout.index(self.inputs.corpus, self.inputs.index), self.tokenizer.key)

    @cached_property
    def codebook(self) -> Codebook:
        """The codebook; BadInput if the study has no codebook cells."""
        from genret_core.retrieval.codebook import Codebook

        if not self.inputs.codebook:
            raise BadInput("this study has no codebook cells; add `codebook` to the methods of its grid.")
        return Codebook.open(self.layout.codebook(self.inputs.corpus, self.inputs.codebook))

    @cached_property
    def code_index(self) -> CodeIndex:
        """The index over the codes of all documents."""
        from genret_core.retrieval.code_index import CodeIndex

        return CodeIndex.build(self.codebook.token_ids(self.tokenizer.size))

    @cached_property
    def bm25(self) -> Bm25Index:
        """BM25's index over the corpus."""
        from genret_core.retrieval.bm25 import Bm25Index

        return Bm25Index.of(self.layout.bm25(self.inputs.corpus), self.corpus)

    def sample(self, method: str, split: str) -> EvaluationSample:
        """Open the frozen evaluation sample of a method and split."""
        from genret_core.retrieval.sample import EvaluationSample

        key = self.inputs.samples.get(f"{method}/{split}")
        if key is None:
            known = ", ".join(self.inputs.samples)
            raise BadInput(f"this study has no evaluation sample {method}/{split}; it has {known}.")
        return EvaluationSample.open(self.layout.sample(key))

    # ---- what is there ----

    def missing(self) -> str:
        """Say which cells are not there yet and the command that makes them; empty when all are there."""
        if Inputs.read(self.folder, self.spec) is None:
            return f"Nothing is trained yet: run `{self.command}`."
        lacking = [cell for cell in self.plan if not is_done(cell)]
        if not lacking:
            return ""
        names = ", ".join(cell_name(cell) for cell in lacking[:3]) + (", …" if len(lacking) > 3 else "")
        return f"{len(lacking)} of {len(self.plan)} cells are missing ({names}): run `{self.command}`."

    def progress(self) -> pd.DataFrame:
        """Give the state of every cell of the grid, why it failed, and what it is doing now."""
        rows = []
        for cell in self.plan:
            status = read_status(self.layout.cell(cell.key))
            state = "done" if is_done(cell) else str(status["state"]).replace("done", "queued")
            row: dict[str, Any] = {"cell": cell.key, "name": cell_name(cell), "method": cell.method}
            row |= {"backbone": cell.backbone.name, "fraction": cell.fraction, "seed": cell.seed}
            row |= {"state": state, "reason": None if state == "done" else status.get("reason")}
            rows.append({**row, "now": doing(status) if state == "running" else None})
        return pd.DataFrame(rows)

    def overview(self) -> pd.DataFrame:
        """Give the state and the headline metrics of every cell of the grid."""
        table = self.progress()
        if self.layout.results_table.is_file():
            rows = self.results[self.results["split"] == self.spec.evaluation.splits[0]]
            shown = plain_rows(rows[rows["metric"].isin(HEADLINES)]).sort_values("beam", kind="stable")
            wide = shown.pivot_table(index="cell", columns="metric", values="value", aggfunc="last")
            table = table.merge(wide.reset_index(), on="cell", how="left")
        return table.dropna(axis="columns", how="all")


def open_study(study_dir: str | Path) -> Study:
    """Open a study folder for reading.

    Parameters
    ----------
    study_dir : path-like
        `runs/demo`; a relative one is meant from the project root.

    Raises
    ------
    BadInput
        If there is no study; the sentence says which command makes one.
    """
    folder = project.resolve(study_dir)
    if not (folder / "study.yaml").is_file():
        raise BadInput(
            f"there is no study in {study_dir}: `genret study {folder.name}` makes runs/{folder.name}."
        )
    return Study(folder, load(folder))


def find_study(name: str | Path) -> Study:
    """Open a study by its folder, or by its name below `runs`."""
    for folder in (Path(name).expanduser(), project.resolve(name), project.project_root() / "runs" / name):
        if (folder / "study.yaml").is_file():
            return Study(folder.resolve(), load(folder))
    known = [path.parent.name for path in (project.project_root() / "runs").glob("*/study.yaml")]
    raise BadInput(f"there is no study {str(name)!r}{nearest(str(name), known)}")
