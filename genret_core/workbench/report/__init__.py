"""What people are shown: notebooks as single pages that work offline, and the index of a study.

- `answer`: a notebook's answer in one sentence, kept where the report and the index find it.
- `exporter`: a notebook to a page; `outputs`, `prose` and `maths` do its figures, its text and its formulas.
- `sentences`: single sentences and messages to HTML.
- `facts`: where a page's numbers come from, in words.
- `index`: the page of a study; `cell_rows` is its table, `chart` draws its key figures.
- `policy`: what a page may do: its own scripts, nothing that came with a text.
"""
