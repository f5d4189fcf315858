"""Several processes that sort ranges of one suffix array, each in its own memory.

A process is told ranges line by line on its input and answers each with a line. It ends when its input does,
so that nothing is left behind by a build that was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.bucket_sort import Progress, Range, sort_range
from genret_core.retrieval.suffix_array import Packing


def sort_ranges(
    tokens: Path,
    suffixes: Path,
    ranges: Sequence[Range],
    *,
    vocab_size: int,
    max_depth: int,
    jobs: int,
    progress: Progress,
) -> None:
    """Sort the ranges of a suffix array that was dealt out.

    Parameters
    ----------
    tokens, suffixes : Path
        Arrays on disk; `suffixes` is changed.
    jobs : int
        Processes, at least 2.
    """
    waiting: SimpleQueue[Range] = SimpleQueue()
    for part in sorted(ranges, key=len, reverse=True):
        waiting.put(part)
    task = {
        "tokens": str(tokens),
        "suffixes": str(suffixes),
        "vocab_size": vocab_size,
        "max_depth": max_depth,
    }
    done, total, lock = 0, sum(map(len, ranges)), Lock()

    def work(_: int) -> None:
        nonlocal done
        with _process() as process:
            _ask(process, task)
            while True:
                try:
                    part = waiting.get_nowait()
                except Empty:
                    return
                _ask(process, [part.start, part.stop, part.depth])
                with lock:
                    done += len(part)
                    progress("sorting", done, total)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            list(pool.map(work, range(jobs)))
        except BaseException:
            while not waiting.empty():  # the other processes end after the range they are at
                waiting.get()
            raise


@contextmanager
def _process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", __name__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    finally:
        process.communicate()


def _ask(process: subprocess.Popen[str], value: Any) -> None:
    """Send one line and wait for the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        print(json.dumps(value), file=process.stdin, flush=True)
        answer = process.stdout.readline()
    except OSError:
        answer = ""
    if not answer:
        raise BadInput(
            f"A process that sorted part of the index ended early (status {process.wait()}); if memory ran "
            "out, build it again with fewer jobs or fewer rows in memory."
        )


def main() -> None:
    """Serve ranges until the input ends."""
    task = json.loads(sys.stdin.readline())
    packing = Packing.of(np.asarray(np.load(task["tokens"], mmap_mode="r")), task["vocab_size"])
    suffixes = np.load(task["suffixes"], mmap_mode="r+")
    print(flush=True)
    for line in sys.stdin:
        sort_range(packing, suffixes, Range(*json.loads(line)), task["max_depth"])
        print(flush=True)


if __name__ == "__main__":
    main()
