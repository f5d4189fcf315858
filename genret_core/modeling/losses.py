"""Generation losses of identifiers (Eqs 3-4): with the query shared, and the plain way as a reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from genret_core.modeling.bodies import bind
from genret_core.modeling.body import Body
from genret_core.modeling.packing import Packer, Rows, group_rows
from genret_core.modeling.pretrained.scoring import is_packable, score_shared
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CPU_POSITIONS = 1024
GPU_LOGITS = 1 << 28


def score_identifiers(
    model: Any, prompts: Ragged, pairs: Pairs, owner: npt.NDArray[np.integer], *, positions: int | None = None
) -> tuple[Floats, Ints]:
    """Score identifiers given their queries; identifiers of a query share the reading of it.

    Parameters
    ----------
    model : PreTrainedModel or Body
        The backbone, on its device. Weights of plain LLaMA and T5 are bound to one tensor (`bodies.bind`) and
        stay usable; other models, and adapters that are not merged, compute for themselves
        (`pretrained.scoring`).
    prompts : Ragged
        A prompt per query.
    pairs : Pairs
        Identifiers to score; the end token is not scored.
    owner : int[n]
        The query of each identifier, as a row of `prompts`.
    positions : int, optional
        Tokens in a batch, padding included. By default what a processor's cache likes, or what fits on a GPU.
        Where a GPU's memory is full, half as many, and again; the losses then differ by rounding only.

    Returns
    -------
    nll : float64[n]
        Negative log-likelihood, summed over the identifier's tokens (nats). Logits and log-softmax are taken
        in float32, also where the weights have half that precision, and only where a target is predicted;
        the sum in float64.
    tokens : int64[n]
        Tokens summed.

    Raises
    ------
    MemoryError
        The device cannot hold one identifier.
    """
    if not isinstance(model, Body) and not is_packable(model):
        return score_shared(model, prompts, pairs, owner, positions=positions)
    body = model if isinstance(model, Body) else bind(model)
    device = body.weights.flat.device
    packer = Packer.of(prompts, pairs, device=device)
    if positions is None:
        positions = CPU_POSITIONS if device.type == "cpu" else GPU_LOGITS // body.head.shape[0]
    exact = None if body.head.dtype == torch.float32 else body.head.detach().float()
    nll = np.zeros(len(pairs), np.float64)
    left = np.arange(len(pairs))
    while len(left):
        batches = _cut(body, packer, np.asarray(owner)[left], left, positions)
        done = _score(body, packer, batches, exact, nll)
        if done == len(batches):
            break
        if batches[done].identifiers.size == 1:
            raise MemoryError(
                "The device cannot hold the scoring of one identifier; take a smaller model or more memory."
            )
        left = np.concatenate([batch.identifiers[batch.identifiers >= 0] for batch in batches[done:]])
        positions = max(min(positions, _size(packer, batches[done])) // 2, 1)
        torch.cuda.empty_cache()
    return nll, packer.lengths[:-1].copy()


def _cut(body: Body, packer: Packer, owner: Ints, chosen: Ints, positions: int) -> list[Rows]:
    """Group the chosen identifiers (`owner`: their queries) in rows, and the rows in batches."""
    rows = group_rows(owner, _per_row(body, packer, positions))
    found = np.where(rows.identifiers >= 0, chosen[rows.identifiers], -1)
    return _scoring_batches(Rows(rows.query, found), packer, positions)


def _score(body: Body, packer: Packer, batches: list[Rows], exact: torch.Tensor | None, nll: Floats) -> int:
    """Write the losses of batches into `nll`; say how many were done before the device's memory was full."""
    with torch.no_grad():
        for done, batch in enumerate(batches):
            try:
                losses = body.losses(packer.batch(batch.query, batch.identifiers), exact)
                found = batch.identifiers >= 0
                nll[batch.identifiers[found]] = losses.double().sum(-1).cpu().numpy()[found]
            except torch.OutOfMemoryError:
                return done
    return len(batches)


