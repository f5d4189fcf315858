"""The misfit along the floor as a small strip under the floor's slider, with what the slider says on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genret_core.workbench.explorer import theme
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling.intervals.maps import ProfileCurve

WIDTH, HEIGHT = 266, 24  # the slider's track is as wide
RIGHT = 147  # so much stands right of the track: its value, and a button
TALL = 2.0  # times the 95 % line that the strip is high
POINTS = 81
ALLOWED, REFUSED = "The points allow this floor (95 %).", "The points speak against this floor (95 %)."
HOVER = "The misfit along the floor, everything else refitted; shaded: inside of the 95 % line."


def strip(curve: ProfileCurve, low: float, high: float, now: float) -> str:
    """Draw the profile of the floor over what the slider spans.

    Parameters
    ----------
    curve : ProfileCurve
        Of the floor: by how much the best fit with each floor is worse than the best of all.
    low, high : float
        What the slider spans.
    now : float
        Where it stands.

    Returns
    -------
    str
        SVG: the curve, the floors inside of the 95 % line shaded, and a line where the slider stands.
    """
    span = (high - low) or 1.0
    top = TALL * curve.threshold95

    def across(value: float) -> float:
        return WIDTH * (value - low) / span

    def up(excess: float) -> float:
        return HEIGHT - 1 - (HEIGHT - 2) * min(excess / top, 1.0)

    inside = (curve.values >= low) & (curve.values <= high) & np.isfinite(curve.excess)
    drawn = zip(curve.values[inside], curve.excess[inside], strict=True)
    path = " ".join(f"{across(float(v)):.1f},{up(float(e)):.1f}" for v, e in drawn)
    fits = curve.values[inside & (curve.excess <= curve.threshold95)]
    shade = ""
    if len(fits):
        begin, end = across(float(fits.min())), across(float(fits.max()))
        shade = (
            f'<rect x="{begin:.1f}" y="0" width="{max(end - begin, 1.5):.1f}" height="{HEIGHT}" '
            f'fill="{style.BLUE}" fill-opacity="0.14"/>'
        )
    at = across(min(max(now, low), high))
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" style="display:block;margin-right:{RIGHT}px" role="img" '
        f'aria-label="Misfit along the floor"><title>{HOVER}</title>'
        f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT - 0.5}" y2="{HEIGHT - 0.5}" stroke="{theme.LINE}"/>{shade}'
        f'<polyline points="{path}" fill="none" stroke="{style.BLUE}" stroke-width="1.8"/>'
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{HEIGHT}" stroke="{style.VERMILLION}" '
        'stroke-width="1.8"/></svg>'
    )


def told(curve: ProfileCurve, now: float) -> str:
    """Say whether the points allow a floor."""
    return ALLOWED if _excess(curve, now) <= curve.threshold95 else REFUSED


def _excess(curve: ProfileCurve, floor: float) -> float:
    """By how much a floor is worse; beyond the profile's ends as bad as there."""
    known = np.isfinite(curve.excess)
    return float(np.interp(floor, curve.values[known], curve.excess[known]))
