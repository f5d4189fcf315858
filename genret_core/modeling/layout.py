"""Where everything of a study lies.

```
runs/<study>/
  study.yaml  status.json  cells.parquet  results.parquet  index.html
  corpus/<key>/  tokenizer-<key>/  index-<key>/  ngrams-<key>/  codebook-<key>/  bm25/  answers.parquet
  evaluation/<key>/
  pretrained/<key>/  pretraining.json (a model in the hub's layout)  pretrained/<key>-work/ (unfinished)
  cells/<key>/  cell.json  status.json  checkpoint/  evals/<evalkey>/  scoring/<evalkey>/ (unfinished)
  notebooks/<name>-<key8>/
```
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudyFolder:
    """The paths of one study folder; makes and reads nothing.

    Parameters
    ----------
    folder : path-like
        The study folder, `runs/<study>`.
    """

    folder: str | os.PathLike[str]

    @property
    def path(self) -> Path:
        """The study folder itself."""
        return Path(self.folder)

    @property
    def study_file(self) -> Path:
        """The resolved study, `study.yaml`."""
        return self.path / "study.yaml"

    @property
    def status_file(self) -> Path:
        """The state of the study, `status.json`."""
        return self.path / "status.json"

    @property
    def cells_table(self) -> Path:
        """A row per cell, `cells.parquet`."""
        return self.path / "cells.parquet"

    @property
    def results_table(self) -> Path:
        """A row per cell and metric, `results.parquet`."""
        return self.path / "results.parquet"

    @property
    def cells(self) -> Path:
        """The folder of all cells."""
        return self.path / "cells"

    @property
    def notebooks(self) -> Path:
        """The folder of all executed notebooks."""
        return self.path / "notebooks"

    def corpus(self, key: str) -> Path:
        """Folder of a corpus."""
        return self.path / "corpus" / key

    def tokenizer(self, corpus: str, key: str) -> Path:
        """Folder of a tokenizer, and of the corpus as its tokens."""
        return self.corpus(corpus) / f"tokenizer-{key}"

    def index(self, corpus: str, key: str) -> Path:
        """Folder of a token index."""
        return self.corpus(corpus) / f"index-{key}"

    def ngrams(self, corpus: str, key: str) -> Path:
        """Folder of the training pairs of the n-gram method."""
        return self.corpus(corpus) / f"ngrams-{key}"

    def codebook(self, corpus: str, key: str) -> Path:
        """Folder of a codebook."""
        return self.corpus(corpus) / f"codebook-{key}"

    def bm25(self, corpus: str) -> Path:
        """Folder of BM25's index."""
        return self.corpus(corpus) / "bm25"

    def answers(self, corpus: str) -> Path:
        """File of the answers to queries, `answers.parquet`; not there where the source has none."""
        return self.corpus(corpus) / "answers.parquet"

    def sample(self, key: str) -> Path:
        """Folder of a frozen evaluation sample."""
        return self.path / "evaluation" / key

    def pretrained(self, key: str) -> Path:
        """Folder of a backbone that was pretrained on the corpus."""
        return self.path / "pretrained" / key

    def cell(self, key: str) -> Path:
        """Folder of one cell."""
        return self.cells / key

    def cell_file(self, key: str) -> Path:
        """File of what is known about a trained cell, `cell.json`."""
        return self.cell(key) / "cell.json"

    def cell_status(self, key: str) -> Path:
        """State of a cell, `status.json`, written by whoever runs it."""
        return self.cell(key) / "status.json"

    def checkpoint(self, key: str) -> Path:
        """Folder of a cell's trained weights."""
        return self.cell(key) / "checkpoint"

    def evaluation(self, cell: str, evalkey: str) -> Path:
        """Folder of one evaluation of a cell."""
        return self.cell(cell) / "evals" / evalkey
