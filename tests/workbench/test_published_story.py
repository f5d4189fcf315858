"""11_published: the story in numbers, against recorded values and by other ways to the same ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.optimize import brentq

from genret_core.scaling import published
from genret_core.workbench.analyses import published_story as story
from genret_core.workbench.analyses.published_story import chance, misses, sets, single_points
from genret_core.workbench.analyses.published_story.joint import JointStory
from genret_core.workbench.analyses.published_story.misses import Misses
from genret_core.workbench.analyses.published_story.sets import Refits
from genret_core.workbench.analyses.published_story.single_points import DataExponent

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "11_published.ipynb"


@pytest.fixture(scope="module")
def refits() -> Refits:
    return story.refit()


@pytest.fixture(scope="module")
def joint(refits: Refits) -> JointStory:
    return story.joint_law(refits)


@pytest.fixture(scope="module")
def data(refits: Refits) -> DataExponent:
    return story.data_exponent(refits)


@pytest.fixture(scope="module")
def table_3() -> Misses:
    return story.read_table_3()


def test_the_notebook_types_no_number_in() -> None:
    """Numbers in its prose are those of equations, tables and figures; all others are computed."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    prose = re.sub(r"\$.+?\$|(Figs?\.?|Eqs?\.?|Tables?) [\d(), and-]+", "", prose, flags=re.S)
    assert re.findall(r"\d+", prose) == []


def test_noise_is_the_scatter_at_chance_unless_it_is_given(refits: Refits) -> None:
    assert refits.noises[0].sd == pytest.approx(1.80e-6, abs=5e-9)
    assert "5 codebook T5 points" in refits.noises[0].source
    given = story.refit(noise_sd=3e-6, noise_wide=1e-5, level=0.8)
    assert [noise.sd for noise in given.noises] == [3e-6, 1e-5] and given.level == 0.8
    alpha, before = given.t5.noisy[0].intervals["alpha"], refits.t5.noisy[0].interval("alpha", 0.8)
    assert alpha.width is not None and before is not None and before.width is not None
    assert alpha.width > before.width


def test_distance_from_chance() -> None:
    found = chance.by_set().set_index(["study", "method", "family"])
    rho = {key: (row["first"], row["last"]) for key, row in found.iterrows()}
    assert rho["model_size", "ngram", "t5"] == pytest.approx((0.959, 0.917), abs=5e-4)
    assert rho["model_size", "ngram", "llama2"] == pytest.approx((0.859, 0.841), abs=5e-4)
    assert rho["data_size", "ngram", "llama2"] == pytest.approx((0.875, 0.859), abs=5e-4)
    assert found.loc[("model_size", "codebook", "t5"), "farthest"] < 0.001
    assert list(chance.typed_by_hand()["model"]) == ["llama-2-70b"]


def test_sizes_without_the_output_head(refits: Refits) -> None:
    bodies = sets.without_head(refits.llama.points.rows)
    assert bodies.tolist() == [6_476_271_616, 12_688_184_320, 68_452_360_192]
    assert "2.380" in story.three_points(refits).to_html()


def test_tables_1_and_2(refits: Refits) -> None:
    html = story.refit_table(refits).to_html()
    for number in ("0.40215", "0.0035555725", "0.999127", "0.9755", "2.4063", "0.9987", "3.9953", "0.9993"):
        assert number in html
    words = story.refit_words(refits)
    assert "0.996 was printed, which is neither" in words and "0.990 was printed, which is neither" in words
    assert "the printed 0.996 comes with t5-large up (R² 0.99650)" in words
    assert "the printed R² of 0.999 has no degree of freedom" in words


def test_intervals(refits: Refits) -> None:
    html = story.interval_table(refits).to_html()
    for ends in ("0.276 to 0.547", "0.363 to 0.443", "0.296 to 0.520", "−5.7 to 0.7", "1.391 to 10.722"):
        assert ends in html
    assert html.count("to open") == 4 and html.count("none") >= 3


def test_verdicts_on_fits_and_on_printed_coefficients(refits: Refits) -> None:
    codes = set(story.verdict_table(refits).data["verdict"])  # type: ignore[attr-defined]
    assert codes >= {
        "saturated", "better_than_published", "swapped_arguments", "no_interaction_tested", "duplicates",
        "near_chance", "no_trend", "outlier", "influential", "aicc_undefined",
    }  # fmt: skip


def test_one_point_makes_the_data_exponent(data: DataExponent) -> None:
    words = data.words()
    assert "94% of the drop" in words and "β is 2.96 in place of 4.00" in words
    assert "between 2.7 and the edge of the search" in words
    assert "4.9×10⁻⁷ against 2.0×10⁻⁷" in words
    assert "2.85 to open" in words and "1.77 to open" in words


