"""How results are laid out: as a table in plain text, and in HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Row = Sequence[str]


def text_table(title: str, head: Row, rows: Sequence[Row], told: Iterable[str] = ()) -> str:
    """Lay out a table in aligned columns.

    Parameters
    ----------
    title : str
        First line.
    head, rows
        Cells, already written; every row as long as `head`.
    told : iterable of str
        Lines below the table; empty ones are left out.
    """
    widths = [max(len(row[j]) for row in (head, *rows)) for j in range(len(head))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join([title, *(lines if rows else []), *(line for line in told if line)])


def html_table(title: str, head: Row, rows: Sequence[Row], told: Iterable[str] = ()) -> str:
    """Lay out the same table in HTML; everything is escaped."""
    table = ""
    if rows:
        cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        table = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
    below = "".join(f"<p>{escape(line)}</p>" for line in told if line)
    return f'<div class="genret-table"><p><strong>{escape(title)}</strong></p>{table}{below}</div>'


def times(factor: float) -> str:
    """Write how far something lies beyond the data: "12 times", "1,300 times"."""
    return f"{factor:,.0f} times" if 100 <= factor < 1e6 else f"{factor:.3g} times"
