"""One cell at three learning rates, of which the validation sample chooses one; finished rates are kept.

What a finished rate came to is a small file beside the cell's states, and the best model so far a folder: a
sweep that was cut goes on with the rate that it was at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.files import read_json, write_json
from genret_core.modeling.training import Diverged

FOLDER = "training-sweep"


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes
    ----------
    log : dict
        What `cell.json` says of it.
    score : callable
        Gives its CGL on the validation sample.
    save : callable
        Writes the model as a folder.
    """

    log: dict[str, Any]
    score: Callable[[], float]
    save: Callable[[Path], None]


def sweep(
    rates: Sequence[float], train: Callable[[int, float], Trial], cell: Path, *, leads: bool = True
) -> tuple[dict[str, Any], list[dict[str, Any]], Path]:
    """Train at each rate that is not done yet and keep the model of least CGL.

    Parameters
    ----------
    rates : sequence of float
    train : callable
        Given the number of a rate (from 1) and the rate.
    cell : Path
        The cell's folder.
    leads : bool
        Whether this process writes; of several that train together, the first does.

    Returns
    -------
    log : dict
        Of the best run.
    tried : list of dict
        `lr`, `CGL` and `seconds` of each; both None, with a `reason`, where training failed.
    model : Path
        Folder of the best model.

    Raises
    ------
    Diverged
        At every rate.
    """
    folder = cell / FOLDER
    files = [folder / f"rate-{number}.json" for number in range(1, len(rates) + 1)]
    found: dict[str, Any]
    done = [read_json(path) if path.is_file() else None for path in files]  # all of them before any training
    for at, lr in enumerate(rates):
        if done[at] is not None:
            continue
        try:
            trial = train(at + 1, lr)
        except Diverged as error:
            found = {"lr": lr, "CGL": None, "seconds": None, "reason": str(error), "log": None}
        else:
            seconds = trial.log["train_seconds"]
            found = {"lr": lr, "CGL": trial.score(), "seconds": seconds, "log": trial.log}
            if leads and _best([*done[:at], found]) == at:
                trial.save(_model(folder, at))
            del trial  # two models need not be held at once
        done[at] = found
        if leads:
            write_json(files[at], found)
            best = _best(done)
            for other in range(at):
                if other != best:
                    shutil.rmtree(_model(folder, other), ignore_errors=True)
    best = _best(done)
    tried = [{key: value for key, value in one.items() if key != "log"} for one in done if one is not None]
    if best is None:
        raise Diverged(f"No learning rate of the sweep worked; the last: {tried[-1]['reason']}")
    chosen = done[best]
    assert chosen is not None
    return chosen["log"], tried, _model(folder, best)


def _best(done: Sequence[dict[str, Any] | None]) -> int | None:
    """Find the first rate of least CGL."""
    known = [(one["CGL"], at) for at, one in enumerate(done) if one is not None and one["CGL"] is not None]
    return min(known)[1] if known else None


def _model(folder: Path, at: int) -> Path:
    return folder / f"model-{at + 1}"
