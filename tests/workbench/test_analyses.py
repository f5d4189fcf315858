"""Analyses on planted studies: what was planted has to come out, in numbers and in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import LADDERS, METRICS, PlantedStudy, eq8, make

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.scaling import fit
from genret_core.workbench.analyses import (
    correlation,
    counting,
    data,
    evidence,
    inference,
    joint,
    rates,
    sizes,
    summary,
    training,
)
from genret_core.workbench.study.file import SeedNoise

DRAWS = 300


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PlantedStudy:
    return make(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def small_corpus(study: PlantedStudy) -> PlantedStudy:
    """The same numbers over 500 documents."""
    other = PlantedStudy(study.folder, study.spec)
    object.__setattr__(other, "n_documents", 500)
    return other


def test_model_size_fits_each_family_and_method_and_says_that_cgl_falls(study: PlantedStudy) -> None:
    found = sizes.model_size(study, draws=DRAWS)
    assert [(one.method, one.family) for one in found.fits] == [
        ("ngram", "llama"), ("ngram", "t5"), ("codebook", "llama"), ("codebook", "t5"),
    ]  # fmt: skip
    assert all(one.fit is not None and one.fit.n == len(LADDERS[one.family]) for one in found.fits)
    assert found.sentence.count("CGL falls for LLaMA") == 2
    assert "floor λ_P is not identified" in found.sentence  # planted as straight lines on ln P
    assert "0.32/d" in found.subtitle and "0.01·(16/d)<sup>0.5</sup>" in found.subtitle
    html = found.laws().to_html()
    assert "Table 1" in html and "2.40" in html  # the published exponent stands beside ours


def test_excluded_backbones_are_shown_and_not_fitted(study: PlantedStudy) -> None:
    found = sizes.model_size(study, exclude=["llama-d48"], draws=DRAWS)
    llama = found.fits[0]
    assert llama.fit is not None and llama.fit.n == 4
    assert list(llama.rows.loc[~llama.rows["used"], "backbone"]) == ["llama-d48"]
    assert any(trace.name == "not fitted" for trace in found.figure().data)


def test_two_sizes_are_no_law(study: PlantedStudy) -> None:
    found = sizes.model_size(study, exclude=["t5-d16", "t5-d32"], draws=DRAWS)
    t5 = found.fits[1]
    assert t5.fit is None and t5.why == "2 points, and a law needs 3"
    assert "T5 has too few sizes for a law" in found.sentence
    assert "**No law** for T5, n-grams (2 points" in found.verdicts()


def test_data_size_takes_the_backbone_with_most_fractions(study: PlantedStudy) -> None:
    found = data.data_size(study, draws=DRAWS)
    assert {str(one.rows["backbone"].iloc[0]) for one in found.fits} == {"llama-d64"}
    assert [one.fit.n for one in found.fits if one.fit] == [5, 5]
    assert "At equal queries the n-gram CGL is lower" in found.sentence
    with pytest.raises(BadInput, match="llama-d99"):
        data.data_size(study, backbone="llama-d99", draws=DRAWS)


def test_no_rows_say_which_command_makes_them(study: PlantedStudy) -> None:
    with pytest.raises(BadInput, match="genret study"):
        sizes.model_size(study, split="unseen", draws=DRAWS)


def test_joint_law_predicts_its_own_world_off_the_arms(tmp_path: Path) -> None:
    found = joint.joint_law(make(tmp_path, world=eq8), draws=40)
    off = found.rows[~found.rows["arm"]]
    assert len(off) == 4 and set(off["backbone"]) == {"llama-d16", "llama-d32"}
    assert found.whole is not None and found.whole.R2 > 0.95
    assert ((off["lo"] < 0) & (off["hi"] > 0)).sum() >= 3  # 95 % intervals over four cells
    assert "none of these errors is beyond noise" in found.sentence or "1 (mean" in found.sentence


def test_joint_law_is_caught_where_sizes_and_data_combine_otherwise(tmp_path: Path) -> None:
    def world(method: str, family: str, P: float, fraction: float) -> float:
        plain = eq8(method, family, P, fraction)  # the arms as before, and off them something else
        return plain + (3e-3 if fraction < 1 and P < 1e5 else 0.0)

    found = joint.joint_law(make(tmp_path, world=world), draws=40)
    assert "4 (mean +0.003" in found.sentence


def test_inference_greys_depths_that_say_little(study: PlantedStudy, small_corpus: PlantedStudy) -> None:
    whole = inference.inference_compute(study, draws=DRAWS)
    assert all(one.rows["used"].all() for one in whole.fits)
    few = inference.inference_compute(small_corpus, draws=DRAWS)
    used = {one.panel: bool(one.rows["used"].any()) for one in few.fits}
    assert used == {"MR@5": True, "MR@20": True, "MR@100": False}  # 100 of 500 is 20 %
    assert "MR@100 is too deep here to be fitted" in few.sentence
    assert "20 % of 500 documents" in few.points().to_html()


def test_inference_finds_planted_floors(study: PlantedStudy) -> None:
    found = inference.inference_compute(study, ks=[5], draws=DRAWS)
    floors = {one.family: one.fit.params["lambda_C"] for one in found.fits if one.fit}
    assert floors["llama"] == pytest.approx(0.13, abs=0.01)
    assert floors["t5"] == pytest.approx(0.33, abs=0.01)
    assert "misses fall with compute for LLaMA MR@5 (0.505 to 0.13" in found.sentence


def test_crossings_of_the_families_are_listed(study: PlantedStudy) -> None:
    found = inference.inference_compute(study, ks=[5], draws=DRAWS)
    (row,) = inference.crossings(found).data.to_dict("records")
    # planted: .4 (1.9e7 / C)^1.2 + .13 = .4 (1.5e6 / C)^1.2 + .33
    expected = (2 * (1.9e7**1.2 - 1.5e6**1.2)) ** (1 / 1.2)
    low, high = (float(end.rstrip("M")) * 1e6 for end in row["95% interval"].split(" to "))
    assert low < expected < high < 2 * low and row["refits that cross"] == "100 %"
    assert row["note"] == "beyond it LLaMA misses less"  # both were measured there
    llama, t5 = found.fits
    assert llama.fit is not None
    x = llama.fit.x
    above = replace(t5, fit=fit("inference", x, np.minimum(llama.fit.fitted + 0.1, 1.0)))
    (row,) = inference.crossings(replace(found, fits=(llama, above))).data.to_dict("records")
    assert row["where they meet"].startswith("nowhere from") and row["note"] == "LLaMA misses less"
    floor = llama.fit.params["lambda_C"]
    beyond = replace(t5, fit=fit("inference", x, 0.01 * (1e7 / x) ** 1.2 + floor + 5e-4))
    rows = inference.crossings(replace(found, fits=(llama, beyond))).data.to_dict("records")
    assert rows[-1]["note"] == "beyond it LLaMA misses less; extrapolated: not where both were measured"


def test_correlation_is_numpys_and_positive_loss_is_rivalled(study: PlantedStudy) -> None:
    found = correlation.correlate(study, draws=DRAWS)
    own = found.points[found.points["metric"] == "RR@10"]
    row = found.table[(found.table["metric"] == "RR@10") & (found.table["group"] == "all cells")].iloc[0]
    assert row["pearson"] == pytest.approx(np.corrcoef(own["CGL"], own["value"])[0, 1])
    left = [
        own[c] - np.polyval(np.polyfit(np.log(own["P"]), own[c], 1), np.log(own["P"]))
        for c in ("CGL", "value")
    ]
    assert row["partial"] == pytest.approx(np.corrcoef(left[0], left[1])[0, 1])
    assert row["pearson_lo"] <= row["pearson"] <= row["pearson_hi"]
    assert set(found.points["metric"]) == set(METRICS)
    assert found.beam == 10
    # planted: every negative loss is 50, so the positive loss is CGL in other units
    assert "positive loss alone does as well" in found.sentence


def test_claims_find_what_was_planted(study: PlantedStudy) -> None:
    judged = {j.claim.code: j for j in summary.judge_all(study, draws=DRAWS)}
    assert len(judged) == len(evidence.CLAIMS)
    holds = {"size", "equal", "data_ngram", "data_code", "linear", "misses", "low", "high", "floor5"}
    refuted = {"codebook_size", "above", "floor20"}
    verdicts = {code: j.verdict for code, j in judged.items()}
    assert {c for c, v in verdicts.items() if v == "holds here"} >= holds, verdicts
    assert {c for c, v in verdicts.items() if v == "does not hold here"} >= refuted, verdicts
    for code in ("alpha", "lambda_P"):  # planted without a bend: no floor, so no exponent either
        assert verdicts[code] == "cannot be told"
        assert "not identified" in judged[code].evidence
    table = summary.claims_table(list(judged.values())).to_html()
    assert table.count("does not hold here") == sum(v == "does not hold here" for v in verdicts.values())


def test_claims_on_a_small_corpus_leave_deep_ranks_open(small_corpus: PlantedStudy) -> None:
    asked = {claim.code: ask for claim, ask in evidence.CLAIMS}
    outcome = asked["floor100"](evidence.Evidence(small_corpus, "seen", 50, 0.95))
    assert outcome.probability is None and "k is 20 % of 500 documents" in outcome.evidence


def test_training_tables_and_sentence(study: PlantedStudy) -> None:
    rows = training.cgl_rows(study, "seen")
    assert len(rows) == 18
    html = training.cgl_table(study, rows).to_html()
    assert "chance is 0.01550" in html and "llama-d128" in html
    told = training.departure_table(study, rows).to_html()
    assert "all of these" in told and "end token" not in told
    assert "needs the column eos_nll" in training.not_recorded(study, rows).data
    assert "with n-grams LLaMA ρ 0.9" in training.sentence(study, rows)


def test_ours_and_published_meet_in_rho(study: PlantedStudy) -> None:
    both = summary.beside(study, "seen")
    t5 = both[(both["whose"] == "published") & (both["method"] == "ngram") & (both["family"] == "t5")]
    np.testing.assert_allclose(
        t5["rho"].round(3), [0.959, 0.937, 0.928, 0.920, 0.917]
    )  # retrieval.md, part 0
    assert (both.loc[both["method"] == "codebook", "rho"] > 0.7).all()


def test_what_a_study_does_not_hold_is_said(study: PlantedStudy) -> None:
    narrow = PlantedStudy(study.folder, study.spec)
    codes = study.results[(study.results["method"] == "codebook") & study.results["beam"].isna()]
    narrow.__dict__["results"] = codes.reset_index(drop=True)
    with pytest.raises(BadInput, match=r"holds no (search of seen queries|MR@5)"):
        inference.inference_compute(narrow, ks=[5], draws=20)
    with pytest.raises(BadInput, match="holds no n-gram cell at all data"):
        summary.figure_1(narrow, split="seen", draws=20)
    with pytest.raises(BadInput, match="holds no CGL for split seen, method ngram"):
        correlation.correlate(narrow, split="seen", method="ngram", draws=20)


def test_cgl_counted_otherwise_is_what_the_losses_give(study: PlantedStudy) -> None:
    """Another N: each query's CGL is ln(1 + rho/N) of the same rho; laws and errors follow."""
    assert counting.counted(study) is study
    other = counting.counted(study, positives="min", reduction="token_mean", n_negatives=256)
    plain, found = study.rows("CGL", split="seen"), other.rows("CGL", split="seen")
    expected = np.log1p(64 * np.expm1(study.per_query(plain)) / 256)
    np.testing.assert_allclose(other.per_query(found), expected, rtol=1e-9)
    np.testing.assert_allclose(found["value"].astype(float), expected.mean(axis=1), rtol=1e-9)
    assert (found["n_negatives"] == 256).all() and (plain["n_negatives"] == 64).all()
    ranking = {"metric": "nDCG@10"}
    assert other.rows(**ranking)["value"].tolist() == study.rows(**ranking)["value"].tolist()
    question = sizes.model_size(other, draws=DRAWS)
    assert "N = 256, one seed, least L⁺, token means" in question.title
    assert question.n_negatives == 256 and "CGL falls for LLaMA" in question.sentence
    assert "token means" in data.data_size(other, draws=DRAWS).title
    with pytest.raises(BadInput, match="one of mean, min, each"):
        counting.counted(study, positives="least").rows("CGL")


