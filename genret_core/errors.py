"""What is raised when a person's input cannot be used."""

from __future__ import annotations


class BadInput(ValueError):
    """A parameter, file or table that cannot be used, told in one sentence.

    The sentence says what is wrong, where (file, line, row or key) and what to do. The command line prints it
    alone and leaves with status 2; a notebook shows it without a traceback.

    Parameters
    ----------
    *told : object
        The sentence.
    code : str
        What is wrong, for programs: stable, one word, such as `too_few_points`.
    """

    def __init__(self, *told: object, code: str = "bad_input") -> None:
        super().__init__(*told)
        self.code = code

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in IPython (its protocol for exceptions that render themselves)."""
        return [f"{type(self).__name__}: {self}"]
