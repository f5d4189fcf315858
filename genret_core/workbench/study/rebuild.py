"""Tables, reports and the index page of a study, made anew from what lies in its folder."""

from __future__ import annotations

from pathlib import Path

from genret_core.workbench.runs import Study, find_study
from genret_core.workbench.study.collect import collect
from genret_core.workbench.study.notebooks import finished_notebooks
from genret_core.workbench.study.page import write_page
from genret_core.workbench.study.place import Place


def rebuild(study: str) -> tuple[Path, list[str]]:
    """Rebuild what can be rebuilt without computing anything.

    Parameters
    ----------
    study : str
        A study's folder or name.

    Returns
    -------
    Path
        The index page.
    list of str
        A sentence for each report that could not be made.
    """
    from genret_core.workbench.report.exporter import render

    found = find_study(study)
    collect(found.folder, found.spec, found.inputs)
    records = finished_notebooks(Place(found.spec, found.folder))
    failures = []
    for record in records:
        if not record.notebook.is_file():
            continue
        try:
            render(record.notebook, record.report, shared_js=found.folder / "plotly.min.js")
        except Exception as error:
            failures.append(f"{record.name}: its report could not be made: {type(error).__name__}: {error}")
    return write_page(Study(found.folder, found.spec), records), failures
