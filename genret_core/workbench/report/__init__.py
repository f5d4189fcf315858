"""What people are shown: notebooks as single pages that work offline, and the index of a study.

- `answer`: a notebook's answer in one sentence, kept where the report and the index find it.
- `exporter`: a notebook to a page; `outputs`, `prose` and `maths` do its figures, its text and its formulas.
- `facts`: where a page's numbers come from, in words.
- `index`: the page of a study.
"""
