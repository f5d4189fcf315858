"""The rows of the codebook's tokens: drawn, trained apart from the text's rows, and put back among them.

A pretrained model has no rows for the codes. They are added to the input embedding and to the output head
(one matrix or two), and while the model is adapted they are parameters of their own, in 32 bits: the hooks
below put them in place of the matrix' rows, so that no gradient and no optimiser state is kept for the rows
of the text. `fold` writes them back; from then on the model is a plain one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genret_core.errors import BadInput


class CodeRows(nn.Module):
    """Rows of the codes in the input embedding and, where that is another matrix, in the output head.

    Parameters
    ----------
    first, count : int
        The codes' token ids: `first` to `first + count - 1`.
    embedding, head : Tensor [count, d]
        Rows to begin with; `head` is None where both are one matrix.
    trained : bool
        Whether they are trained.
    """

    def __init__(
        self, first: int, count: int, embedding: Tensor, head: Tensor | None, *, trained: bool
    ) -> None:
        super().__init__()
        self.first, self.count = first, count
        self.embedding = nn.Parameter(embedding.detach().float().clone(), requires_grad=trained)
        self.head = (
            None if head is None else nn.Parameter(head.detach().float().clone(), requires_grad=trained)
        )
        self.hooks: list[Any] = []

    @property
    def output(self) -> Tensor:
        """The rows that the output head uses."""
        return self.embedding if self.head is None else self.head

    def read(self, module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Put the rows in place of what the input embedding gave (a forward hook)."""
        ids = given[0]
        codes = (ids >= self.first) & (ids < self.first + self.count)
        own = F.embedding((ids - self.first).clamp(0, self.count - 1), self.embedding)
        own = own * getattr(module, "embed_scale", 1.0)
        return torch.where(codes[..., None], own.to(output.dtype), output)

    def predict(self, module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Put the codes' logits in place of what the output head gave (a forward hook)."""
        own = F.linear(given[0], self.output.to(given[0].dtype))
        if getattr(module, "bias", None) is not None:
            bias: Any = module.bias
            own = own + bias[self.first : self.first + self.count]
        end = self.first + self.count
        return torch.cat([output[..., : self.first], own.to(output.dtype), output[..., end:]], -1)


def extend(model: Any, first: int, count: int, seed: int) -> None:
    """Give a model rows for `count` codes from token id `first` on, drawn like the rows of the text.

    Every dimension is drawn from the normal distribution with the mean and standard deviation that it has
    over the rows below `first`. Rows that the model holds beyond its tokenizer's ids are used up first.

    Parameters
    ----------
    model : PreTrainedModel
    first, count : int
    seed : int
        Of the draw; the caller's random state is left as it was.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if first > rows:
        raise BadInput(
            f"the tokenizer has {first} ids, but the model has rows for {rows} only: take the tokenizer that "
            "belongs to the model (tokenizer.hub)."
        )
    if first + count > rows:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.resize_token_embeddings(first + count, mean_resizing=False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in _matrices(model):
            text = weight[:first].float()
            drawn = torch.randn(count, weight.shape[1], generator=generator).to(weight.device)
            weight[first : first + count] = (text.mean(0) + text.std(0) * drawn).to(weight.dtype)


def attach(model: Any, first: int, count: int, *, trained: bool) -> CodeRows:
    """Make the codes' rows parameters of their own, as `model.code_rows`."""
    matrices = _matrices(model)
    parts = [weight.detach()[first : first + count] for weight in matrices]
    rows = CodeRows(first, count, parts[0], parts[1] if len(parts) > 1 else None, trained=trained)
    model.code_rows = rows
    for module in model.modules():  # an encoder-decoder reads through two modules that share the matrix
        if isinstance(module, nn.Embedding) and module.weight is matrices[0]:
            rows.hooks.append(module.register_forward_hook(rows.read))
    rows.hooks.append(model.get_output_embeddings().register_forward_hook(rows.predict))
    return rows


def fold(model: Any) -> None:
    """Write the codes' rows into the matrices and leave a plain model."""
    rows: CodeRows = model.code_rows
    with torch.no_grad():
        for weight, own in zip(_matrices(model), rows.parameters(), strict=True):
            weight[rows.first : rows.first + rows.count] = own.to(weight.dtype)
    for hook in rows.hooks:
        hook.remove()
    del model.code_rows


def _matrices(model: Any) -> list[Tensor]:
    """Give the input embedding's matrix and, if it is another one, the output head's."""
    return list(_different(model.get_input_embeddings().weight, model.get_output_embeddings().weight))


def _different(embedding: Tensor, head: Tensor) -> Iterator[Tensor]:
    yield embedding
    if head is not embedding:
        yield head
