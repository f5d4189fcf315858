"""Text, identifiers, the index, searching, ranking metrics and the arithmetic of CGL.

This wing knows nothing of training: it imports no other wing, and torch only in the functions that need it.
Import its modules directly, for example ``from genret_core.retrieval.corpus import Corpus``.
"""