def test_declared_noise_between_seeds_goes_with_n(study: PlantedStudy) -> None:
    noise = {"CGL": SeedNoise(sd=0.004, source="elsewhere")}
    declared = study.spec.model_copy(
        update={
            "seed_noise": noise,
            "evaluation": study.spec.evaluation.model_copy(update={"n_negatives": 64}),
        }
    )
    other = counting.CountedStudy(study.folder, declared, "mean", "sum", 256)
    sd, source = other.seed_sd("CGL")
    assert sd == pytest.approx(0.001) and "N = 256" in source
    assert counting.CountedStudy(study.folder, declared, "min").seed_sd("CGL") == (0.004, "elsewhere")


def test_a_second_cgl_on_other_queries(study: PlantedStudy) -> None:
    rows = training.cgl_rows(study, "seen")
    assert "splits: [seen, unseen]" in training.other_queries(study, rows, "seen").data
    assert sizes.elsewhere(study, split="seen") is None
    both = PlantedStudy(study.folder, study.spec)
    cgl = study.results[study.results["metric"] == "CGL"]
    both.__dict__["results"] = pd.concat(
        [study.results, cgl.assign(split="unseen", value=cgl["value"] * 1.05)]
    )
    html = training.other_queries(both, rows, "seen").to_html()
    for value in (rows["value"].iloc[0], rows["value"].iloc[0] * 1.05):
        assert f"{value:.5f}" in html
    assert "CGL, unseen" in html
    found = sizes.elsewhere(both, split="seen", draws=DRAWS)
    assert found is not None and "400 unseen queries" in found.title
    back = sizes.elsewhere(both, split="unseen", draws=DRAWS)
    assert back is not None and "400 seen queries" in back.title


