"""The paper's claims, each asked of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.workbench import claims
from genret_core.workbench.analyses import correlation, data, inference
from genret_core.workbench.analyses.fitted import Fitted, fit_series
from genret_core.workbench.analyses.law_question import joint_replicates, series_of
from genret_core.workbench.claims import Claim, Judgement, Outcome, unknown
from genret_core.workbench.figures import style
from genret_core.workbench.replicates.series import Series, common_places, interpolate
from genret_core.workbench.study.variants import plain_rows

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

KS = (5, 20, 100)
FAMILIES = {"llama": "LLaMA", "t5": "T5"}


Made = TypeVar("Made")


@dataclass(frozen=True)
class Evidence:
    """The measured series that claims are judged on.

    Attributes
    ----------
    study : Study
    split : str
    draws : int
        Joint replicates.
    level : float
        At which a claim is decided.
    """

    study: Study
    split: str
    draws: int
    level: float
    known: dict[tuple[object, ...], object] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Make something the first time it is asked for; several claims rest on the same series."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]  # type: ignore[return-value]

    def sizes(self, method: str) -> dict[str, Series]:
        """CGL over P at all data, by family."""
        rows = self.study.rows("CGL", split=self.split, fraction=1.0, method=method)
        return self.once(("sizes", method), lambda: self._by_family(rows, "P"))

    def fractions(self, *, shared: bool = False) -> dict[str, Series]:
        """CGL over the training queries of the backbone with most fractions, by method.

        `shared` keeps the fractions that every method has, so that methods compare at equal queries.
        """
        rows = self.study.rows("CGL", split=self.split)
        if rows.empty:
            return {}
        rows = rows[rows["backbone"] == data.most_fractions(rows)]
        if shared:
            rows = rows[rows["fraction"].isin(self._shared_fractions(rows))]
        return self.once(("fractions", shared), lambda: self._by_method(rows))

    def _by_method(self, rows: pd.DataFrame) -> dict[str, Series]:
        return {
            str(method): series_of(self.study, part, x="fraction", draws=self.draws)
            for method, part in rows.groupby("method")
        }

    @staticmethod
    def _shared_fractions(rows: pd.DataFrame) -> list[float]:
        by_method = [set(part["fraction"]) for _, part in rows.groupby("method")]
        return sorted(set.intersection(*by_method))

    def misses(self, k: int, method: str = "ngram") -> dict[str, Series]:
        """MR@k over C by family; only points at which k is not too deep."""
        rows = self.beams(k, method)
        if rows.empty:
            return {}
        return self.once(("misses", k, method), lambda: self._by_family(rows[rows["used"]], "C"))

    def beams(self, k: int, method: str = "ngram") -> pd.DataFrame:
        """Rows of MR@k over beams, with `used`; empty without searches."""
        try:
            rows = inference.beams_of(self.study, f"MR@{k}", split=self.split)
        except BadInput:
            return pd.DataFrame()
        rows = rows[rows["method"] == method]
        return inference.told_apart(self.study, rows, k) if len(rows) else rows

    def _by_family(self, rows: pd.DataFrame, x: str) -> dict[str, Series]:
        return {
            FAMILIES.get(str(family), str(family)): series_of(self.study, part, x=x, draws=self.draws)
            for family, part in rows.groupby("family", sort=True)
        }

    def law(self, rows: pd.DataFrame, law: str, x: str) -> Fitted:
        """Fit a law to rows of one family."""
        key = (law, *rows["run_id"], *rows["metric"])
        make = partial(fit_series, self.study, rows, law, x=x, panel="", draws=self.draws, level=self.level)
        return self.once(key, make)


def judge_all(
    study: Study, *, split: str = "seen", draws: int = 2000, level: float = 0.95
) -> list[Judgement]:
    """Judge every claim of the paper, and the comparisons it could not make.

    Parameters
    ----------
    study : Study
    split : str
        Evaluation queries.
    draws : int
        Joint replicates.
    level : float
        Probability at which a claim holds; at 1 - level it does not.
    """
    evidence = Evidence(study, split, draws, level)
    return [claims.judge(claim, ask(evidence), level=level) for claim, ask in CLAIMS]


def _larger_helps(e: Evidence) -> Outcome:
    return claims.falls(e.sizes("ngram"), unit="CGL over P")


def _codebook_flat(e: Evidence) -> Outcome:
    return claims.no_improvement(e.sizes("codebook"), e.sizes("ngram"), unit="codebook CGL over P")


def _steeper_llama(e: Evidence) -> Outcome:
    return _parameter(e, _size_fits(e), "alpha", "α", low="T5", high="LLaMA")


def _lower_size_floor(e: Evidence) -> Outcome:
    return _parameter(e, _size_fits(e), "lambda_P", "λ_P", low="LLaMA", high="T5")


def _size_fits(e: Evidence) -> dict[str, Fitted]:
    rows = e.study.rows("CGL", split=e.split, fraction=1.0, method="ngram")
    return {FAMILIES[str(f)]: e.law(part, "model_size", "P") for f, part in rows.groupby("family")}


def _parameter(
    e: Evidence, fits: Mapping[str, Fitted], name: str, symbol: str, *, low: str, high: str
) -> Outcome:
    """Compare one parameter of two fits over their joint refits."""
    if not {low, high} <= set(fits):
        return unknown("only one family has cells")
    columns, open_in = {}, []
    for who in (low, high):
        one = fits[who]
        if one.fit is None:
            return unknown(one.why)
        place = [p.name for p in one.fit.law.parameters].index(name)
        columns[who] = np.concatenate([[one.fit.params[name]], one.fit.draws[:, place]])
        if not one.held:
            open_in.append(who)
    return claims.lower_parameter((low, columns[low]), (high, columns[high]), symbol=symbol, open_in=open_in)


def _llama_below(method: str) -> Callable[[Evidence], Outcome]:
    def ask(e: Evidence) -> Outcome:
        found = e.sizes(method)
        if not {"LLaMA", "T5"} <= set(found):
            return unknown(f"only one family has cells with {style.METHOD_NAMES[method]}")
        return claims.below(("LLaMA", found["LLaMA"]), ("T5", found["T5"]), axis="P")

    return ask


def _codebook_above(e: Evidence) -> Outcome:
    named = {
        m: {f"{style.METHOD_NAMES[m]} {f}": s for f, s in e.sizes(m).items()} for m in ("codebook", "ngram")
    }
    return claims.all_above(named["codebook"], named["ngram"], unit="CGL at all data")


def _equal_cells(e: Evidence) -> Outcome:
    """Compare the methods backbone by backbone at the same training queries."""
    rows = e.study.rows("CGL", split=e.split)
    if rows.empty:
        return unknown("no finished cells")
    columns = np.column_stack([rows["value"], joint_replicates(e.study, rows, draws=e.draws)])
    cells = [f"{b}, {100 * f:g} %" for b, f in zip(rows["backbone"], rows["fraction"], strict=True)]
    by_method: dict[str, dict[str, list[int]]] = {"ngram": {}, "codebook": {}}
    for i, (method, cell) in enumerate(zip(rows["method"], cells, strict=True)):
        by_method[str(method)].setdefault(cell, []).append(i)
    shared = [cell for cell in by_method["ngram"] if cell in by_method["codebook"]]
    if not shared:
        return unknown("no backbone was trained with both methods on the same queries")
    low, high = (
        np.stack([columns[by_method[m][cell]].mean(axis=0) for cell in shared]) for m in ("ngram", "codebook")
    )
    return claims.pairwise_below(low, high, shared, what="n-gram minus codebook CGL")


def _data_helps(method: str) -> Callable[[Evidence], Outcome]:
    def ask(e: Evidence) -> Outcome:
        found = e.fractions()
        if method not in found:
            return unknown(f"no fractions with {style.METHOD_NAMES[method]}")
        return claims.falls({style.METHOD_NAMES[method]: found[method]}, unit="CGL over training queries")

    return ask


def _ngram_faster(e: Evidence) -> Outcome:
    found = e.fractions(shared=True)
    if not {"ngram", "codebook"} <= set(found):
        return unknown("fractions were trained with one method only")
    comparison = ("n-grams", found["ngram"]), {"codebook": found["codebook"]}
    return claims.falls_faster(comparison, unit="CGL over training queries")


def _near_linear(e: Evidence) -> Outcome:
    try:
        found = correlation.correlate(e.study, split=e.split, draws=2, level=e.level)
    except BadInput as error:
        return unknown(str(error))
    cells = found.points["metric"].value_counts().iloc[0]
    cgl = e.study.rows("CGL", split=e.split, method="ngram")
    every = e.study.rows(list(correlation.METRICS), split=e.split, method="ngram", beam=found.beam)
    searched = plain_rows(every)
    cgl = cgl[cgl["cell"].isin(searched["cell"])].reset_index(drop=True)
    assert len(cgl) == cells
    x = np.column_stack([cgl["value"], joint_replicates(e.study, cgl, draws=e.draws)])
    ys = {}
    for metric in correlation.METRICS:
        own = searched[searched["metric"] == metric].set_index("cell").reindex(cgl["cell"]).reset_index()
        ys[metric] = np.column_stack([own["value"], joint_replicates(e.study, own, draws=e.draws)])
    return claims.near_linear(x, ys)


def _misses_fall(e: Evidence) -> Outcome:
    every = {f"{family} MR@{k}": s for k in KS for family, s in e.misses(k).items()}
    return claims.falls(every, unit="misses over C")


def _five_fastest(e: Evidence) -> Outcome:
    by_k = {k: e.misses(k) for k in KS}
    known = [k for k in KS if by_k[k]]
    if 5 not in known or len(known) < 2:
        return unknown("fewer than two depths k can be judged on a corpus of this size")
    comparisons: list[claims.Comparison] = [
        (
            (f"{family} MR@5", series),
            {f"{family} MR@{k}": by_k[k][family] for k in known[1:] if family in by_k[k]},
        )
        for family, series in by_k[5].items()
    ]
    return claims.falls_faster(*comparisons)


def _at_compute(which: str) -> Callable[[Evidence], Outcome]:
    """Compare the families at the lowest or highest compute that both were searched with."""

    def ask(e: Evidence) -> Outcome:
        low, high = ("T5", "LLaMA") if which == "low" else ("LLaMA", "T5")
        lows: list[np.ndarray] = []
        highs: list[np.ndarray] = []
        names = []
        for k in KS:
            found = e.misses(k)
            if not {"LLaMA", "T5"} <= set(found):
                continue
            places = common_places(found["LLaMA"].x, found["T5"].x)
            if len(places) == 0:
                continue
            at = places[:1] if which == "low" else places[-1:]
            for who, into in ((low, lows), (high, highs)):
                into.append(interpolate(found[who].x, found[who].columns(), at)[0])
            names.append(f"MR@{k} at {style.short(float(at[0]))} FLOPs")
        if not names:
            return unknown("the two families share no range of compute")
        told = f"{low} minus {high}, {', '.join(names)}"
        return claims.pairwise_below(np.array(lows), np.array(highs), names, what=told)

    return ask


def _floor(k: int, lower: str) -> Callable[[Evidence], Outcome]:
    def ask(e: Evidence) -> Outcome:
        rows = e.beams(k)
        if rows.empty:
            return unknown("nothing was searched with several beams")
        if not rows["used"].any():
            return unknown(f"MR@{k} is not fitted: {rows['note'].iloc[0].partition(': ')[2]}")
        fits = {FAMILIES[str(f)]: e.law(part, "inference", "C") for f, part in rows.groupby("family")}
        higher = "T5" if lower == "LLaMA" else "LLaMA"
        return _parameter(e, fits, "lambda_C", f"λ_C of MR@{k}", low=lower, high=higher)

    return ask


CLAIMS: tuple[tuple[Claim, Callable[[Evidence], Outcome]], ...] = (
    (Claim("size", "Larger models have a lower n-gram CGL", "§4.1.1, Fig. 4 (1)"), _larger_helps),
    (Claim("alpha", "LLaMA improves more steeply with size than T5 (α)", "§4.1.1, Table 1"), _steeper_llama),
    (Claim("lambda_P", "LLaMA's floor λ_P is lower than T5's", "§4.1.1, Table 1"), _lower_size_floor),
    (Claim("codebook_size", "Codebook CGL does not improve with size", "§4.1.2, Fig. 4 (2)"), _codebook_flat),
    (Claim("llama_ngram", "LLaMA is below T5 at comparable size, n-grams", "§4.1.3"), _llama_below("ngram")),
    (
        Claim("llama_code", "LLaMA is below T5 at comparable size, codebook", "§4.1.3"),
        _llama_below("codebook"),
    ),
    (Claim("above", "Every codebook CGL is above every n-gram CGL", "§4.1.3"), _codebook_above),
    (
        Claim("equal", "n-grams are below codes at the same backbone and queries", "ours; not in the paper"),
        _equal_cells,
    ),
    (Claim("data_ngram", "More data lowers n-gram CGL", "§4.2.1, Fig. 5 (1)"), _data_helps("ngram")),
    (Claim("data_code", "More data lowers codebook CGL", "§4.2.2, Fig. 5 (2)"), _data_helps("codebook")),
    (Claim("data_faster", "n-grams gain faster from data than codes", "§4.2.3"), _ngram_faster),
    (Claim("linear", "CGL is nearly linear in the ranking metrics", "§3.4, Fig. 3"), _near_linear),
    (Claim("misses", "Misses fall as inference compute grows", "§5.2, Fig. 6"), _misses_fall),
    (Claim("fastest", "MR@5 falls fastest", "§5.2"), _five_fastest),
    (Claim("low", "T5 misses less at low compute", "§5.2"), _at_compute("low")),
    (Claim("high", "LLaMA misses less at high compute", "§5.2"), _at_compute("high")),
    (Claim("floor5", "LLaMA's floor λ_C is lower at k = 5", "§5.2, Table 3"), _floor(5, "LLaMA")),
    (Claim("floor20", "LLaMA's floor λ_C is higher at k = 20", "§5.2, Table 3"), _floor(20, "T5")),
    (Claim("floor100", "LLaMA's floor λ_C is higher at k = 100", "§5.2, Table 3"), _floor(100, "T5")),
)
