"""What a page may do: run the scripts that were put into it, and nothing that came with a text.

A page names its own scripts by their hashes. A `<script>` or an `onerror` that got into it with a document, a
query or a name is then refused by the browser, even where escaping were forgotten.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def policy(scripts: Iterable[str], *, styles: Iterable[str] | None = None, beside: bool = False) -> str:
    """Write a Content-Security-Policy for a page that asks for nothing.

    Parameters
    ----------
    scripts : iterable of str
        The texts of its own `<script>` elements, to the letter.
    styles : iterable of str, optional
        Those of its `<style>` elements; None allows any style (plotly writes its own), which cannot load.
    beside : bool
        Whether it loads a script that lies beside it (`plotly.min.js`), from a disk or its own host.
    """
    allowed = [_hash(text) for text in scripts] + (["'self'", "file:"] if beside else [])
    styled = "style-src 'unsafe-inline'"
    if styles is not None:  # attributes stand in drawings of formulas; they can load nothing
        own = " ".join(_hash(text) for text in styles)
        styled = f"style-src-elem {own}; style-src-attr 'unsafe-inline'"
    return (
        f"default-src 'none'; script-src {' '.join(allowed)}; {styled}; img-src data: blob:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
