"""Who does the work of a study: the processes of this machine, or the nodes of a site through Parsl."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.workbench.documents import nearest
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.pool import Outcome, run_jobs

ENGINES = ("local", "parsl")


@dataclass(frozen=True)
class Engine:
    """An engine.

    Attributes
    ----------
    workers : int
        Jobs that run at a time.
    run_jobs : callable
        With the signature of `pool.run_jobs`.
    execute_many : callable or None
        With the signature of `execute.execute_many`; None: notebooks run on this machine.
    """

    workers: int
    run_jobs: Callable[..., list[Outcome]]
    execute_many: Callable[..., Iterator[RunRecord]] | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine's own."""
        return self.run_jobs is run_jobs


def chosen_engine(
    name: str, site: str | Path | None, folder: Path, *, workers: int, jobs: int | None = None
) -> Engine:
    """Settle who runs the jobs, before anything is changed.

    Parameters
    ----------
    name : {"local", "parsl"}
        The engine.
    site : str or Path, optional
        A site file, or the name of one in `params/sites`; by default this machine.
    folder : Path
        The study's folder.
    workers : int
        Workers of this machine.
    jobs : int, optional
        Workers as asked for: on this machine they stand over the site's own number.

    Raises
    ------
    BadInput
        There is no such engine or site, Parsl is not installed, or it cannot be used from here.
    """
    if name not in ENGINES:
        raise BadInput(f"there is no engine {name!r}{nearest(name, ENGINES)}")
    if name == "local":
        if site is not None:
            raise BadInput("--site goes with --engine parsl; add it or leave --site out.")
        return Engine(workers, run_jobs)
    from genret_core.workbench.sites import ParslEngine, load_site
    from genret_core.workbench.sites.parsl_config import check_usable

    found = load_site(site)
    if found.provider == "local" and (jobs is not None or found.workers_per_node is None):
        found = found.model_copy(update={"workers_per_node": workers})
    check_usable(found, folder)
    engine = ParslEngine(found, folder)
    many: Any = engine.execute_many if found.notebooks == "workers" else None
    return Engine(engine.workers, engine.run_jobs, many)
