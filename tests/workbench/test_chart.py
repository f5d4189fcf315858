"""Charts are read back as XML: points where the axes say, nothing in them that a text brought along."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from genret_core.workbench.report.chart import Chart, Series, svg

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [(1e4, 0.2, "small"), (1e5, 0.15, "middle"), (1e6, 0.1, "<script>large</script>")]


def drawn(*series: Series) -> ET.Element:
    return ET.fromstring(svg(Chart("c", "A <title>", ("P", "parameters"), ("CGL", ""), series)))


def test_points_lie_where_the_axes_say() -> None:
    root = drawn(Series("one", "#000000", POINTS, [(x, y) for x, y, _ in POINTS]))
    marks = [one for one in root.iter(f"{SVG}circle") if one.find(f"{SVG}title") is not None]
    across = [float(one.attrib["cx"]) for one in marks]
    up = [float(one.attrib["cy"]) for one in marks]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)  # a decade each
    labels = {one.text: one.attrib for one in root.iter(f"{SVG}text") if one.text}
    low, high = float(labels["0.10"]["y"]) - 4, float(labels["0.20"]["y"]) - 4
    assert up == pytest.approx([high, (low + high) / 2, low], abs=0.2)
    decade = float(labels["100k"]["x"])
    assert decade == pytest.approx(across[1], abs=0.2)
    curve = next(one for one in root.iter(f"{SVG}path") if one.attrib.get("fill") == "none")
    assert curve.attrib["d"].startswith(f"M{across[0]} {up[0]}")


def test_texts_are_texts() -> None:
    root = drawn(Series("<img onerror=x>", "#000000", POINTS))
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg",
        "text",
        "tspan",
        "line",
        "circle",
        "title",
    }
    titles = [one.text for one in root.iter(f"{SVG}title")]
    assert titles == ["small", "middle", "<script>large</script>"]
    assert root.attrib["role"] == "img" and "from 0.2 to 0.1" in root.attrib["aria-label"]


@pytest.mark.parametrize("values", [(0.5, 0.5), (0.0, 0.0), (1e-9, 2e-9), (-3.0, 4e5)])
def test_any_range_has_ticks_inside_the_drawing(values: tuple[float, float]) -> None:
    root = drawn(Series("one", "#000", [(10.0**k, y, "") for k, y in enumerate(values)]))
    for one in root.iter(f"{SVG}circle"):
        assert 0 < float(one.attrib["cy"]) < 330 and math.isfinite(float(one.attrib["cx"]))


def test_a_level_is_a_line_and_no_point() -> None:
    root = drawn(Series("one", "#000", POINTS), Series("BM25", "#777", [(1.0, 0.12, "")], level=True))
    level = [one for one in root.iter(f"{SVG}line") if one.attrib.get("stroke-dasharray") == "2 3"]
    assert len(level) == 2  # in the legend and across the chart
    assert float(level[1].attrib["x2"]) - float(level[1].attrib["x1"]) > 300
