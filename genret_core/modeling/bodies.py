"""From a transformers model to the body that trains and scores it.

The bodies give the hidden states at the positions that predict identifiers' tokens; equality with
transformers' own forward pass is held by tests (`losses.naive_scores` is the plain one).
"""

from __future__ import annotations

from typing import Any

from genret_core.modeling.body import Body
from genret_core.modeling.llama_body import LlamaBody, llama_groups
from genret_core.modeling.t5_body import T5Body, t5_groups
from genret_core.modeling.weights import FlatWeights, check_all_bound


def bind(model: Any) -> Body:
    """Move a model's weights into one tensor and give the body that computes with them.

    Parameters
    ----------
    model : LlamaForCausalLM or T5ForConditionalGeneration
        Without biases, dropout and adapters; of any size.
    """
    family = model.config.model_type
    groups = llama_groups(model) if family == "llama" else t5_groups(model)
    check_all_bound(model, groups)
    return (LlamaBody if family == "llama" else T5Body)(model, FlatWeights.bind(groups))
