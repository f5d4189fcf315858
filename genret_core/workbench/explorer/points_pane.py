"""Where the points come from, and which of them are left out, with the reasons."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.errors import BadInput
from genret_core.workbench.explorer.controls import Controls, button, dropdown, row, set_options
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.workbench.explorer.source import Source

KINDS = [
    ("the published study", "published"),
    ("a file: CSV, parquet, JSON lines", "file"),
    ("an upload (CSV)", "upload"),
    ("a study of your own", "study"),
]
COLUMNS = {
    "x": "Column of the first argument, e.g. the number of parameters.",
    "y": "Column of the value, e.g. the loss.",
    "x2": "Column of a second argument, e.g. the number of training pairs.",
    "by": "Column that splits the points into series.",
    "sd": "Column of known standard deviations of the value.",
}
WORDS = {"by": "series"}
LISTED = 6  # rows that are left out, in the list; more are counted


class PointsPane(Controls):
    """Choose a source; see and undo what is left out.

    Parameters
    ----------
    desk : Desk
    """

    tab = "fit"

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._told_of: Any = desk.source
        self.kind = dropdown(
            "Points from", "Where points are read; opening others starts anew.", KINDS,
            style={"description_width": "76px"},
        )  # fmt: skip
        self.kind.observe(lambda _: self._arrange(), "value")
        self.path = widgets.Text(
            placeholder="path, e.g. runs/points.csv",
            tooltip="Path of the file or folder, on the machine that this notebook runs on.",
            layout=widgets.Layout(width="100%", margin="0"),
        )
        self.upload = widgets.FileUpload(
            accept=".csv,.tsv,.txt",
            multiple=False,
            description="choose a file",
            tooltip="A table with a header.",
            layout=widgets.Layout(width="auto", margin="0"),
        )
        self.upload.observe(self._uploaded_now, "value")
        self.go = button("Open", "Read the points and show them.", self.open)
        self.columns = {
            part: widgets.Text(
                placeholder=WORDS.get(part, part), tooltip=f"{hover} Empty: guessed by name.",
                layout=widgets.Layout(width="19%", margin="0"),
            )
            for part, hover in COLUMNS.items()
        }  # fmt: skip
        self._columns = row(*self.columns.values(), gap="4px")
        self._place = row(self.path, self.upload, self.go, gap="6px")
        self.amiss = widgets.HTML()
        self.note = widgets.HTML()
        self.why = widgets.Text(
            description="Reason",
            placeholder="why points are left out",
            tooltip="Recorded with what you leave out next, and with what is left out without a reason.",
            style={"description_width": "76px"},
            layout=widgets.Layout(width="100%", margin="0"),
            continuous_update=False,
        )
        self.why.observe(self._give_reason, "value")
        self.every = widgets.Select(
            description="Points",
            rows=4,
            tooltip="The points in focus; arrow keys go through them.",
            style={"description_width": "76px"},
            layout=widgets.Layout(width="100%", margin="0"),
        )
        self.turn = button("Leave out", "Leave this point out, or take it back.", self._turn)
        self.every.observe(lambda _: self._name_turn(), "value")
        self._seen = False
        self.out = widgets.HTML(layout=widgets.Layout(width="100%"))
        self.back = button("Take all back", "Fit all points again.", lambda: desk.dispatch(excluded=()))
        self.widget = widgets.VBox(
            [
                self.kind,
                self._place,
                self._columns,
                self.amiss,
                self.note,
                row(self.every, self.turn, gap="6px"),
                self.why,
                row(self.out, self.back),
            ],
            layout=widgets.Layout(width="100%", grid_gap="4px", overflow="hidden"),
        )
        self._arrange()

    @property
    def reason(self) -> str:
        """What an exclusion is recorded with."""
        return str(self.why.value).strip()

    def prepare(self, shown: Any) -> None:
        """Tell what the source is and what is left out."""
        source = shown.source
        if source is not self._told_of:  # others were opened meanwhile: what was amiss is of the past
            self._told_of, self.amiss.value = source, ""
        self.note.value = f'<div class="gx-hint"><b>{escape(source.name)}</b>. {escape(source.note)}</div>'
        self.out.value = _list(shown)
        self.back.disabled = not shown.state.excluded
        if self._seen:
            set_options(self.every, _listed(shown))
            self._name_turn()

    def look(self, there: bool) -> None:
        """Say whether it can be seen: only then are all points listed."""
        self._seen = there
        if there:
            self.show(self.desk.shown)

    def _turn(self) -> None:
        if self.every.value is not None:
            self.desk.toggle(self.every.value, self.reason)

    def _name_turn(self) -> None:
        out = self.every.value in self.desk.state.reasons
        self.turn.description = "Take back" if out else "Leave out"
        self.turn.disabled = self.every.value is None

    def open(self) -> None:
        """Read what was chosen; what is wrong with it is told here, and the old points stay."""
        try:
            source = self._source()
        except (BadInput, OSError) as error:
            self.amiss.value = f'<div class="gx-error" role="alert">{escape(str(error))}</div>'
            return
        self.amiss.value = ""
        if source is not None:
            self.desk.open(source)

    def _uploaded_now(self, event: dict[str, Any]) -> None:
        if event["new"]:
            self.open()

    def _source(self) -> Source | None:
        from genret_core.workbench.explorer import sources

        kind, path = self.kind.value, str(self.path.value).strip()
        columns = {part: named for part, box in self.columns.items() if (named := str(box.value).strip())}
        if kind == "published":
            return sources.published_source()
        if kind == "upload":
            return self._uploaded(lambda text, name: sources.csv_source(text, name=name, **columns))
        if not path:
            raise BadInput("Give a path to read points from.")
        return sources.study_source(path) if kind == "study" else sources.csv_source(path, **columns)

    def _uploaded(self, read: Callable[[str, str], Source]) -> Source | None:
        if not self.upload.value:
            raise BadInput("Choose a file first.")
        one = self.upload.value[0]
        try:
            text = bytes(one["content"]).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadInput(f"{one['name']} is not text in UTF-8; save it as CSV.") from None
        return read(text.rstrip() + "\n", str(one["name"]))

    def _arrange(self) -> None:
        kind = self.kind.value
        self.path.layout.display = None if kind in ("file", "study") else "none"
        self.upload.layout.display = None if kind == "upload" else "none"
        self._columns.layout.display = None if kind in ("file", "upload") else "none"
        self.path.placeholder = "path, e.g. runs/demo" if kind == "study" else "path, e.g. points.csv"

    def _give_reason(self, _: Any) -> None:
        bare = [row for row, why in self.desk.state.excluded if not why]
        if bare and self.reason:
            self.desk.exclude(bare, self.reason)


def _listed(shown: Any) -> list[tuple[str, int]]:
    """Give every point in focus as words and row; what is left out says so."""
    table, called = shown.points(), shown.source.called(shown.state.focus)
    columns = (table[name].tolist() for name in ("row", "name", "x", "y", "left_out"))
    return [
        (
            readable(
                f"{'○' if out else '●'} {name or f'row {row}'}: {called['x']} = {style.short(x)}, "
                f"{called['y']} = {y:.5g}{', left out' if out else ''}"
            ),
            int(row),
        )
        for row, name, x, y, out in zip(*columns, strict=True)
    ]


def _list(shown: Any) -> str:
    out = shown.state.excluded
    if not out:
        return (
            '<span class="gx-hint">Nothing is left out. Click a point in the figure to leave it out.</span>'
        )
    names = dict(zip(shown.source.table["row"], shown.source.table["name"], strict=True))
    rows = "".join(
        f"<tr><td>row {number}</td><td>{escape(str(names.get(number, '')))}</td>"
        f"<td>{escape(why) or '<i>no reason given</i>'}</td></tr>"
        for number, why in out[:LISTED]
    )
    more = f"<tr><td colspan=3>and {len(out) - LISTED} more</td></tr>" if len(out) > LISTED else ""
    return f'<table class="gx-out">{rows}{more}</table>'
