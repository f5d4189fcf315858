"""What can be taken away: parameters, points, curves, LaTeX, a page; as text, or as files of a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from genret_core.files import atomic
from genret_core.workbench.explorer.code import code
from genret_core.workbench.explorer.latex import latex_row, latex_table
from genret_core.workbench.explorer.page import page
from genret_core.workbench.explorer.record import draws_json, parameters, parameters_yaml
from genret_core.workbench.explorer.shown import Shown

__all__ = [
    "code",
    "curves_csv",
    "draws_json",
    "files",
    "latex_row",
    "latex_table",
    "page",
    "parameters",
    "parameters_yaml",
    "points_csv",
    "write",
]


def points_csv(shown: Shown) -> str:
    """Give the points of all series that are shown, with fitted values, residuals, and what was left out."""
    names = shown.source.called(shown.state.focus)
    table = pd.concat([shown.points(series) for series in shown.state.shown], ignore_index=True)
    table["label"] = [shown.source.label(series) for series in table["series"]]
    columns = ["row", "series", "label", "name", *(part for part in ("x", "x2", "y") if part in names)]
    columns += ["sd"] if table["sd"].notna().any() else []
    columns += ["used", "target", "reason", "fitted", "residual"]
    called = {part: name for part, name in names.items() if name not in columns}
    return str(table[columns].rename(columns=called).to_csv(index=False))


def curves_csv(shown: Shown) -> str:
    """Give the curves of all series that have a fit, with their bands."""
    parts = []
    for series, (x, y, low, high) in shown.curves().items():
        part = {"series": series, "x": x, "x2": shown.beside(series), "y": y, "lo": low, "hi": high}
        parts.append(pd.DataFrame(part).assign(level=shown.state.level))
    columns = ["series", "x", "x2", "y", "lo", "hi", "level"]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return str((table if table["x2"].notna().any() else table.drop(columns="x2")).to_csv(index=False))


def files(shown: Shown) -> dict[str, str]:
    """Give every file by its name."""
    return {
        "view.yaml": shown.state.to_yaml(),
        "fit.yaml": parameters_yaml(shown),
        "points.csv": points_csv(shown),
        "curves.csv": curves_csv(shown),
        "draws.json": draws_json(shown),
        "fit.tex": latex_table(shown),
        "fit.py": code(shown),
        "fit.html": page(shown),
    }


def write(shown: Shown, folder: str | Path) -> list[Path]:
    """Write every file into a folder, each whole or not at all.

    Returns
    -------
    list of Path
    """
    written = []
    for name, text in files(shown).items():
        path = Path(folder) / name
        with atomic(path) as part:
            part.write_text(text, encoding="utf-8")
        written.append(path)
    return written
