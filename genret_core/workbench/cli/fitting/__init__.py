"""The verbs about laws.

- `fit`, `compare`, `predict`, `cross`, `plan`: `genret fit` and so on.
- `table`: a file of points; `where`: which of its rows; `points`: from both to a fit.
- `options`: what the verbs take, each declared once; `command`: several numbers after a flag, errors as JSON.
- `naming`: laws by name; `groups`: what is told, of all points or of each group; `record`: where it is from.
"""

from __future__ import annotations

import typer


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    from genret_core.workbench.cli.fitting.command import LawCommand
    from genret_core.workbench.cli.fitting.compare import compare
    from genret_core.workbench.cli.fitting.cross import cross
    from genret_core.workbench.cli.fitting.fit import fit
    from genret_core.workbench.cli.fitting.plan import plan
    from genret_core.workbench.cli.fitting.predict import predict

    app.command("fit", cls=LawCommand)(fit)
    app.command("compare", cls=LawCommand)(compare)
    app.command("predict", cls=LawCommand)(predict)
    app.command("cross", cls=LawCommand)(cross)
    app.command("plan", cls=LawCommand)(plan)
