"""Figures: data frames in, plotly figures out.

- `style`: how all of them look: colours, shapes, dashes, axes.
- `laws`: points, the law through them and its band (Figs 4-6, the panels of Fig. 1); `joint`: size and data.
- `corpus`, `identifiers`, `training`, `search`, `correlation` (Fig. 3), `summary`, `published`: a notebook's
  own.
- `baseline`: BM25's line; `variants`: searches with other switches beside the plain ones.
- `diagram`: Fig. 2 with a real document, in HTML; `cards`: queries looked at closely, in the same manner.
"""
