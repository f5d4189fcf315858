"""`genret`: one command with a verb for everything the workbench does.

Exit status: 0 done, 1 something failed, 2 the input cannot be used, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from genret_core.errors import BadInput
from genret_core.files import disk_fault
from genret_core.workbench.cli import (
    cgl,
    contrasts,
    corpora,
    explore,
    fitting,
    machine,
    points,
    reports,
    retrieval,
    runs,
    studies,
)
from genret_core.workbench.pool import JobFailed


class Verbs(TyperGroup):
    """The verbs, with what they raise turned into a sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except BadInput as error:
            print(f"genret: {error}", file=sys.stderr)
            raise typer.Exit(1 if disk_fault(error) else 2) from None  # a full disk is no bad input
        except JobFailed as error:
            print(f"genret: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
        except OSError as error:
            fault = disk_fault(error)
            if fault is None:
                raise
            again = "mend that and start the same command again, it goes on where it stopped"
            print(f"genret: {fault}; {again}", file=sys.stderr)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            raise typer.Exit(130) from None


def build() -> typer.Typer:
    """Put the verbs together."""
    app = typer.Typer(
        cls=Verbs,
        help="Scaling laws of generative retrieval: studies, notebooks, laws, reports.",
        no_args_is_help=True,
        rich_markup_mode=None,  # what is printed holds [brackets]
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    studies.mount(app)
    corpora.mount(app)
    cgl.mount(app)
    fitting.mount(app)
    explore.mount(app)
    retrieval.mount(app)
    runs.mount(app)
    reports.mount(app)
    points.mount(app)
    contrasts.mount(app)
    machine.mount(app)
    return app


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's way of saying Ctrl-C
    build()()


if __name__ == "__main__":
    main()
