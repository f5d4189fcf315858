"""A notebook's answer: one sentence, shown as text and kept where the report and the index find it."""

from __future__ import annotations

from genret_core.workbench.notebook.record import ANSWER_MIME
from genret_core.workbench.report.sentences import indices_low


def answer(text: str) -> None:
    """Show a notebook's answer; its report carries it under the title, the study's index beside the link.

    Parameters
    ----------
    text : str
        One sentence, written from the numbers. Markdown is understood; maths better be Unicode (ρ, λ, 10⁻³).
    """
    from IPython.display import display

    sentence = " ".join(text.split())
    bundle = {
        "text/markdown": f"**Answer.** {indices_low(sentence)}",
        "text/plain": f"Answer. {sentence}",
        ANSWER_MIME: {"answer": sentence},
    }
    display(bundle, raw=True)