def _size(packer: Packer, batch: Rows) -> int:
    """Count the positions of a batch, padding included."""
    width = packer.prompt_lengths[batch.query].max()
    longest = packer.lengths[batch.identifiers].max()
    return int(len(batch) * (width + batch.identifiers.shape[1] * longest))


def naive_scores(
    model: Any, prompts: Ragged, pairs: Pairs, owner: npt.NDArray[np.integer]
) -> tuple[Floats, Ints]:
    """Score with one plain transformers call per query and document, the way it was published.

    Every row of a call is the whole query with one identifier, and the head runs on every position. The
    reference that `score_identifiers` is tested and timed against.
    """
    owner = np.asarray(owner, np.int64)
    nll = np.zeros(len(pairs), np.float64)
    groups: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(zip(owner.tolist(), np.asarray(pairs.document).tolist(), strict=True)):
        groups.setdefault(key, []).append(row)
    with torch.no_grad():
        for (query, _), members in groups.items():
            identifiers = [pairs.identifier(row) for row in members]
            nll[members] = _plain_call(model, prompts[query], identifiers)
    return nll, np.asarray(pairs.length, np.int64)


def _plain_call(model: Any, prompt: npt.NDArray[Any], identifiers: list[npt.NDArray[Any]]) -> Floats:
    config, device = model.config, model.get_input_embeddings().weight.device
    width = max(len(ids) for ids in identifiers)
    targets = torch.full((len(identifiers), width), -100, device=device)
    for row, ids in enumerate(identifiers):
        targets[row, : len(ids)] = torch.from_numpy(np.asarray(ids, np.int64))
    filled = targets.clamp(min=0)
    source = torch.from_numpy(np.asarray(prompt, np.int64)).to(device).expand(len(identifiers), -1)
    if config.is_encoder_decoder:
        start = torch.full_like(filled[:, :1], config.decoder_start_token_id)
        inputs = torch.cat([start, filled[:, :-1]], 1)
        logits = model(input_ids=source, decoder_input_ids=inputs, use_cache=False).logits
    else:
        attention = torch.cat([torch.ones_like(source), (targets >= 0).long()], 1)
        logits = model(torch.cat([source, filled], 1), attention_mask=attention, use_cache=False).logits
        logits = logits[:, source.shape[1] - 1 : -1]
    losses = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    summed: Floats = losses.double().sum(-1).cpu().numpy()
    return summed


def _per_row(body: Body, packer: Packer, positions: int) -> Ints:
    """Choose by query how many identifiers share a row.

    T5's blocks do not see each other's positions at all, so a row holds as many as fit. LLaMA's row of W
    positions costs W² in attention and the query again for each further row; the sum is least at
    sqrt(S (24 d + 4 S) / (4 T²)) identifiers for a query of S tokens, identifiers of T and a body of about
    12 d² weights per layer.
    """
    s, t = packer.prompt_lengths, max(packer.ids.shape[1] - 1, 1)
    fit = np.maximum((positions - s) // t, 1)
    if body.model.config.is_encoder_decoder:
        return fit
    best = np.sqrt(s * (24 * body.model.config.hidden_size + 4 * s) / 4) / t
    return np.minimum(np.maximum(best.round().astype(np.int64), 1), fit)


def _scoring_batches(rows: Rows, packer: Packer, positions: int) -> list[Rows]:
    """Cut rows into batches of like sizes and at most `positions` positions (one row at least)."""
    count = (rows.identifiers >= 0).sum(1)
    longest = packer.lengths[rows.identifiers].max(1, initial=1)
    width = packer.prompt_lengths[rows.query]
    order = np.lexsort((width, longest, count))
    size = (width + count * longest)[order]
    batches, begin, largest = [], 0, 0
    for at in range(len(order) + 1):
        bigger = max(largest, int(size[at])) if at < len(order) else math.inf
        if at > begin and bigger * (at + 1 - begin) > positions:
            chosen = rows.take(order[begin:at])
            kept = int(count[order[begin:at]].max())
            batches.append(Rows(chosen.query, np.ascontiguousarray(chosen.identifiers[:, :kept])))
            begin, largest = at, 0
            bigger = int(size[at]) if at < len(order) else 0
        largest = bigger  # type: ignore[assignment]
    return batches
