"""`genret doctor` tells whether this machine is ready."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor")(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Tell whether this machine is ready, and if not, what is missing."""
    from genret_core.workbench.doctor import examine

    findings = examine()
    ready = all(finding.ok for finding in findings if finding.needed)
    if as_json:
        print(json.dumps({"ready": ready, "findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        for finding in findings:
            mark = "ok" if finding.ok else "MISSING" if finding.needed else "-"
            print(f"{mark:8s}{finding.what:12s}{finding.told}")
        print("ready" if ready else "not ready: see what is MISSING above")
    raise typer.Exit(0 if ready else 1)
