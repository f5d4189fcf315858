"""Snapshots to come back to, files to keep, and the code that makes the same fit."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

import ipywidgets as widgets

from genret_core.workbench.explorer.controls import Controls, button, row

PICTURE = (  # by the camera of the figure, which the page itself draws with
    "const g=this.closest('.genret-explorer').querySelector('.js-plotly-plot'),"
    "o=g._context.toImageButtonOptions;o.format='{kind}';o.scale={scale};"
    "g.querySelector('.modebar-btn').click();o.format='svg';o.scale=1"
)
COPY = "this.nextElementSibling.select();document.execCommand('copy');this.textContent='copied'"


class SavePane(Controls):
    """Save and load, export, copy as code; written only while it is open.

    Parameters
    ----------
    desk : Desk
    """

    tab = "fit"

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._open = False
        self.name = widgets.Text(
            placeholder="name of this view",
            tooltip="A name to come back to.",
            layout=widgets.Layout(width="100%", margin="0"),
        )
        self.keep = button("Save", "Keep everything that is chosen now under this name.", self._save)
        self.saved = widgets.Dropdown(
            options=[("nothing saved yet", "")],
            tooltip="Snapshots of this session.",
            layout=widgets.Layout(width="100%", margin="0"),
        )
        self.load = button("Load", "Go to this snapshot.", lambda: desk.load(self.saved.value or ""))
        self.state = widgets.FileUpload(
            accept=".yaml,.yml",
            multiple=False,
            description="open a saved view",
            tooltip="A YAML file that was saved with `this view`.",
            layout=widgets.Layout(width="auto", margin="0"),
        )
        self.state.observe(self._restore, "value")
        self.files = widgets.HTML(layout=widgets.Layout(width="100%"))
        self.page = button(
            "Make a page", "One HTML file with the figure and the table, to send around.", self._page
        )
        self.page_link = widgets.HTML()
        self.code = widgets.HTML(layout=widgets.Layout(width="100%"))
        self.widget = widgets.VBox(
            [
                row(self.name, self.keep, gap="6px"),
                row(self.saved, self.load, gap="6px"),
                self.files,
                row(self.page, self.page_link, self.state, gap="6px"),
                self.code,
            ],
            layout=widgets.Layout(width="100%", grid_gap="5px", overflow="hidden"),
        )

    def open(self, there: bool) -> None:
        """Say whether it can be seen: only then is it written."""
        self._open = there
        if there:
            self.show(self.desk.shown)

    def prepare(self, shown: Any) -> None:
        """Write the files and the code of what is shown."""
        if not self._open:
            return
        names = [(name, name) for name in self.desk.names] or [("nothing saved yet", "")]
        if list(self.saved.options) != names:
            self.saved.options = names
        self.load.disabled = not self.desk.names
        self.page_link.value = ""
        links = "".join(link(*one) for one in files(shown))
        links += picture("svg", 1, "For print; drawn by this browser.") + picture("png", 2, "For slides.")
        self.files.value = f'<div class="gx-links"><span class="gx-hint">Download </span>{links}</div>'
        self.code.value = code_html(shown)

    def _save(self) -> None:
        self.desk.save(str(self.name.value))
        self.show(self.desk.shown)
        if self.name.value.strip() in self.desk.names:
            self.saved.value = self.name.value.strip()

    def _restore(self, event: dict[str, Any]) -> None:
        if event["new"]:
            self.desk.restore(bytes(event["new"][0]["content"]).decode("utf-8", "replace"))

    def _page(self) -> None:
        from genret_core.workbench.explorer import export

        shown = self.desk.shown
        self.page_link.value = link("page", "fit.html", "text/html", export.page(shown), "Save the page.")


def files(shown: Any) -> list[tuple[str, str, str, str, str]]:
    """Give what can be downloaded: words, file name, mimetype, text, hover."""
    from genret_core.workbench.explorer import export

    found = [
        (
            "this view",
            "view.yaml",
            "text/yaml",
            shown.state.to_yaml(),
            "Everything that is chosen, to open again.",
        ),
        ("points", "points.csv", "text/csv", export.points_csv(shown), "The points, and which were used."),
    ]
    if shown.fit is None:
        return found
    return [
        (
            "parameters",
            "fit.yaml",
            "text/yaml",
            export.parameters_yaml(shown),
            "All digits, intervals, exclusions with reasons, hash of the points, versions.",
        ),
        (
            "draws",
            "draws.json",
            "application/json",
            export.draws_json(shown),
            "Every refit behind the intervals.",
        ),
        ("curves", "curves.csv", "text/csv", export.curves_csv(shown), "The curves and their bands."),
        ("LaTeX row", "fit.tex", "text/x-tex", export.latex_row(shown), "A row of a table of laws."),
        *found,
    ]


def link(words: str, name: str, mimetype: str, text: str, hover: str) -> str:
    """Write a link that downloads a text without a server."""
    data = base64.b64encode(text.encode()).decode()
    return (
        f'<a download="{escape(name, quote=True)}" href="data:{mimetype};charset=utf-8;base64,{data}" '
        f'title="{escape(hover, quote=True)}">↓ {escape(words)}</a>'
    )


def picture(kind: str, scale: int, hover: str) -> str:
    """Write a button by which the page saves the main figure as a picture."""
    act = PICTURE.format(kind=kind, scale=scale)
    return (
        f'<button class="jupyter-button" type="button" onclick="{escape(act, quote=True)}" '
        f'title="{escape(hover, quote=True)}">↓ figure ({kind.upper()})</button>'
    )


def code_html(shown: Any) -> str:
    """Show the code of the fit, to copy."""
    from genret_core.workbench.explorer.code import code

    text = code(shown)
    return (
        '<div class="gx-code"><span class="gx-hint">The same fit without widgets, digit for digit:</span> '
        f'<button class="jupyter-button" type="button" onclick="{escape(COPY, quote=True)}">copy</button>'
        f'<textarea readonly rows="9" aria-label="code" spellcheck="false">{escape(text)}</textarea></div>'
    )
