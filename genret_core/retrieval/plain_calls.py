"""A decoder is held against plain calls of its model: no cache, no padding, one sequence at a time.

Beams of many queries go through a model in a batch, padded, with a cache that follows them. A model that
takes that otherwise than thought (positions counted with the padding, a window cut wrongly, a state that is
not reordered) would search with wrong probabilities and say nothing. So the shortest prompt of a batch, which
has the most padding, and the longest are followed; after 0, 2, 8 and 32 tokens the logits of one of their
beams are compared with those of a plain call. What was found right for a model is not looked at again, until
prompts are longer or padding is wider.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.own_caches import decoder_start
from genret_core.retrieval.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor

    from genret_core.retrieval.decoders import Decoder

LOOKED_AT = (0, 2, 8, 32)  # tokens written when logits are compared
# Root mean square of the difference, in standard deviations of the logits: what rounding leaves at most.
TOLERANCE = {"float64": 1e-3, "float32": 1e-3, "float16": 2e-2}
COARSE = 1e-1  # of bfloat16 and of quantised weights

_right: WeakKeyDictionary[Any, dict[str, np.ndarray]] = WeakKeyDictionary()


@dataclass
class Compared:
    """A decoder with the comparison; see the module.

    Parameters
    ----------
    inner : Decoder
    kind : {"causal", "seq2seq"}

    Raises
    ------
    BadInput
        When the logits differ by more than rounding explains, or the model cannot be called in this way.
    """

    inner: Decoder
    model: Any
    kind: str
    prompts: Ragged
    pad_id: int
    device: Any
    written: np.ndarray = field(init=False)
    owner: np.ndarray = field(init=False)

    def start(self) -> Tensor:
        """Read the prompts; give the logits of the first token, [Q, V]."""
        n = len(self.prompts)
        self.written, self.owner = np.empty((n, 0), np.int64), np.arange(n)
        with self._told():
            logits = self.inner.start()
        self._compare(logits)
        return logits

    def step(self, tokens: np.ndarray, parents: np.ndarray) -> Tensor:
        """Append a token to every beam; give the logits of the next, [Q * B, V]."""
        with self._told():
            logits = self.inner.step(tokens, parents)
        self.owner = self.owner[parents]
        self.written = np.concatenate([self.written[parents], tokens.reshape(-1, 1)], axis=1)
        if self.written.shape[1] in LOOKED_AT:
            self._compare(logits)
        return logits

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn a model's refusal of what a search hands it into a sentence; full memory is another matter."""
        import torch

        try:
            yield
        except (BadInput, torch.OutOfMemoryError):
            raise
        except (TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
            longest = int(self.prompts.lengths.max()) + self.written.shape[1] + 1
            raise BadInput(
                f"{type(self.model).__name__} fails in a search, on sequences of up to {longest} tokens "
                f"({type(error).__name__}: {error}); shorten the prompts or search with another model."
            ) from error

    def _compare(self, logits: Tensor) -> None:
        lengths, n = self.prompts.lengths, self.written.shape[1]
        circumstances = np.array([lengths.max(), lengths.max() - lengths.min()])
        path = f"{type(self.inner).__name__} {self.model.config._attn_implementation} {logits.dtype} {n}"
        right = _right.setdefault(self.model, {})
        if path in right and (right[path] >= circumstances).all():
            return
        width = len(self.owner) // len(lengths)
        place = np.arange(len(self.owner)) // width
        # Places without a live beam hold padding, or what they were filled up with from another query.
        live = (self.owner == place) & (self.written != self.pad_id).all(axis=1)
        for query in dict.fromkeys((int(lengths.argmin()), int(lengths.argmax()))):
            rows = np.flatnonzero(live & (place == query))
            if len(rows):
                self._compare_row(query, int(rows[-1]), logits)
        right[path] = np.maximum(right.get(path, circumstances), circumstances)

    def _compare_row(self, query: int, row: int, logits: Tensor) -> None:
        import torch

        plain, given = self._plain_call(query, row).double(), logits[row].double()
        known = torch.isfinite(plain)
        if torch.isnan(plain).any():
            return  # the search says so
        same = bool((known == torch.isfinite(given)).all())
        error, tolerance = np.inf, _tolerance(self.model, logits)
        if same:
            apart = (given - plain)[known]
            apart = (apart - apart.mean()).square().mean().sqrt()
            error = float(apart / plain[known].std().clamp(min=1e-30)) if apart else 0.0
        if error > tolerance:
            raise BadInput(
                f"{type(self.model).__name__} gives other probabilities in a search than in a plain call: "
                f"after {self.written.shape[1]} tokens its logits are {error:.1e} of their spread apart, "
                f"where rounding explains {tolerance:.0e}; it cannot be searched with."
            )

    def _plain_call(self, query: int, row: int) -> Tensor:
        """Give the logits after a prompt and what a beam wrote."""
        import torch

        prompt, written = self.prompts[query].astype(np.int64), self.written[row]
        ids, mask = (torch.from_numpy(x[None]).to(self.device) for x in (prompt, np.ones_like(prompt)))
        if self.kind == "causal":
            whole = np.concatenate([prompt, written])[None]
            out = self.model(input_ids=torch.from_numpy(whole).to(self.device), use_cache=False)
        else:
            begun = np.concatenate([[decoder_start(self.model, self.pad_id)], written])[None]
            out = self.model(
                input_ids=ids,
                attention_mask=mask,
                decoder_input_ids=torch.from_numpy(begun).to(self.device),
                use_cache=False,
            )
        logits: Tensor = out.logits[0, -1]
        return logits


def _tolerance(model: Any, logits: Tensor) -> float:
    """Allow for the coarsest numbers that a model reckons with."""
    import torch

    kinds = {logits.dtype, *(weight.dtype for weight in model.parameters())}
    if torch.is_autocast_enabled(logits.device.type):
        kinds.add(torch.get_autocast_dtype(logits.device.type))
    if torch.get_float32_matmul_precision() != "highest":  # products of 32 bits as those of 16
        kinds.add(torch.float16)
    return max(TOLERANCE.get(str(kind).removeprefix("torch."), COARSE) for kind in kinds)
