from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from genret_core.scaling import fit
from genret_core.workbench.explorer import export
from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.explorer.sources import csv_source, frame_source, opening, published_source
from genret_core.workbench.explorer.state import State

SOURCE = published_source()
HOSTILE = '</script><img src=x onerror="alert(1)"> & 50 % of_it $x$ \\'
STATE = opening(SOURCE).but(excluded=((2, HOSTILE),), ahead=1.0, overlay="table1:t5")
SHOWN = Shown(STATE, SOURCE)


def test_the_yaml_has_all_digits_and_where_they_are_from():
    value = yaml.safe_load(export.parameters_yaml(SHOWN))
    rows = SOURCE.rows("t5").drop(index=1)
    fresh = fit("model_size", rows["x"], rows["y"], n_negatives=256)
    for name, number in fresh.params.items():
        assert value["params"][name]["value"] == number
        interval = fresh.interval(name, 0.68)
        assert value["params"][name]["ci68"] == [interval.lo, interval.hi]
    assert value["points"] == {"used": [1, 3, 4, 5], "left_out": [{"row": 2, "reason": HOSTILE}]}
    assert value["source"]["sha256_of_points"] == SOURCE.sha256
    assert State.from_yaml(yaml.safe_dump(value["state"])) == STATE
    assert {"genret", "numpy", "scipy", "python"} <= set(value["versions"])


def test_the_covariance_is_that_of_the_standard_errors_and_of_draws():
    value = export.parameters(SHOWN)
    matrix, found = np.array(value["covariance"]["matrix"]), SHOWN.fit
    spread = np.sqrt(np.diag(matrix))
    assert value["covariance"]["of"] == ["ln amplitude_at_centre", "ln alpha", "floor"]
    wanted = [found.stderr[n] for n in ("amplitude_at_centre", "alpha", "lambda_P")]
    heights = [found.derived["amplitude_at_centre"], found.params["alpha"], 1.0]
    np.testing.assert_allclose(spread * heights, wanted, rtol=1e-4)
    boot = Shown(STATE.but(bootstrap=200), SOURCE)
    np.testing.assert_array_equal(export.parameters(boot)["covariance"]["matrix"], np.cov(boot.fit.draws.T))


def test_points_and_curves_can_be_read_again():
    points = pd.read_csv(io.StringIO(export.points_csv(SHOWN)), float_precision="round_trip")
    assert points["CGL"].tolist() == SOURCE.table["y"].tolist()[:8]
    assert points["reason"][1] == HOSTILE and not points["used"][1]
    again = csv_source(export.points_csv(SHOWN))
    assert again.rows("t5")["y"].tolist() == SOURCE.rows("t5")["y"].tolist()
    curves = pd.read_csv(io.StringIO(export.curves_csv(SHOWN)), float_precision="round_trip")
    own = curves[curves["series"] == "t5"]
    np.testing.assert_array_equal(own["y"], SHOWN.fit.predict(own["x"]))
    np.testing.assert_array_equal(own["hi"], SHOWN.fit.band(own["x"])[1])


def test_latex_writes_open_ends_as_inequalities():
    rng = np.random.default_rng(3)
    x = np.geomspace(1e7, 1e9, 6)
    table = pd.DataFrame({"P": x, "CGL": (1e7 / x) ** 0.3 + rng.normal(0, 0.01, 6), "series": "a_b & 5%"})
    source = frame_source(table, by="series")
    shown = Shown(opening(source), source)
    assert shown.fit.interval("lambda_P").lo is None
    row = export.latex_row(shown).splitlines()[-1]
    assert row.startswith(r"a\_b \& 5\% & ")
    assert re.search(r"\$< 0\.\d+\$", row)
    table = export.latex_table(shown)
    assert all(rule in table for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    columns = re.search(r"tabular\}\{(\w+)\}", table)[1]
    assert table.splitlines()[2].count(" & ") + 1 == len(columns)


def test_the_page_stands_alone():
    table = SOURCE.rows("t5")[["x", "y", "name"]].rename(columns={"x": "P", "y": "CGL"})
    table["name"] = HOSTILE
    table["series"] = HOSTILE
    source = frame_source(table, by="series", name=HOSTILE)
    shown = Shown(opening(source).but(excluded=((2, HOSTILE),)), source)
    page = export.page(shown)
    assert "<img" not in page and 'onerror="alert' not in page.replace("&quot;", "")
    outside = [
        u for u in re.findall(r"(?:src|href)=[\"']([^\"']+)", page.split("</script>")[-1]) if "//" in u
    ]
    assert outside == []
    assert len(re.findall(r"<script[^>]+src=", page)) == 0
    assert page.count("plotly.js v") <= 2
    assert "Row 2" in page or "2</td>" in page
    assert page.endswith("</html>")


def test_files_are_written_whole(tmp_path):
    paths = export.write(SHOWN, tmp_path / "out")
    assert sorted(path.name for path in paths) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert {"fit.yaml", "fit.html", "fit.py", "points.csv", "curves.csv", "fit.tex"} <= {
        p.name for p in paths
    }
    assert (tmp_path / "out" / "view.yaml").read_text() == STATE.to_yaml()


@pytest.mark.parametrize(
    "changes", [{"hold_out": 4}, {"focus": "llama"}, {"focus": "codebook_t5", "law": "power"}]
)
def test_there_is_something_to_take_away_from_any_state(changes):
    files = export.files(Shown(STATE.but(overlay=None, **changes), SOURCE))
    assert all(files.values())
    assert not re.search(r"\.nan|\.inf", files["fit.yaml"])
