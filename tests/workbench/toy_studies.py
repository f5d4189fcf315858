"""Studies that take seconds."""

TINY = """
name: tiny
corpus: {reader: synthetic, n_documents: 40, queries_per_document: 6, test_queries: 12, validation_queries: 4}
tokenizer: {vocab_size: 300}
identifiers: {ngram: {length: 5, n_samples: 2}}
evaluation: {n_queries: 12, n_negatives: 4, ngrams_per_positive: 2}
recipe: {batch_queries: 8}
ladders:
  - family: llama
    lr: {ngram: 0.1/d}
    backbones:
      - {name: a, d_model: 8, n_layers: 1, n_heads: 1, d_ff: 16}
      - {name: b, d_model: 16, n_layers: 1, n_heads: 1, d_ff: 16}
grid:
  - {methods: [ngram], backbones: [a, b]}
search:
  - {methods: [ngram], backbones: [a], beams: [2]}
"""
