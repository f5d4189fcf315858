"""The prompt around a query: one object for training, losses and search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.tokenizer import TextTokenizer

END_OF_PROMPT = {
    "llama": "sep_id",
    "t5": "eos_id",
    "causal": "sep_id",
    "seq2seq": "eos_id",
}  # decoder-only: what follows is generated; encoder: its end


@dataclass(frozen=True)
class Template:
    """Text before and after a query.

    A model reads what its own tokenizer begins every text with, if anything, then ``prefix query suffix``,
    then the separator (decoder-only models, which go on writing the identifier) or the end token (the encoder
    of an encoder-decoder).

    Parameters
    ----------
    prefix, suffix : str
    """

    prefix: str = ""
    suffix: str = ""

    def prompts(self, query_ids: Ragged, tokenizer: TextTokenizer, family: str) -> Ragged:
        """Put the template around tokenised queries.

        Parameters
        ----------
        query_ids : Ragged
            Queries without special tokens (`TextTokenizer.encode`).
        tokenizer : TextTokenizer
        family : {"llama", "t5", "causal", "seq2seq"}

        Returns
        -------
        Ragged of int32, as many sequences as `query_ids`
        """
        if family not in END_OF_PROMPT:
            raise BadInput(f"no family is called {family!r}; choose one of {', '.join(END_OF_PROMPT)}.")
        before, after = (np.asarray(ids, np.int32) for ids in tokenizer.encode([self.prefix, self.suffix]))
        end = np.array([getattr(tokenizer, END_OF_PROMPT[family])], np.int32)
        if tokenizer.begin_id is not None:
            before = np.concatenate([np.array([tokenizer.begin_id], np.int32), before])
        return Ragged.of(np.concatenate([before, ids, after, end]) for ids in query_ids)
