"""What a terminal shows while cells run: one line per worker, at any width, without codes of others."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from genret_core.workbench.pool import Job, Outcome
from genret_core.workbench.pool.progress import Clock, PlainWatch, RichWatch, doing

JOBS = [Job(f"k{i}", f"llama-d128 codebook {10 * i}% s{i}", None, Path(), 10.0) for i in range(4)]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_bars_do_not_wrap(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    watch = RichWatch(JOBS, 2)
    for slot in (0, 1):
        watch.started(JOBS[slot], slot)
    watch.moved(JOBS[0], 0, "train", 400, 1000, 4.2131)
    watch.moved(JOBS[1], 1, "search seen, beam 100", 3, 400, None)
    watch.tick()
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(watch.bars.get_renderable())
    lines = console.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined]
    assert len(lines) == 3 and all(len(line) <= width for line in lines)
    assert "0 of 4" in lines[0]
    if width > 80:
        assert JOBS[0].name in lines[1] and "train 40% loss 4.213" in lines[1] and "~10 s" in lines[1]


def test_time_left_follows_what_finished_cells_took() -> None:
    clock = Clock(JOBS, 2)
    clock.start(JOBS[0])
    clock.start(JOBS[1])
    assert clock.left_of("k0") == pytest.approx(10, abs=1)
    clock.end(Outcome(JOBS[0], "done", None, 30.0))  # three times what was expected
    assert clock.left_of("k1") == pytest.approx(30, abs=1) and clock.left_of("k0") == 0
    assert clock.left() == pytest.approx((20 * 3 + 30) / 2, abs=1)


def test_a_reason_gives_the_terminal_no_orders() -> None:
    out = io.StringIO()
    watch = PlainWatch(JOBS[:1], 1, out=out)
    watch.started(JOBS[0], 0)
    reason = "ValueError: \x1b[2J\x1b]0;owned\x07 bad\nline \u202egpj.exe " + "x" * 10_000
    watch.ended(Outcome(JOBS[0], "failed", reason, 1.0), 0)
    told = out.getvalue()
    assert "failed in 1.0 s: ValueError: bad line gpj.exe xxx" in told and len(told) < 2_100
    assert told.count("\n") == 1 and told.endswith("…\n") and "\x1b" not in told


def test_another_process_says_the_same() -> None:
    status = {"state": "running", "stage": "train", "step": 40, "of": 100, "loss": 4.2131}
    assert doing(status) == "train 40% loss 4.213" and doing({"state": "running"}) == "starting"
