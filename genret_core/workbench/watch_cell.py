"""A study looked at from a notebook while it runs: one panel that follows it, and a kernel that stays free.

>>> from genret_core.workbench import watch
>>> watch("runs/demo")  # doctest: +SKIP
"""

from __future__ import annotations

import threading
import time
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from genret_core.readable import readable
from genret_core.workbench.notebook.record import now
from genret_core.workbench.pool.progress import duration
from genret_core.workbench.runs import Study, open_study
from genret_core.workbench.study.standing import Onlooker, Standing

EVERY = 2.0  # seconds between two looks
SHARE = 0.1  # of the time may go into looking
FAILED = ("failed", "killed", "timeout")
MOST = 8  # running or failed cells that are listed
COLOURS = {"done": "#009e73", "running": "#e69f00", "failed": "#d55e00", "queued": "rgba(127,127,127,.25)"}


class StudyWatch(ipywidgets.HTML):
    """The panel. It stops by itself when the study is over; `stop()` stops it before."""

    def __init__(self, study: Study, every: float = EVERY) -> None:
        super().__init__()
        self._onlooker = Onlooker(study)
        self._every = every
        self._over = threading.Event()
        self.seen = self._look()
        self._thread = threading.Thread(target=self._follow, name="watch a study", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._over.set()

    def close(self) -> None:
        """Stop, and take the panel away."""
        self.stop()
        super().close()

    def _look(self) -> Standing:
        self.seen = self._onlooker.look()
        self.value = panel(self._onlooker.study, self.seen)
        return self.seen

    def _follow(self) -> None:
        took = 0.0
        while goes_on(self.seen) and not self._over.wait(max(self._every, took / SHARE)):
            began = time.monotonic()
            try:
                self._look()
            except OSError:
                continue  # a file that was being replaced; the next look finds it
            took = time.monotonic() - began

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Give the panel and, for pages without a kernel, what it showed."""
        live = super()._repr_mimebundle_(**kwargs)
        bundle = live[0] if isinstance(live, tuple) else live
        return {**(bundle or {}), "text/html": self.value, "text/plain": sentence(self.seen)}


def watch(study_dir: str | Path = "runs/demo", *, every: float = EVERY) -> StudyWatch:
    """Watch a study from a notebook while another process runs it.

    Parameters
    ----------
    study_dir : path-like
        `runs/demo`; a relative one is meant from the project root.
    every : float
        Seconds between two looks.

    Returns
    -------
    StudyWatch
        Show it as the last expression of a cell. Other cells can run meanwhile.

    Raises
    ------
    BadInput
        If there is no study; the sentence says which command makes one.
    """
    return StudyWatch(open_study(study_dir), every)


def goes_on(seen: Standing) -> bool:
    """Whether there is more to be seen: it runs, or is about to for the first time."""
    return seen.state == "running" or (seen.state == "queued" and "updated" not in seen.status)


def sentence(seen: Standing) -> str:
    """Say in a line how the study stands."""
    parts = [f"{seen.count('done')} of {len(seen.cells)} cells done"]
    if running := seen.count("running"):
        parts.append(f"{running} running")
    if failed := seen.count(*FAILED):
        parts.append(f"{failed} failed")
    if seen.notebooks:
        parts.append(f"{sum(run.done for run in seen.notebooks)} of {len(seen.notebooks)} notebooks done")
    if seen.left and goes_on(seen):
        parts.append(f"about {duration(seen.left)} left for cells")
    return f"{seen.state}: {', '.join(parts)}"


def panel(study: Study, seen: Standing) -> str:
    """Lay out the panel: every text in it is shown, none obeyed."""
    total = max(1, len(seen.cells))
    shares = [
        (state, seen.count(*states))
        for state, states in (("done", ("done",)), ("running", ("running",)), ("failed", FAILED))
    ]
    bar = "".join(
        f'<span style="width:{100 * n / total:.2f}%;background:{COLOURS[state]}"></span>'
        for state, n in shares
    )
    rows = [
        (cell["name"], "", cell["now"])
        for cell in seen.cells[seen.cells["state"] == "running"].to_dict("records")
    ]
    rows += [(run.name, "", "running") for run in seen.notebooks if run.state == "running"]
    broken = seen.cells[seen.cells["state"].isin(FAILED)].to_dict("records")
    rows += [(cell["name"], cell["state"], cell["reason"]) for cell in broken]
    rows += [(run.name, run.state, run.reason) for run in seen.notebooks if run.state in FAILED]
    listed = "".join(_line(*row) for row in rows[:MOST])
    more = f"<div>… and {len(rows) - MOST} more</div>" if len(rows) > MOST else ""
    ended = "" if goes_on(seen) else f" · page: {escape(str(study.folder / 'index.html'))}"
    return (
        '<div style="font-size:13px;line-height:1.5;max-width:52rem;color:var(--jp-ui-font-color1,inherit)">'
        f"<b>{escape(readable(study.name, 80))}</b> · {escape(sentence(seen))}"
        f'<div role="img" aria-label="{escape(sentence(seen))}" style="display:flex;height:8px;'
        f'border-radius:4px;overflow:hidden;margin:4px 0;background:{COLOURS["queued"]}">{bar}</div>'
        f'{listed}{more}<div style="opacity:.6;font-size:11px">{escape(now()[11:19])} UTC{ended}</div></div>'
    )


def _line(name: Any, state: str, told: Any) -> str:
    colour = f"color:{COLOURS['failed']}" if state else "opacity:.85"
    text = f"{state}: {told or 'no reason was given'}" if state else str(told or "")
    return (
        f'<div><bdi>{escape(readable(name, 80))}</bdi> <span style="{colour}">'
        f"<bdi>{escape(readable(text, 300))}</bdi></span></div>"
    )
