"""Recorded losses, wherever they lie: a file, the folder of an evaluation, the folder of a trained cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import StudyFolder
from genret_core.retrieval.cgl_records import RecordedLosses, read_recorded
from genret_core.retrieval.corpus import Corpus


@dataclass(frozen=True, eq=False)
class Recorded:
    """Losses, and where they are from.

    Attributes
    ----------
    path : Path
        The file.
    about : str
        Which cell and queries; empty for a file of its own.
    recorded : RecordedLosses
        Of a study's cell with the queries' texts, if the corpus is still there.
    """

    path: Path
    about: str
    recorded: RecordedLosses


def open_recorded(source: Path) -> list[Recorded]:
    """Open a file of losses, or those of an evaluation or a cell of a study (an entry for each evaluation).

    Raises
    ------
    BadInput
        A folder that holds none; and what `read_recorded` refuses.
    """
    source = source.expanduser()
    if not source.is_dir():
        return [Recorded(source, "", read_recorded(source))]
    files = [source / "losses.parquet"]
    if not files[0].is_file():
        files = sorted((source / "evals").glob("*/losses.parquet"))
    if not files:
        more = "; name one of its cells, cells/<key>" if (source / "study.yaml").is_file() else ""
        raise BadInput(f"{source} holds no recorded losses (losses.parquet){more}.")
    return [evaluation_losses(path.parent) for path in files]


def evaluation_losses(folder: Path) -> Recorded:
    """Open the losses that an evaluation wrote, with the texts of its queries beside them."""
    path = folder / "losses.parquet"
    recorded = read_recorded(path)
    cell_file = folder.parent.parent / "cell.json"
    if not cell_file.is_file() or not (folder / "eval.json").is_file():
        return Recorded(path, "", recorded)
    cell, split = read_json(cell_file), read_json(folder / "eval.json").get("split")
    seed, fraction = cell.get("seed"), cell.get("fraction")
    about = f"{cell.get('backbone')}, {cell.get('method')}, {split} queries, fraction {fraction}, seed {seed}"
    corpus = StudyFolder(cell_file.parents[2]).corpus(str(cell.get("corpus")))
    if corpus.is_dir():
        recorded = replace(recorded, losses=with_texts(recorded.losses, Corpus.open(corpus)))
    return Recorded(path, about, recorded)


def with_texts(losses: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """Put the text of each query, which is a row of the corpus, into a column `text`."""
    rows, place = np.unique(losses["query"].to_numpy(), return_inverse=True)
    return losses.assign(text=np.array(list(corpus.query_texts(rows)), dtype=object)[place])
