"""The shown fit as one HTML file: figure, table, verdicts, points and code; it opens without a network."""

from __future__ import annotations

from html import escape
from typing import Any

from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.figures import style

HEIGHT = 520
CSS = f"""
body {{ font: 15px/1.5 {style.FONT}; color: #1f2429; background: #fff; max-width: 1040px;
  margin: 0 auto; padding: 24px; }}
h1 {{ font-size: 22px; margin: 0 0 4px; }} h2 {{ font-size: 17px; margin: 28px 0 8px; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }}
th, td {{ text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid #dfe3e8; }}
th {{ font-weight: 600; color: #5c6670; }} tr.out td {{ color: #5c6670; }}
.wide {{ overflow-x: auto; }} .soft {{ color: #5c6670; }}
pre {{ background: #f6f7f9; border: 1px solid #dfe3e8; border-radius: 6px; padding: 10px; overflow-x: auto;
  font-size: 13px; }}
@media print {{ details > * {{ display: block; }} }}
"""
MOST = 200  # points that are listed


def page(shown: Shown) -> str:
    """Give the whole page; plotly.js is within it, once."""
    from plotly.io import to_html

    from genret_core.workbench.explorer import static
    from genret_core.workbench.explorer.code import code
    from genret_core.workbench.explorer.record import parameters_yaml

    figure = to_html(
        _figure(shown), full_html=False, include_plotlyjs=True, config=style.CONFIG, default_width="100%"
    )
    title = escape(static.title(shown))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{CSS}</style></head><body><main>",
        f"<h1>{title}</h1><p>{escape(static.sentence(shown))}</p>",
        f"<p class='soft'>{escape(shown.source.note)}</p>",
        f"<figure style='margin:0' role='group' aria-label='{title}'>{figure}</figure>",
        f"<h2>Parameters and verdicts</h2><div class='wide'>{static.html(shown)}</div>",
        f"<h2>Points</h2><div class='wide'>{_points(shown)}</div>",
        f"<h2>Code</h2><pre>{escape(code(shown))}</pre>",
        "<details><summary>All digits, as YAML</summary>",
        f"<pre>{escape(parameters_yaml(shown))}</pre></details>",
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _figure(shown: Shown) -> Any:
    """Give the figure that a report shows, without the table below it: the page has one of text."""
    from genret_core.workbench.explorer import static

    figure = static.figure(shown)
    figure.data = [trace for trace in figure.data if trace.type != "table"]
    figure.update_layout(height=HEIGHT, title=None, margin={"t": 60, "b": 60}, yaxis={"domain": [0, 1]})
    return figure


def _points(shown: Shown) -> str:
    table, names = shown.points(), shown.source.called(shown.state.focus)
    columns = [part for part in ("x", "x2", "y") if part in names]
    head = ["row", "name", *(names[part] for part in columns), "fitted", "residual", "used"]
    rows = []
    for point in table.head(MOST).to_dict("records"):
        cells = [str(point["row"]), str(point["name"]), *(f"{point[part]:.8g}" for part in columns)]
        cells += [f"{point['fitted']:.8g}", f"{point['residual']:.3g}"]
        cells.append("yes" if point["used"] else f"no: {point['reason']}")
        kind = "" if point["used"] else ' class="out"'
        rows.append(f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    more = f"<p>{len(table) - MOST} more points are not listed.</p>" if len(table) > MOST else ""
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"
