"""Figure widgets that a page gets as they are now, and that fill the room they have."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import anywidget
import plotly.graph_objects as go

# plotly looks at the size of a figure's place when the window changes, and not when the place does.
FILL = """
function render({ el }) {
  let root = null, timer = null, left = 0, tries = 0;
  const amiss = plot => plot.offsetParent && plot._fullLayout && plot.parentElement &&
    Math.abs(plot._fullLayout.width - plot.getBoundingClientRect().width) > 1;
  const check = () => {
    const wrong = [...root.querySelectorAll(".js-plotly-plot")].filter(amiss);
    for (const plot of wrong) delete plot.layout.width; // what it was first drawn in
    if (wrong.length) window.dispatchEvent(new Event("resize"));
    if (left-- > 0) timer = setTimeout(check, 300);
  };
  const look = () => {
    clearTimeout(timer);
    left = 20; // a figure takes its time to be drawn, and only then has a width
    timer = setTimeout(check, 60);
  };
  const sizes = new ResizeObserver(look);
  const name = () => { // a slider's handle says what it moves
    for (const slider of root.querySelectorAll(".widget-slider")) {
      const handle = slider.querySelector(".noUi-handle"), label = slider.querySelector(".widget-label");
      if (handle && label && !handle.hasAttribute("aria-label"))
        handle.setAttribute("aria-label", label.textContent);
    }
  };
  const follow = () => {
    name();
    for (const plot of root.querySelectorAll(".js-plotly-plot")) sizes.observe(plot.parentElement);
  };
  const news = new MutationObserver(changes => {
    if (changes.some(c => [...c.addedNodes].some(n => n instanceof HTMLElement))) { follow(); look(); }
  });
  const start = () => {
    root = el.closest(".genret-explorer");
    if (!root) { if (tries++ < 100) setTimeout(start, 50); return; }
    sizes.observe(root);
    news.observe(root, { childList: true, subtree: true });
    follow();
    look();
  };
  start();
  return () => { sizes.disconnect(); news.disconnect(); clearTimeout(timer); };
}
export default { render };
"""


PARTS = ("_widget_layout", "_widget_data")  # what plotly's page is drawn from


class LiveFigure(go.FigureWidget):
    """A plotly figure whose full state is current.

    plotly sends every change as a message and writes the state itself only when the figure is shown alone as
    a cell's result. A page that opens after a change (Voila, a reloaded JupyterLab, a figure within a box)
    would get the figure as it was made.

    The text of plotly's page part is handed on as text: anywidget ties every figure for good to the file that
    it could be read anew from.
    """

    _esm = str(go.FigureWidget._esm)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Give the state that is synchronised; the whole of it with all changes."""
        wanted = set(PARTS) if key is None else {key} if isinstance(key, str) else set(key)
        if wanted & set(PARTS) and hasattr(self, "_layout_obj"):
            self._trait_values["_widget_layout"] = deepcopy(self._layout_obj._props)
            self._trait_values["_widget_data"] = deepcopy(self._data)
        return dict(super().get_state(key, drop_defaults))

    def tell(self) -> None:
        """Send the page the figure as it is: changes before the page could draw it may have been lost."""
        self.send_state(list(PARTS))


class Fill(anywidget.AnyWidget):
    """Nothing to be seen; keeps every figure around it as wide as its place, and gives sliders names."""

    _esm = FILL
