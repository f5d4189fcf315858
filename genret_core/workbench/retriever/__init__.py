"""What a corpus and a trained retriever can be asked from the shell.

- `index_folder`: an index with the tokenizer that made it: where words stand, and how often.
- `ask`: a query to a trained cell of a study, and the documents that its beams find.
- `led`: the keys that led to a document, in words, and where they stand in its text.
"""