def test_misfit_is_least_where_the_fit_is(data: DataExponent) -> None:
    f = data.one.fit
    found = single_points.misfit(f.x, f.y)
    best = single_points.EXPONENTS[found.argmin()]
    assert best == pytest.approx(f.params["beta"], rel=0.02)
    assert f.rmse <= found.min() < 1.5 * f.rmse


def test_the_joint_law(joint: JointStory) -> None:
    assert abs(joint.beta_held.R2 - 0.97616) < 5e-6
    assert joint.beta_held.params["beta"] == pytest.approx(0.95, rel=1e-6)
    assert joint.float32.stalled and joint.float32.float64 is not None
    assert joint.float32.float64.best_R2 > 0.99999
    words = joint.words()
    assert "give 0.5918 in Eq. 8 as printed, and 0.0033439 with P and D exchanged" in words
    assert "10,900 times the squared error" in words and "costs 86 squared noise SDs" in words
    assert words.count("excludes 0.95") == 3
    assert joint.table().to_html().count("0.9999967") == 1


def test_table_3_is_read_as_by_root_finding(table_3: Misses) -> None:
    for k, expected in ((5, [2.07e11]), (20, [7.91e11, 7.6e20]), (100, [5.61e12, 3.9e15])):
        a, b = table_3.laws["t5", k], table_3.laws["llama2", k]
        found = [one.at for one in table_3.meetings[k]]
        assert found == pytest.approx(expected, rel=0.015)

        def gap(t: float, a: published.PublishedLaw = a, b: published.PublishedLaw = b) -> float:
            return float(a.predict(np.exp(t)) - b.predict(np.exp(t)))

        root = brentq(gap, np.log(2e10), np.log(1e13))
        assert found[0] == pytest.approx(np.exp(root), rel=1e-6)


def test_slopes_limits_and_floors_are_those_of_the_curves(table_3: Misses) -> None:
    for law in table_3.laws.values():
        step = 1e-5
        ends = law.predict(1e11 * 10 ** np.array([-step, step]), clip=False)
        assert misses.fall(law, 1e11) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)
        assert float(law.predict(misses.reach(law))) - law.params["lambda_C"] == pytest.approx(0.01, rel=1e-6)
        assert float(law.predict(misses.above_one(law), clip=False)) == pytest.approx(1.0)
    falls = [misses.fall(table_3.laws["t5", k], 1e11) for k in (5, 20, 100)]
    assert falls == pytest.approx([0.0173, 0.0217, 0.0189], abs=5e-5)
    falls = [misses.fall(table_3.laws["llama2", k], 1e11) for k in (5, 20, 100)]
    assert falls == pytest.approx([0.228, 0.254, 0.258], abs=5e-4)
    assert misses.one_beam() == pytest.approx(1.3e11, rel=0.02)
    words = table_3.words()
    assert "8 times higher for MR@20 and 56 times higher for MR@100" in words
    assert "slowest at 10¹¹ is MR@5 for T5-Base and MR@5 for LLaMA-7B" in words


def test_other_laws(refits: Refits) -> None:
    found = story.comparisons(refits)
    assert [one.ranking[0] for one in found.values()] == ["model_size", "data_size", "constant"]
    words = story.comparison_words(found)
    assert words.count("AICc is undefined") == 3 and words.count("would name the constant") == 3
    assert "−123.4" in story.comparison_table(found).to_html()


def test_the_answer_is_of_the_numbers(refits: Refits, table_3: Misses) -> None:
    told = story.sentence(refits, table_3)
    assert "all 3 fits in one argument, but none of their R²" in told
    assert "one exponent only, that of T5 over size (α 0.40 [0.28, 0.55])" in told
    assert "P and D exchanged, and there they leave 10,900 times" in told
    assert "MR@5 at 2.07×10¹¹, MR@20 at 7.91×10¹¹ and MR@100 at 5.61×10¹² FLOPs" in told


def test_figures_are_valid_and_titled(
    refits: Refits, joint: JointStory, data: DataExponent, table_3: Misses
) -> None:
    for fig in (story.sizes(refits), joint.figure(), data.figure(), table_3.figure()):
        text = fig.to_json()
        assert go.Figure(json.loads(text)).data and fig.layout.title.text
        assert not re.search(r"\$|\\\\(frac|mathcal|lambda)", text), "LaTeX in a figure"
        named = [trace.name for trace in fig.data if trace.showlegend]
        assert len(named) == len(set(named)), "a series stands in the legend once"
    markers = [t for t in story.sizes(refits).data if t.mode == "markers" and t.customdata is not None]
    assert sum(len(t.x) for t in markers) == 16, "every released point over size"
    arms = [t for t in joint.figure().data if t.name == "the optimum"]
    assert [len(t.x) for t in arms] == [5, 3]
