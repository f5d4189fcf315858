"""What single rows do: how far each lies from the curve, and where the exponent goes without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.workbench.explorer import residuals_tab_figure, tab_stage

if TYPE_CHECKING:
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

HEIGHT = 560
QUICKLY = 1_000  # points up to which every row is left out at once
SLOW = "The law is refitted without each row; with this law or objective that takes seconds."
HINT = (
    "Click a point, above or below, to leave it out; click a hollow one to take it back. "
    "Shaded: the 95 % interval of the exponent with all rows."
)


class ResidualsTab:
    """Residuals linked to rows, and the influence of each row on the exponent.

    Parameters
    ----------
    desk : Desk
    """

    tab = "residuals"
    title = "Residuals"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._stage = tab_stage.Stage(self._build())
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.sentence = widgets.HTML()
        self.canvas = tab_stage.Canvas(HEIGHT, self._listen)
        self.slow = tab_stage.Gate(self.desk, self.show, "refit without each row (takes seconds)", SLOW)
        self.hint = widgets.HTML(f'<div class="gx-hint">{HINT}</div>')
        return [self.sentence, self.slow.button, self.canvas.widget, self.hint]

    def show(self, shown: Shown) -> None:
        """Draw what follows from the state."""
        f = shown.fit
        quick = f is None or self.slow.open(shown, slow=tab_stage.takes_seconds(f, QUICKLY))
        found, amiss = tab_stage.either(shown.influence if quick else SLOW)
        rows = shown.points()
        traces, layout = residuals_tab_figure.drawing(shown.fit, found, rows)
        self.canvas.draw(traces, layout)
        said = found.sentence() if found is not None else amiss or "There is no fit, so nothing is left over."
        self.sentence.value = tab_stage.told(said, amiss=found is None and quick)

    def _listen(self, figure: Any) -> None:
        for trace in figure.data:
            if "markers" in trace.mode:
                tab_stage.on_click(trace, self._toggled)

    def _toggled(self, trace: Any, points: Any) -> None:
        self.desk.toggle(int(trace.customdata[points.point_inds[0]][0]))
