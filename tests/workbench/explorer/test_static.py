"""What stands for the explorer on a page is the same fit, and survives nbconvert."""

from __future__ import annotations

import re

import nbformat
import numpy as np
import pytest

from genret_core.scaling import fit, published
from genret_core.workbench.explorer import static
from genret_core.workbench.explorer.desk import Desk
from genret_core.workbench.explorer.explorer import Explorer
from genret_core.workbench.explorer.sources import published_source
from genret_core.workbench.report.exporter import ReportExporter


@pytest.fixture
def desk() -> Desk:
    return Desk(published_source())


def test_the_figure_draws_the_curve_of_a_fresh_fit(desk: Desk) -> None:
    points = published.points(study="model_size", method="ngram", family="t5")
    found = fit("model_size", points["n_params"], points["cgl"])
    figure = static.figure(desk.shown)
    solid = next(
        t for t in figure.data if t.type == "scatter" and t.mode == "lines" and t.line.dash == "solid"
    )
    np.testing.assert_allclose(solid.y, found.predict(np.asarray(solid.x)), rtol=1e-12)


def test_the_table_has_a_row_for_every_parameter_and_no_number_for_what_is_not_identified(desk: Desk) -> None:
    (table,) = (trace for trace in static.figure(desk.shown).data if trace.type == "table")
    symbols, _, estimates, *_ = table.cells.values
    assert list(symbols) == ["height", "α", "λ<sub>P</sub>", "γ"]
    assert list(estimates)[1:] == ["0.40", "0.003556", "not identified"]
    desk.dispatch(focus="llama")
    (table,) = (trace for trace in static.figure(desk.shown).data if trace.type == "table")
    assert set(table.cells.values[2]) == {"not identified"}


def test_without_a_fit_there_is_a_reason() -> None:
    desk = Desk(published_source())
    desk.open(desk.source, desk.state.but(focus="llama", excluded=((6, ""),)))
    assert desk.shown.fit is None and desk.shown.why in static.html(desk.shown)
    assert static.figure(desk.shown).data


def test_a_report_shows_figure_and_numbers_and_nothing_of_the_widget() -> None:
    data = Explorer()._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("Explorer()", outputs=[output])
    page, _ = ReportExporter(shared_js="plotly.min.js").from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    assert 'class="plot"' in page and "not identified" in page and "0.003556" in page
    assert not re.search(r"widget-view\+json", page)
