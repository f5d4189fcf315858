"""What is raised when a person's input cannot be used."""

from __future__ import annotations


class BadInput(ValueError):
    """A parameter, file or table that cannot be used, told in one sentence.

    The sentence says what is wrong, where (file, line, row or key) and what to do. The command line prints it
    alone and leaves with status 2; a notebook shows it without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in IPython (its protocol for exceptions that render themselves)."""
        return [f"{type(self).__name__}: {self}"]
