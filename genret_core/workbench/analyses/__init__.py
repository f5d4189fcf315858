"""What each notebook asks of a study: a module per question, so that notebooks hold no logic.

A module per notebook:

- `corpus` (00), `identifiers` and `codebook` (01), `training` and `rates` (02), `search` (03), `correlation`
  (04, Fig. 3).
- `sizes` (05, Eq. 6), `data` (06, Eq. 7), `joint` (07, Eq. 8), `inference` (08, Eqs 11-12).
- `summary` (10): ours beside the published numbers.
- `published_story` (11): the paper's own points, refitted.

What several of them ask:

- `fitted`: one law through one series of cells: points, curve, table, sentences.
- `law_question`: what the questions about a law share: a figure, tables, verdicts, the words for a trend.
- `counting`: CGL counted otherwise from the same losses, and on other queries.
- `rivals`: would another law do as well?
- `baseline`: what BM25 reaches on the same queries; `variants`: what the switches of a search change.
- `costs`: FLOPs of a search item by item, and where its seconds went.
- `evidence`: the paper's claims, each asked of a study.
"""
