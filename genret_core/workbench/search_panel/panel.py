"""The controls of the search panel, and what they show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.errors import BadInput
from genret_core.workbench.figures import style
from genret_core.workbench.search_panel import opening
from genret_core.workbench.search_panel.asking import Asking
from genret_core.workbench.search_panel.opening import Asked
from genret_core.workbench.search_panel.options import LABELS, Options
from genret_core.workbench.search_panel.outcome import Outcome
from genret_core.workbench.search_panel.plain import to_text
from genret_core.workbench.search_panel.retrievers import Retrievers
from genret_core.workbench.search_panel.sides import side, wanted
from genret_core.workbench.search_panel.view import to_html
from genret_core.workbench.search_panel.words import Words

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

BEAMS = (1, 5, 10, 20, 50, 100)
ALONE = "–"
MOST_QUERIES = 1000  # that can be picked
NOTHING_YET = "Type a query and press Enter."


class SearchPanel(widgets.VBox):
    """Ask the retrievers of a study what their beams write for a query and where that leads, beside BM25.

    It opens with a query whose finished searches are on disk, so that nothing heavy is loaded; anything
    asked after that is searched anew. In a report a table of the same takes its place.

    Parameters
    ----------
    study : Study
    split : str
        Whose queries can be picked.

    Attributes
    ----------
    outcome : Outcome or None
        What is shown.
    message : str
        What is amiss, in a sentence; empty if nothing is.
    """

    def __init__(self, study: Study, split: str = "seen") -> None:
        self.study = study
        self.retrievers = Retrievers(study, split)
        self.asking = Asking(self.retrievers)
        self.words = Words(study)
        self.outcome: Outcome | None = None
        self.message = ""
        self._held = False
        first = opening.opening(self.retrievers, self.words)
        self._rows = opening.queries(study, split, MOST_QUERIES)
        self._row_of = dict(reversed(self._rows))
        self._make_controls(first.asked)
        self._answered: Asked | None = None
        page = to_html(first.outcome) if first.outcome else f"<p>{NOTHING_YET}</p>"
        self._show(first.asked, first.outcome, page)
        super().__init__(children=self._laid_out())
        self._listen()

    # ---- controls ----

    def _make_controls(self, asked: Asked) -> None:
        look = {"description_width": "104px"}
        wide = widgets.Layout(flex="3 1 340px", min_width="260px")
        narrow = widgets.Layout(flex="2 1 250px", min_width="230px")
        names = [(one.name, one.key) for one in self.retrievers.all]
        self.query = widgets.Text(
            asked.query, description="Query", placeholder="some words, then Enter", continuous_update=False,
            tooltip="What to look for; Enter searches.", style=look, layout=wide,
        )  # fmt: skip
        self.picked = widgets.Dropdown(
            options=[("pick one …", -1), *((_short(text), row) for text, row in self._rows)], value=-1,
            description="or a test query", style=look, layout=wide,
            tooltip="Queries of the evaluation: for these it is known which document they ask for.",
        )  # fmt: skip
        self.first = widgets.Dropdown(
            options=names, value=asked.keys[0], description="Retriever", style=look, layout=narrow,
            tooltip="A trained backbone and its kind of identifier.",
        )  # fmt: skip
        self.second = widgets.Dropdown(
            options=[(ALONE, ""), *names], value=asked.keys[1] if len(asked.keys) > 1 else "",
            description="beside it", style=look, layout=narrow, tooltip="Another one to compare, or none.",
        )  # fmt: skip
        self.beam = widgets.SelectionSlider(
            options=sorted({*BEAMS, asked.beam}), value=asked.beam, description="Beam", style=look,
            continuous_update=False, layout=narrow,
            tooltip="How many identifiers are written at once: more find more, and cost more.",
        )  # fmt: skip
        self.switches = _switches(asked.options)
        self.go = widgets.Button(
            description="Search", tooltip="Search for the query.", layout={"width": "84px"}
        )
        self.status = widgets.HTML()
        self.shown = widgets.HTML(layout=widgets.Layout(width="100%"))

    def _laid_out(self) -> list[widgets.Widget]:
        row = widgets.Layout(flex_flow="row wrap", width="100%")
        asked = widgets.Box([self.query, self.go, self.picked], layout=row)
        whom = widgets.Box([self.first, self.second, self.beam], layout=row)
        switches = widgets.Layout(flex_flow="row wrap", width="100%", align_items="center")
        how = widgets.Box([_named("Switches"), *self.switches.values()], layout=switches)
        return [asked, whom, how, self.status, self.shown]

    def _listen(self) -> None:
        for control in (self.query, self.first, self.second, self.beam, *self.switches.values()):
            control.observe(self._on_change, "value")
        self.picked.observe(self._on_pick, "value")
        self.go.on_click(self._on_change)

    def _on_change(self, _: Any) -> None:
        if not self._held:
            self.search()

    def _on_pick(self, change: Any) -> None:
        if change["new"] >= 0 and not self._held:
            with self._quiet():
                self.query.value = next(text for text, row in self._rows if row == change["new"])
            self.search()

    # ---- searching ----

    @property
    def asked(self) -> Asked:
        """What the controls ask."""
        keys = [key for key in (self.first.value, self.second.value) if key]
        query, options = " ".join(self.query.value.split()), {n: s.value for n, s in self.switches.items()}
        return Asked(query, int(self.beam.value), tuple(dict.fromkeys(keys)), Options(**options))

    def search(self) -> None:
        """Answer what the controls ask; what is amiss is said, and the last good answer stays."""
        asked = self.asked
        if asked == self._answered and not self.message:
            return
        self._say("")
        with self._busy(asked):
            try:
                outcome = self._outcome(asked)
                page = to_html(outcome)
            except Exception as error:  # whatever it is, the person reads a sentence and can go on
                self._say(_sentence(error))
            else:
                self._show(asked, outcome, page)

    def _outcome(self, asked: Asked) -> Outcome:
        if not asked.query:
            raise BadInput("the query is empty; type some words to look for.")
        row = self._row_of.get(asked.query)
        relevant = [] if row is None else self.study.corpus.relevant(row).tolist()
        sides = []
        for key in asked.keys:
            retriever = self.retrievers.of(key)
            trace = self.asking.trace(retriever, asked.query, asked.beam, relevant, asked.options)
            sides.append(side(self.study, retriever, asked.beam, trace, relevant))
        return Outcome(
            query=asked.query,
            wanted=None if row is None else wanted(self.study, relevant),
            sides=tuple(sides),
            words=self.words.side(asked.query, relevant),
            origin="Searched just now.",
        )

    def _show(self, asked: Asked, outcome: Outcome | None, page: str) -> None:
        self.outcome = outcome
        self._answered = asked if outcome else None
        row = self._row_of.get(asked.query, -1)
        with self._quiet():
            self.picked.value = row
        self.shown.value = page

    # ---- saying what goes on ----

    def _say(self, message: str) -> None:
        self.message = message
        kept = f" Below is still the answer to “{self.outcome.query}”." if self.outcome else ""
        look = f"color:{style.VERMILLION}"
        self.status.value = (
            f'<span role="alert" style="{look}">{escape(message + kept)}</span>' if message else ""
        )

    @contextmanager
    def _busy(self, asked: Asked) -> Iterator[None]:
        new = [one.name for one in map(self.retrievers.of, asked.keys) if not self.asking.is_loaded(one)]
        doing = f"Loading {' and '.join(new)}, then searching …" if new else "Searching …"
        self.status.value = f'<span role="status">{escape(doing)}</span>'
        self.go.disabled = True
        try:
            yield
        finally:
            self.go.disabled = False
            if not self.message:
                self.status.value = ""

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        held, self._held = self._held, True
        try:
            yield
        finally:
            self._held = held

    # ---- where no kernel runs ----

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = to_text(self.outcome) if self.outcome else NOTHING_YET
        if self.outcome:
            data["text/html"] = to_html(self.outcome)
        return bundle


def _switches(options: Options) -> dict[str, Any]:
    """Make a control for each switch, as the study's own searches have it."""
    made: dict[str, Any] = {}
    for name, (label, told) in LABELS.items():
        value = getattr(options, name)
        if isinstance(value, bool):
            look = widgets.Layout(width="auto", margin="0 18px 0 0")
            made[name] = widgets.Checkbox(value, description=label, tooltip=told, indent=False, layout=look)
        else:
            made[name] = widgets.BoundedFloatText(
                value, min=0.0, max=1.0, step=0.05, description=label, tooltip=told,
                style={"description_width": "initial"}, layout=widgets.Layout(width="176px", flex="0 0 auto"),
            )  # fmt: skip
    return made


def _named(text: str) -> widgets.HTML:
    """Name a row of controls, set as their descriptions are."""
    inside = f'<span style="display:block;width:104px;text-align:right;line-height:28px">{text}</span>'
    return widgets.HTML(inside, layout=widgets.Layout(margin="2px 10px 2px 2px"))


def _short(text: str) -> str:
    return text if len(text) <= 110 else f"{text[:109]}…"


def _sentence(error: Exception) -> str:
    """Tell an error in one sentence."""
    told = " ".join(str(error).split()) or type(error).__name__
    told = told if isinstance(error, BadInput) else f"The search failed: {told}"
    return told[0].upper() + told[1:] + ("" if told.endswith((".", "!", "?")) else ".")
