"""The index page of a study while it runs, written anew now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genret_core.errors import BadInput
from genret_core.workbench.runs import Study
from genret_core.workbench.study.notebooks import finished_notebooks
from genret_core.workbench.study.page import write_live_page, write_page
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.standing import Onlooker

Say = Callable[[str], None]
FIRST = 2.0  # seconds until the first page: a study that finds nothing to do needs none
EVERY = 10.0  # seconds between two pages, at least
SHARE = 0.03  # of the time may go into writing pages


@contextmanager
def live_page(here: Place, *, last: bool = False, say: Say = print) -> Iterator[None]:
    """Keep `index.html` of a study up to date while the block runs.

    A page that cannot be written (a full disk, a table that is being written) stops nobody: the next one is.

    Parameters
    ----------
    here : Place
        The study. When the block ends its `status.json` must say how.
    last : bool
        Write the last page also when the block ends well; else whoever opened it does.
    say : callable
        Told at the end if no page could be written meanwhile, and why.
    """
    over = threading.Event()
    troubles: list[str] = []
    thread = threading.Thread(target=_follow, args=(here, over, troubles), name="live page", daemon=True)
    thread.start()
    try:
        yield
    except BadInput:
        _end(over, thread)
        raise  # nothing began; a folder that was made for it goes
    except BaseException:
        _end(over, thread)
        _write_last(here)
        raise
    _end(over, thread)
    if troubles:
        say(f"the index page could not be kept up to date meanwhile: {troubles[-1]}")
    if last:
        _write_last(here)


def _end(over: threading.Event, thread: threading.Thread) -> None:
    over.set()
    thread.join()


def _follow(here: Place, over: threading.Event, troubles: list[str]) -> None:
    onlooker = Onlooker(Study(here.folder, here.spec))
    wait = FIRST
    while not over.wait(wait):
        began = time.monotonic()
        try:
            write_live_page(onlooker, every=max(EVERY, wait))
            troubles.clear()
        except Exception as error:
            troubles.append(f"{type(error).__name__}: {error}")
            onlooker = Onlooker(Study(here.folder, here.spec))
        wait = max(EVERY, (time.monotonic() - began) / SHARE)


def _write_last(here: Place) -> None:
    try:
        write_page(Study(here.folder, here.spec), finished_notebooks(here))
    except Exception:
        return  # the block's own end is what is to be told; `genret report` makes the page
