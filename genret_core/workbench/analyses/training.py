"""02: what a ladder of backbones learns, and its CGL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.retrieval.cgl import chance, rho_of
from genret_core.retrieval.cgl_departures import departures
from genret_core.workbench import project, tables
from genret_core.workbench.analyses.counting import ONE_SPLIT, beside, counting_words, other_split
from genret_core.workbench.analyses.law_question import conditions, learning_rates, listed, rows_of
from genret_core.workbench.analyses.sizes import PANELS, by_series
from genret_core.workbench.figures import style
from genret_core.workbench.figures.laws import law_figure
from genret_core.workbench.figures.training import loss_curves
from genret_core.workbench.recorded import evaluation_losses
from genret_core.workbench.study.collect import evaluation_folder

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

SMOOTH = 60  # places of a loss curve that are drawn


def made(study_dir: str) -> Study:
    """Open a study after training, scoring and searching whatever it lacks, with the pool of `genret study`.

    Parameters
    ----------
    study_dir : str
        The study folder; where there is none yet, its last part names the preset to make there.

    Raises
    ------
    BadInput
        If a cell failed, with the first reason.
    """
    from genret_core.workbench.runs import open_study
    from genret_core.workbench.study import run_study

    folder = project.resolve(study_dir)
    source = folder if (folder / "study.yaml").is_file() else folder.name
    outcome = run_study(source, out=folder.parent, only=[])
    if not outcome.ok:
        raise BadInput(f"{len(outcome.failures)} cells failed: {outcome.failures[0]}")
    return open_study(outcome.folder)


def ladder(study: Study) -> Styler:
    """List the cells: size, data, learning rate, and what training cost."""
    cells = ngrams_first(study.cells)
    shown = pd.DataFrame(
        {
            "identifiers": cells["method"].map(style.METHOD_NAMES),
            "backbone": cells["backbone"],
            "P": cells["P"],
            "with embeddings": cells["P_total"],
            "fraction": cells["fraction"],
            "seed": cells["seed"],
            "D": cells["D"],
            "rate": cells["lr"],
            "steps": cells["steps"],
            "FLOPs": cells["train_flops"].astype(float),
            "s": cells["train_seconds"],
        }
    )
    constant = [name for name in ("fraction", "seed") if len(set(shown[name])) == 1]
    counts = dict.fromkeys(("P", "with embeddings", "D", "steps"), "{:,.0f}")
    formats = counts | {"fraction": "{:g}", "rate": "{:.2g}", "s": "{:.1f}", "FLOPs": style.short}
    caption = f"{len(cells)} trained cells; rate is the learning rate, FLOPs and seconds those of training"
    return tables.styled(shown.drop(columns=constant), caption=caption, formats=formats)


def ngrams_first(rows: pd.DataFrame) -> pd.DataFrame:
    """Put the cells of the n-gram method before the others."""
    return rows.sort_values("method", key=lambda names: names != "ngram", kind="stable", ignore_index=True)


def curves(study: Study, *, fraction: float = 1.0) -> pd.DataFrame:
    """Read the loss curves of the cells trained on a fraction, thinned to at most 60 means."""
    cells = ngrams_first(study.cells)
    cells = cells[(cells["fraction"] == fraction) & (cells["seed"] == cells["seed"].min())]
    parts = []
    for cell in cells.to_dict("records"):
        curve = np.array(read_json(study.layout.cell_file(cell["cell"]))["loss_curve"], dtype=float).reshape(
            -1, 2
        )
        same = {name: cell[name] for name in ("method", "family", "P")} | {"name": cell["backbone"]}
        parts.append(pd.DataFrame(_thinned(curve), columns=["step", "loss"]).assign(**same))
    columns = ["step", "loss", "method", "family", "P", "name"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _thinned(curve: np.ndarray) -> np.ndarray:
    """Average runs of neighbouring entries, so that a curve can be read."""
    if len(curve) <= SMOOTH:
        return curve
    return np.array([part.mean(axis=0) for part in np.array_split(curve, SMOOTH)])


def curve_figure(study: Study) -> style.Figure:
    """Draw the loss curves."""
    found = curves(study)
    groups = list(found[["method", "family"]].drop_duplicates().itertuples(index=False, name=None))
    return loss_curves(found, learning_rates(study, groups))


def cgl_rows(study: Study, split: str) -> pd.DataFrame:
    """Take the CGL of every cell with all training queries, smallest first."""
    return ngrams_first(rows_of(study, "CGL", split=split, fraction=1.0))


def cgl_table(study: Study, rows: pd.DataFrame) -> Styler:
    """List CGL and rho of the cells with standard errors, and chance."""
    n = int(rows["n_negatives"].iloc[0])
    shown = rows.assign(name=rows["backbone"], x=rows["P"], rho=[rho_of(v, n) for v in rows["value"]])
    caption = (
        f"CGL and ρ on {int(rows['n_queries'].iloc[0]):,} queries; chance is {chance(n):.5f} and 1 (N = {n}"
        f"{counting_words(study)})"
    )
    return tables.series_table(shown, caption=caption, x="P")


def cgl_figure(study: Study, rows: pd.DataFrame, split: str) -> style.Figure:
    """Draw CGL along the ladders."""
    points = pd.concat([part.assign(panel=PANELS.get(key[0], key[0])) for key, part in by_series(rows)])
    points = points.assign(x=points["P"].astype(float), name=points["backbone"])
    groups = list(points[["method", "family"]].drop_duplicates().itertuples(index=False, name=None))
    return law_figure(
        points,
        x="P",
        title=f"CGL along the ladders ({conditions(study, rows, split)}{counting_words(study)})",
        subtitle=learning_rates(study, groups),
        n_negatives=int(rows["n_negatives"].iloc[0]),
    )


def other_queries(study: Study, rows: pd.DataFrame, split: str) -> Styler | Markdown:
    """Set the same cells' CGL on the study's other queries beside it, such as those of unseen documents."""
    other = other_split(study, split)
    if other is None:
        return Markdown(ONE_SPLIT)
    found = cgl_rows(study, other)
    both = beside(rows, found)
    n = int(rows["n_negatives"].iloc[0])
    shown = pd.DataFrame(
        {
            "identifiers": both["method"].map(style.METHOD_NAMES).fillna(both["method"]),
            "backbone": both["backbone"],
            "P": both["P"],
            "seed": both["seed"],
            f"CGL, {split}": both["value"],
            "± 1 SE": both["stderr"],
            f"ρ, {split}": [rho_of(value, n) for value in both["value"]],
            f"CGL, {other}": both["other_value"],
            "± 1 SE ": both["other_stderr"],
            f"ρ, {other}": both["other_rho"],
        }
    )
    shown = shown if len(set(both["seed"])) > 1 else shown.drop(columns="seed")
    formats: dict[str, object] = {"P": "{:,.0f}"}
    formats |= {name: "{:.5f}" for name in map(str, shown) if name.startswith(("CGL", "±"))}
    formats |= {name: "{:.3f}" for name in map(str, shown) if name.startswith("ρ")}
    caption = (
        f"The same cells on {int(rows['n_queries'].max()):,} {split} and "
        f"{int(found['n_queries'].max()):,} {other} queries (N = {n}{counting_words(study)})"
    )
    return tables.styled(shown, caption=caption, formats=formats)


def departure_table(study: Study, rows: pd.DataFrame) -> Styler:
    """Recompute the CGL of the best cell under each departure of the published code, from the same losses."""
    best, found = _departures(study, rows)
    shown = found[found["needs"] == ""][[*DEPARTURE_COLUMNS]].rename(columns=DEPARTURE_COLUMNS)
    formats: dict[str, object] = dict.fromkeys(("CGL", "± 1 SE"), "{:.5f}")
    formats |= dict.fromkeys(("ρ", "± 1 SE of ρ"), "{:.3f}") | {"± 1 SE of it": "{:.4f}"}
    formats |= {"change of ρ": lambda value: f"{value:+.4f}".replace("-", "−")}
    caption = (
        f"{best['backbone']}, {style.METHOD_NAMES.get(best['method'])}: the same losses, counted otherwise; "
        "changes are from the first row, their errors over paired queries"
    )
    return tables.styled(shown, caption=caption, formats=formats, tight=["switched"])


def not_recorded(study: Study, rows: pd.DataFrame) -> Markdown:
    """List the departures that the losses of the best cell do not show, and what it would take."""
    _, found = _departures(study, rows)
    told = found.loc[found["needs"] != "", ["departure", "published", "needs"]].to_dict("records")
    lines = [f"- {one['departure']}: {one['published']} (needs {one['needs']})" for one in told]
    return Markdown("\n".join(["These losses do not show:", "", *lines]))


def _departures(study: Study, rows: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    best = rows.sort_values("value").iloc[0]
    recorded = evaluation_losses(evaluation_folder(study.folder, str(best["run_id"]))).recorded
    return best, departures(recorded.losses)


DEPARTURE_COLUMNS = {
    "departure": "switched",
    "published": "what the published code does",
    "N": "N",
    "CGL": "CGL",
    "CGL_stderr": "± 1 SE",
    "rho": "ρ",
    "rho_stderr": "± 1 SE of ρ",
    "rho_change": "change of ρ",
    "rho_change_stderr": "± 1 SE of it",
}


def sentence(study: Study, rows: pd.DataFrame) -> str:
    """Answer the question from the numbers."""
    n = int(rows["n_negatives"].iloc[0])
    told: dict[str, list[str]] = {}
    for (method, family), part in by_series(rows):
        rho = [rho_of(value, n) for value in part.groupby("P")["value"].mean()]
        who = style.FAMILY_NAMES.get(str(family), str(family))
        near = int((part["value"] + 2 * part["stderr"] >= chance(n)).sum())
        at_chance = f" ({near} of {len(part)} cells at chance)" if near else ""
        ends = f"{rho[0]:.3f}" + (f" to {rho[-1]:.3f}" if len(rho) > 1 else "")
        told.setdefault(style.WITH.get(str(method), str(method)), []).append(f"{who} ρ {ends}{at_chance}")
    seconds = study.cells["train_seconds"].sum()
    parts = "; ".join(f"{how} {listed(who)}" for how, who in told.items())
    return (
        f"From the smallest to the largest backbone, {parts}, where chance is 1; "
        f"training the {len(study.cells)} cells took {seconds:,.0f} s by the clock, added up."
    )
