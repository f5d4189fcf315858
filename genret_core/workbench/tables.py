"""Tables as people read them: few digits on the page, all digits in the frames behind."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import Interval
from genret_core.scaling.wording import value_text
from genret_core.workbench.figures import style
from genret_core.workbench.report.facts import commit, when

if TYPE_CHECKING:
    from pandas.io.formats.style_render import CSSDict

    from genret_core.workbench.runs import Study

GREY = "color:#7f7f7f"
VERDICT_COLOURS = {
    "holds here": style.GREEN,
    "does not hold here": style.VERMILLION,
    "cannot be told": style.GREY,
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def styled(
    frame: pd.DataFrame,
    *,
    caption: str = "",
    formats: Mapping[str, Any] | None = None,
    left: Sequence[str] = (),
    tight: Sequence[str] = (),
) -> Styler:
    """Lay out a frame: no index, numbers to the right, a caption above.

    Parameters
    ----------
    frame : DataFrame
        What to show, columns in order.
    caption : str
        What it is, with units.
    formats : mapping from a column to a format or a function, optional
        Others are shown as they are; NaN and None as a dash.
    left : sequence of str
        Columns that are set to the left although they hold numbers; text is anyway.
    tight : sequence of str
        Columns whose text is not broken into lines.

    Texts are escaped; the names of columns may hold HTML.
    """
    known = {name: how for name, how in (formats or {}).items() if name in frame}
    text = [
        name for name in frame if name in left or frame[name].dtype == object or frame[name].dtype == "str"
    ]
    shown = frame.reset_index(drop=True).style.hide(axis="index").format(na_rep="–", escape="html")
    for name, how in known.items():
        shown = shown.format(how, subset=[name], na_rep="–")
    shown = shown.set_properties(subset=None, **{"text-align": "right", "white-space": "nowrap"})
    if text:
        shown = shown.set_properties(subset=text, **{"text-align": "left"})
    if loose := [name for name in text if name not in tight]:
        shown = shown.set_properties(subset=loose, **{"white-space": "normal"})
    headers: list[CSSDict] = [
        {"selector": "th", "props": "text-align:left;font-weight:600;vertical-align:bottom"},
        {
            "selector": "caption",
            "props": "caption-side:top;text-align:left;font-weight:600;padding-bottom:6px",
        },
    ]
    if caption:
        shown = shown.set_caption(caption)
    return shown.set_table_styles(headers, overwrite=False)


def significant(value: float | None, digits: int = 3) -> str:
    """Write a number with few digits; powers of ten where it is far from one.

    Returns
    -------
    str
        `0.0114`, `100,672`, `1.24×10⁸`; a dash for None and NaN.
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if -5 <= power < 6:
        rounded = round(value, digits - 1 - power)
        return f"{rounded:,.{max(digits - 1 - power, 0)}f}"
    mantissa = f"{value / 10.0**power:.{digits - 1}f}"
    return f"{mantissa}×10{str(power).translate(_SUPERSCRIPT)}"


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign: `+0.0012`, `−0.0003`."""
    return f"{value:+.{digits}g}".replace("-", "−")


def symbol(name: str) -> str:
    """Write a symbol with its index lowered: λ_P becomes λ<sub>P</sub>."""
    return re.sub(r"_(\w+)", r"<sub>\1</sub>", name)


def estimate(value: float, interval: Interval | None = None) -> str:
    """Write an estimate with the digits that its interval allows: `0.0920 [0.0850, 0.0980]`."""
    if not math.isfinite(value):
        return "–"
    return re.sub(r"e([+-])0*(\d+)", _power_of_ten, value_text(value, interval))


def _power_of_ten(match: re.Match[str]) -> str:
    sign = "⁻" if match[1] == "-" else ""
    return f"×10{sign}{match[2].translate(_SUPERSCRIPT)}"


def with_interval(value: float, low: float, high: float) -> str:
    """Write an estimate between two ends; an end that is not finite is open."""
    ends = [float(end) if math.isfinite(end) else None for end in (low, high)]
    return estimate(value, Interval(ends[0], ends[1], math.nan))


def verdict_cell(verdict: object) -> str:
    """Colour a verdict's word."""
    return f"color:{VERDICT_COLOURS.get(str(verdict), style.GREY)};font-weight:600;white-space:nowrap"


def series_table(rows: pd.DataFrame, *, caption: str, x: str) -> Styler:
    """List measured points: who, x, how many queries it learned from, the value and its standard error.

    Parameters
    ----------
    rows : DataFrame
        `method`, `family`, `name`, `x`, `value`, `stderr`; optional `fraction`, `seed`, `rho`, `lr`, `note`.
    caption : str
    x : str
        Symbol of x.
    """
    shown = pd.DataFrame(
        {
            "identifiers": rows["method"].map(style.METHOD_NAMES).fillna(rows["method"]),
            "backbone": rows["name"],
            x: rows["x"],
        }
    )
    small = rows["value"].abs().max() < 0.1
    formats: dict[str, Any] = {
        x: lambda v: f"{v:,.0f}" if v < 1e8 else significant(v),
        "fraction": "{:g}",
        "learning rate": "{:.2g}",
        "value": "{:.5f}" if small else "{:.3f}",
        "± 1 SE": "{:.5f}" if small else "{:.3f}",
        "ρ": "{:.3f}",
    }
    for column, name in (("fraction", "fraction"), ("seed", "seed"), ("lr", "learning rate")):
        if (
            column in rows and len(set(rows[column].dropna())) > 1
        ):  # what is the same in every row is not shown
            shown[name] = rows[column]
    for column, name in (("value", "value"), ("stderr", "± 1 SE"), ("rho", "ρ")):
        if column in rows:
            shown[name] = rows[column]
    if "note" in rows and rows["note"].astype(bool).any():
        shown["note"] = rows["note"]
    return styled(shown, caption=caption, formats=formats)


def provenance_table(study: Study) -> Styler:
    """Say where the cells of a study came from: code, machine, versions, dates.

    Parameters
    ----------
    study : Study
    """
    cells = study.cells
    rows = [("study", f"{study.name}, {len(cells)} trained cells, corpus {study.inputs.corpus}")]
    if "commit" in cells:
        origins = cells[["commit", "dirty"]].drop_duplicates().to_dict("records")
        rows.append(("code", "; ".join(commit({str(k): v for k, v in one.items()}) for one in origins)))
    for column, name in (("cpu", "processor"), ("gpu", "graphics"), ("python", "Python")):
        if column in cells and cells[column].notna().any():
            rows.append((name, ", ".join(str(value) for value in cells[column].dropna().unique())))
    rows += [(name, versions) for name, versions in _versions(cells).items()]
    if "created" in cells and cells["created"].notna().any():
        rows.append(("trained", f"{when(cells['created'].min())} to {when(cells['created'].max())}"))
    frame = pd.DataFrame(rows, columns=["what", "value"])
    return styled(frame, caption="Where the cells came from")


def _versions(cells: pd.DataFrame) -> dict[str, str]:
    """Collect the versions that cells were trained with; several of one package are all named."""
    found: dict[str, set[str]] = {}
    for text in cells.get("versions", pd.Series(dtype=object)).dropna().unique():
        for name, version in json.loads(text).items():
            if name in ("torch", "transformers", "numpy", "faiss-cpu"):
                found.setdefault(name, set()).add(str(version))
    return {name: " and ".join(sorted(versions)) for name, versions in sorted(found.items())}
