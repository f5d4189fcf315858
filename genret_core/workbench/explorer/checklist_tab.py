"""What a reader of a scaling law should be told, filled in from the state; gaps are red, with what to do."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets

from genret_core.workbench.explorer import tab_stage, theme
from genret_core.workbench.explorer.checklist_tab_items import Item, checklist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

QUICKLY = 100  # points up to which laws are compared at once
SLOW = "Other objectives, and for some laws each row left out: refits that take seconds."
SOURCE = "after Li, Kudugunta and Zettlemoyer, (Mis)Fitting: A Survey of Scaling Laws (2025)"


class ChecklistTab:
    """The checklist of the fit in focus.

    Parameters
    ----------
    desk : Desk
    """

    tab = "checklist"
    title = "Checklist"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._stage = tab_stage.Stage(self._build())
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.list = widgets.HTML(layout=widgets.Layout(width="100%"))
        self.slow = tab_stage.Gate(self.desk, self.show, "work out the rest (takes seconds)", SLOW)
        return [self.slow.button, self.list]

    def show(self, shown: Shown) -> None:
        """Fill in the list."""
        slow = shown.fit is not None
        whole = self.slow.open(shown, slow=slow)
        quick = shown.fit is None or not tab_stage.takes_seconds(shown.fit, QUICKLY)
        self.list.value = as_html(checklist(shown, refits=whole or quick, objectives=whole))


def as_html(items: Sequence[Item]) -> str:
    """Lay the list out, everything escaped."""
    gaps = sum(item.gap for item in items)
    head = "Nothing is missing." if not gaps else f"{gaps} of {len(items)} items have a gap."
    rows = "".join(_row(item) for item in items)
    return (
        f'<div style="{tab_stage.TOLD}"><b>{escape(head)}</b> '
        f'<span style="color:{theme.SOFT}">What to say with a scaling law, {escape(SOURCE)}.</span></div>'
        f'<table style="border-collapse:collapse;font-size:12px;line-height:1.3;width:100%">{rows}</table>'
    )


def _row(item: Item) -> str:
    sign, ink, ground = theme.TONES["bad" if item.gap else "good"]
    cell = f"padding:2px 6px;border-bottom:1px solid {theme.LINE};vertical-align:top;text-align:left"
    word = "gap" if item.gap else "said"
    pill = f"color:{ink};background:{ground};border-radius:9px;padding:0 6px"
    mark = f'<span title="{word}" style="{pill}">{sign}</span>'
    why = escape(item.why, quote=True)
    do = f'<div style="color:{ink}">{escape(item.do)}</div>' if item.do else ""
    return (
        f'<tr><td style="{cell};width:20px">{mark}</td>'
        f'<td style="{cell};width:92px;font-weight:600" title="{why}">{escape(item.name)}</td>'
        f'<td style="{cell}">{tab_stage.with_indices(item.told)}{do}</td></tr>'
    )
