"""One query looked at closely: what beams write for it, where that leads, and what BM25 finds.

- `panel`: the controls and what they show; in a report, a table in their place.
- `outcome`: what one query leads to, as plain values.
- `retrievers`: the trained cells that can be asked, and what they are called.
- `options`: the switches of a search, and what they are called.
- `opening`: what it opens with.
- `finished`: what a finished search kept of a query; needs no model.
- `asking`: a trained model asked now; the only module that needs torch.
- `sides`: from n-grams and ranks to documents with the places that were matched.
- `spans`: where n-grams stand in a document's text, in characters.
- `words`: BM25 beside it.
- `pieces`: which of many n-grams are worth showing.
- `view`, `marked`, `plain`: the outcome as HTML, its marked texts, and the same in plain text.
"""
