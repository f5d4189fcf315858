"""Families beside each other under one law: what they share, and where they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.scaling import Fit
from genret_core.scaling.wording import value_text
from genret_core.workbench.explorer import families_tab_figure, tab_stage

if TYPE_CHECKING:
    from genret_core.scaling.comparison.families import SharedTest
    from genret_core.workbench.explorer.desk import Desk
    from genret_core.workbench.explorer.shown import Shown

HEIGHT = 390
WHATS = {"exponent": "one exponent", "floor": "one floor"}
CHOICE = (
    "What the dashed curves share: the best fit of all families together when their exponent, or their "
    "floor, has to be the same."
)


class FamiliesTab:
    """Exponents and floors of all series that are drawn, an F test for sharing one, and crossings.

    Parameters
    ----------
    desk : Desk
    """

    tab = "families"
    title = "Families"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._tested: tuple[Any, dict[str, SharedTest | str]] | None = None
        self._stage = tab_stage.Stage(self._build())
        self.widget = self._stage.widget

    def _build(self) -> list[widgets.Widget]:
        self.sentences = widgets.HTML()
        self.choice = widgets.ToggleButtons(
            options=[("own curves", ""), *((label, what) for what, label in WHATS.items())],
            tooltips=["Each family its own fit.", CHOICE, CHOICE],
            style={"button_width": "auto"},
        )
        self.choice.observe(self._chosen, "value")
        self.canvas = tab_stage.Canvas(HEIGHT)
        self.table = widgets.HTML()
        return [self.choice, self.canvas.widget, self.sentences, self.table]

    def show(self, shown: Shown) -> None:
        """Draw what follows from the state."""
        fits = {series: f for series, f in shown.fits.items() if isinstance(f, Fit)}
        labels = {series: shown.source.label(series) for series in shown.fits}
        families = {series: shown.source.kin.get(series, ("", series))[1] for series in shown.fits}
        tests = self._tests(fits, labels, shown.state.level)
        crossings = [one for one in shown.crossings.values() if not isinstance(one, str)]
        drawn = tests.get(self.choice.value)
        traces, layout = families_tab_figure.drawing(
            fits, labels, families, tests, drawn if not isinstance(drawn, str) else None, crossings
        )
        self.canvas.draw(traces, layout)
        said = [one if isinstance(one, str) else one.sentence() for one in tests.values()]
        said += [one.sentence() for one in crossings]
        said += [f"{labels[s]}: {why}" for s, why in shown.fits.items() if isinstance(why, str)]
        self.sentences.value = "".join(tab_stage.told(one) for one in dict.fromkeys(said))
        self.table.value = families_table(fits, labels, tests, shown.state.level)

    def _tests(
        self, fits: dict[str, Fit], labels: dict[str, str], level: float
    ) -> dict[str, SharedTest | str]:
        """Test both, or say why not; kept while the fits are the same objects."""
        from genret_core.scaling.comparison.families import shared

        key = (tuple(fits.items()), level)
        if self._tested is None or self._tested[0] != key:
            named = {labels[series]: f for series, f in fits.items()}
            found: dict[str, SharedTest | str] = {}
            for what in WHATS:
                test, amiss = tab_stage.attempt(lambda what=what: shared(named, what, level=level))  # type: ignore[misc]
                found[what] = amiss if test is None else test
            self._tested = (key, found)
        return self._tested[1]

    def _chosen(self, _: dict[str, Any]) -> None:
        self.show(self.desk.shown)


def families_table(
    fits: dict[str, Fit], labels: dict[str, str], tests: dict[str, SharedTest | str], level: float
) -> str:
    """Lay out exponent and floor of each family with intervals, and those that do best for all."""
    if not fits:
        return ""
    law = next(iter(fits.values())).law
    watched = [*law.with_role("exponent"), *law.with_role("floor")]
    head = ["family", "n (free)", *(p.symbol for p in watched)]
    hover = [
        "Every series that is drawn.",
        "Points that are fitted, and degrees of freedom: distinct points minus parameters.",
        *(f"{p.meaning}, with its {level:.0%} interval" for p in watched),
    ]
    rows = [
        [
            labels[s],
            f"{f.n} ({f.dof})",
            *(value_text(f.params[p.name], f.interval(p.name, level)) for p in watched),
        ]
        for s, f in fits.items()
    ]
    for what, label in WHATS.items():
        test = tests.get(what)
        if test is None or isinstance(test, str):
            continue
        cells = [value_text(test.value, test.interval) if p.role == what else "own" for p in watched]
        rows.append([f"{label} for all", "", *cells])
    return tab_stage.table(head, rows, hover=hover)
