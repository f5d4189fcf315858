from __future__ import annotations

import contextlib
import io

import numpy as np
import pandas as pd
import pytest

from genret_core.workbench.explorer.code import as_code
from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.sources import csv_source, frame_source, opening, published_source

PUBLISHED = published_source()
START = opening(PUBLISHED)


def drawn(n: int, *, rates: bool = False, sd: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    x = np.geomspace(1e7, 1e10, n)
    y = (2e7 / x) ** 0.4 * 0.5 + 0.2 + rng.normal(0, 0.005, n)
    table = pd.DataFrame({"C" if rates else "P": x, "MR@5" if rates else "CGL": y})
    return table.assign(sd=rng.uniform(0.002, 0.01, n)) if sd else table


def holes() -> pd.DataFrame:
    table = drawn(8)
    table.loc[3, "CGL"] = np.nan
    return table


STATES = {
    "opening": (PUBLISHED, START),
    "excluded": (PUBLISHED, START.but(excluded=((2, "a\nb # c"), (9, "elsewhere")), level=0.8)),
    "held out": (PUBLISHED, START.but(hold_out=1)),
    "saturated": (PUBLISHED, START.but(focus="llama")),
    "by data": (PUBLISHED, START.but(focus="llama_data", shown=("llama_data",), law="data_size")),
    "joint": (
        PUBLISHED,
        START.but(focus="joint", shown=("joint",), law="joint_exchanged", excluded=((21, "twice"),)),
    ),
    "one argument of two": (PUBLISHED, START.but(focus="joint", shown=("joint",), law="power")),
    "codebook": (PUBLISHED, START.but(focus="codebook_t5", law="log_linear")),
    "typed noise": (PUBLISHED, START.but(sd=1.3e-6, law="power")),
    "huber": (PUBLISHED, START.but(objective="huber", delta=2e-4, bootstrap=200)),
    "relative": (PUBLISHED, START.but(objective="relative")),
    "resampled": (PUBLISHED, START.but(bootstrap=250, level=0.9)),
    "many": (frame_source(drawn(40)), None),
    "noise column": (frame_source(drawn(9, sd=True)), None),
    "rates": (frame_source(drawn(9, rates=True)), None),
    "holes": (frame_source(holes()), None),
}


@pytest.mark.parametrize("name", STATES)
def test_the_code_gives_the_shown_digits(name):
    source, state = STATES[name]
    state = state or opening(source)
    same_digits(source, state)


@pytest.mark.parametrize("n", [12, 260])
def test_points_of_a_file(tmp_path, n):
    path = tmp_path / "it's points.csv"
    drawn(n).to_csv(path, index=False)
    source = csv_source(path)
    same_digits(source, opening(source).but(excluded=((5, "why"),)))


def same_digits(source: Source, state) -> None:
    text = as_code(state, source)
    assert "widgets" not in text
    scope: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(text, "cell", "exec"), scope)
    found, shown = scope["found"], Shown(state, source).fit
    assert list(found.params) == list(shown.params)
    for name, value in shown.params.items():
        assert repr(found.params[name]) == repr(value)
        assert f"{name} {value!r}" in printed.getvalue()
        for level in (0.68, state.level):
            assert repr(found.interval(name, level)) == repr(shown.interval(name, level))
    assert found.verdicts == shown.verdicts
    assert found.intervals == shown.intervals or "nan" in repr(shown.intervals)
    assert found.covers == shown.covers
