from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genret_core.workbench import runs
from genret_core.workbench.analyses import inference, joint, sizes
from genret_core.workbench.explorer.code import as_code
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.sources import opening, study_source

DRAWS = 300


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1]))
        from planted import make

        return make(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def desk(study: Any) -> Desk:
    return Desk(study_source(study, draws=DRAWS))


def test_fits_are_those_of_the_notebooks(study: Any, desk: Desk) -> None:
    for one in sizes.model_size(study, draws=DRAWS).fits:
        desk.dispatch(focus=f"size:{one.method}:{one.family}")
        assert desk.shown.fit.params == one.fit.params
        assert desk.shown.fit.intervals == one.fit.intervals
        assert desk.shown.fit.covers == one.fit.covers
    for one in inference.inference_compute(study, draws=DRAWS).fits:
        if one.fit is not None:
            desk.dispatch(focus=f"{one.panel}:{one.method}:{one.family}")
            assert (desk.message, desk.state.law) == ("", "inference")
            assert desk.shown.fit.params == one.fit.params
            assert desk.shown.fit.intervals == one.fit.intervals


def test_the_joint_law_is_fitted_to_all_cells(study: Any, desk: Desk) -> None:
    desk.dispatch(focus="joint:ngram:llama", law="joint")
    rows = joint.joint_law(study, draws=DRAWS).rows
    assert sorted(desk.shown.points()["y"]) == sorted(rows["value"])
    assert desk.source.called("joint:ngram:llama")["x2"] == "D"


def test_beams_that_say_nothing_are_left_out_with_the_reason(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = set(study.results.loc[study.results["beam"] == 1, "run_id"])
    monkeypatch.setattr(inference, "returned", lambda _, run: 10.0 if run in narrow else 100.0)
    source = study_source(study, draws=DRAWS)
    out = source.table[source.table["row"].isin(dict(source.apart))]
    assert set(out["series"].str.split(":").str[0]) == {"MR@20", "MR@100"}
    state = opening(source)
    assert state.excluded == source.apart
    assert set(state.reasons.values()) == {"beam 1, not fitted: the search returned 10 documents"}


def test_the_code_of_a_study_gives_the_same_digits(
    study: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "find_study", lambda _: study)
    desk.dispatch(focus="size:ngram:llama", excluded=((2, "why"),), level=0.9)
    scope: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(as_code(desk.state, desk.source), scope)
    shown = desk.shown.fit
    assert scope["found"].params == shown.params
    assert scope["found"].intervals == shown.intervals
    np.testing.assert_array_equal(scope["found"].draws, shown.draws)
