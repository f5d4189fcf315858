"""The answer of a notebook that shows the explorer: the fit in focus, and what speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genret_core.workbench.explorer.shown import Shown

GRAVEST = (
    "wrong_sign",
    "no_trend",
    "saturated",
    "at_edge",
    "collinear",
    "lack_of_fit",
    "no_interaction_tested",
)


def sentence(shown: Shown) -> str:
    """Answer in one sentence, written from the numbers.

    Parameters
    ----------
    shown : Shown
    """
    label = f"{shown.source.label(shown.state.focus)} ({shown.source.name})"
    if shown.fit is None:
        return f"{label}: {shown.why}"
    told = shown.fit.sentence()
    against = next((v for code in GRAVEST for v in shown.verdicts if v.code == code), None)
    if against is None or against.code in ("wrong_sign", "no_trend") or "cannot test" in told:
        return f"{label}: {told}"  # which says it already
    what = against.message.rstrip(".")
    return f"{label}: {told.rstrip('.')}; but {what[:1].lower() + what[1:]}."
