"""Collections of other systems, brought into BEIR's layout.

`collection` is the import; `planning` decides what is read as what and in which order, `detection` tells
what a file holds; `dpr`, `minder`, `ripor`, `plain`, `squad`, `beir` and `huggingface` read the formats as
`items`; `sources` and `json_stream` open files of any size; `writing` writes and checks, and `seen` knows
the ids.
"""

from __future__ import annotations

from genret_core.retrieval.importing.collection import Choices, Imported, import_corpus
from genret_core.retrieval.importing.detection import FORMATS, KINDS

__all__ = ["FORMATS", "KINDS", "Choices", "Imported", "import_corpus"]