def test_rates_that_were_tried_stand_beside_the_rule(tmp_path: Path) -> None:
    study = make(tmp_path)
    assert "lr_sweep: 3" in rates.rate_table(study).data and rates.rate_figure(study) is None
    cells = study.cells
    tried = cells[cells["fraction"] == 1.0]["cell"].tolist()
    for i, key in enumerate(tried):  # the first keeps half the rate; the second diverges at twice the rate
        kept = 0 if i == 0 else 1
        values = [{"lr": lr, "CGL": 0.01 + 0.001 * (j != kept)} for j, lr in enumerate((0.005, 0.01, 0.02))]
        if i == 1:
            values[2] = {"lr": 0.02, "CGL": None, "reason": "diverged"}
        cells.loc[cells["cell"] == key, "lr"] = values[kept]["lr"]
        write_json(study.layout.cell_file(key), {"lr_sweep": values})
    cells.to_parquet(study.layout.cells_table)
    study = PlantedStudy(study.folder, study.spec)
    found = rates.tried_rates(study)
    assert len(found) == 3 * len(tried) and (found["rule"] == 0.01).all()
    assert (found[found["kept"]].groupby("cell")["CGL"].min() == found.groupby("cell")["CGL"].min()).all()
    html = rates.rate_table(study).to_html()
    assert "0.01000 ✓" in html and "diverged" in html
    assert f"1 of {len(tried)} cells kept another than the rule" in html
    figure = rates.rate_figure(study)
    assert figure is not None
    points = [trace for trace in figure.data if trace.name in ("tried", "kept")]
    assert sum(len(trace.x) for trace in points) == len(found)
