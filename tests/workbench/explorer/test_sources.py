from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import published
from genret_core.workbench.explorer.reading import MOST_BYTES
from genret_core.workbench.explorer.sources import (
    csv_source,
    frame_source,
    opening,
    published_source,
)


def test_published_points_are_those_behind_the_printed_laws():
    source = published_source()
    assert list(source.table["row"]) == list(range(1, len(source.table) + 1))
    for series, name in source.published.items():
        found = published.behind(published.find(name)[0])
        assert found is not None
        rows = source.rows(series)
        assert rows["x"].tolist() == found.x.tolist()
        assert rows["y"].tolist() == found.y.tolist()
        if found.x2 is not None:
            assert rows["x2"].tolist() == found.x2.tolist()
    state = opening(source)
    assert (state.focus, state.shown, state.law) == ("t5", ("t5", "llama"), "model_size")
    assert source.called("joint") == {"x": "P", "y": "CGL", "x2": "D"}
    assert "joint" not in source.alike("t5")


@pytest.mark.parametrize(
    ("header", "taken", "law"),
    [
        ("P,CGL", ("P", "CGL", None), "model_size"),
        ("cgl,n_params", ("n_params", "cgl", None), "model_size"),
        ("loss,D", ("D", "loss", None), "data_size"),
        ("C,MR@5", ("C", "MR@5", None), "inference"),
        ("n_params,n_pairs,loss", ("n_params", "n_pairs", "loss"), "joint_exchanged"),
        ("width,depth", ("width", "depth", None), "model_size"),
    ],
)
def test_columns_are_guessed_by_name(header, taken, law):
    k = header.count(",") + 1
    rows = [[(i + 2) ** (j + 1) / 1000 for j in range(k)] for i in range(4)]
    source = csv_source(header + "\n" + "\n".join(",".join(map(str, row)) for row in rows))
    x, y, x2 = (taken[0], taken[2], taken[1]) if taken[2] else (taken[0], taken[1], None)
    assert (source.x, source.y, source.x2) == (x, y, x2)
    assert source.law(source.series[0]) == law
    assert x in source.note and "guessed" in source.note


def test_a_constant_second_argument_is_none():
    source = csv_source("P,D,CGL\n1,7,3\n2,7,2\n3,7,1\n")
    assert source.x2 is None


def test_series_need_several_sizes():
    text = "model,P,loss,family\nt5-small,1,3,t5\nt5-base,2,2,t5\nll-1,1,3,llama\nll-2,4,1,llama\n"
    source = csv_source(text)
    assert source.series == ("t5", "llama")
    assert source.rows("llama")["row"].tolist() == [3, 4]
    assert source.rows("llama")["name"].tolist() == ["ll-1", "ll-2"]
    assert csv_source("model,P,loss\na,1,3\nb,2,2\n").series == ("points",)


def test_named_columns_come_first_and_cells_that_are_no_numbers_are_quoted():
    text = "P;CGL;sd;n_negatives\n1e6;0.5;0.01;256\n1e7;oops;0.01;256\n1e8;0.3;;256\n"
    source = csv_source(text, y="CGL", name="up.csv")
    assert source.name == "up.csv" and source.n_negatives == 256
    assert np.isnan(source.table["y"].iloc[1]) and "'oops'" in source.table["note"].iloc[1]
    assert source.table["sd"].tolist()[:2] == [0.01, 0.01] and "sd is empty" in source.table["note"].iloc[2]


def test_numbers_keep_their_digits(tmp_path):
    values = [0.1 + 0.2, 1.2345678901234567e-7, 3.0000000000000004]
    frame = pd.DataFrame({"P": [1e6, 1e7, 1e8], "CGL": values})
    path = tmp_path / "points.csv"
    frame.to_csv(path, index=False)
    for source in (csv_source(path), csv_source(path.read_text()), frame_source(frame)):
        assert source.table["y"].tolist() == values
    assert csv_source(path).sha256 == frame_source(frame).sha256
    assert csv_source(path).sha256 != frame_source(frame.assign(CGL=values[::-1])).sha256


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n\n", "empty"),
        ("P,CGL\n", "no points"),
        ("a,b\nx,y\n", "two columns of numbers"),
        ("P,P\n1,2\n", "two columns 'P'"),
        ("P,CGL\n1,2,3\n", "row 1: it has 3 cells"),
        ("P,CGL\n1,\n,2\n", "two columns of numbers|No row"),
        ('P,CGL\n1,"2\n', "cannot be read"),
        ("P,CGL\n1,\0\n", "UTF-8"),
        ("P,CGL\n" + "1,2\n" * 5001, "5,001 rows"),
        ("P,CGL\n" + " " * MOST_BYTES, "5 MB"),
    ],
)
def test_what_is_no_table_of_points_is_told_in_one_sentence(text, told):
    with pytest.raises(BadInput, match=told) as refused:
        csv_source(text)
    assert "\n" not in str(refused.value)


def test_unknown_columns_and_files_are_told():
    with pytest.raises(BadInput, match="did you mean CGL"):
        csv_source("P,CGL\n1,2\n2,1\n", y="CGLL")
    with pytest.raises(BadInput, match="no file"):
        csv_source("nowhere/points.csv")


def test_states_of_other_points_are_refused():
    source = published_source()
    state = opening(source)
    with pytest.raises(BadInput, match="no series 'x'"):
        source.check(state.but(focus="x"))
    with pytest.raises(BadInput, match="cannot be drawn beside"):
        source.check(state.but(shown=("t5", "llama_data")))
    with pytest.raises(BadInput, match="no row 99"):
        source.check(state.but(excluded=((99, ""),)))
