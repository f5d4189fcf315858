"""Memory of training and scoring by formula, in bytes, without torch.

Weights, gradients and AdamW's two moments are exact. What the layers keep for the backward pass is counted
tensor by tensor as our own bodies and transformers' T5 and LLaMA keep it with fused attention (after
Korthikanti et al. 2022, *Reducing Activation Recomputation in Large Transformer Models*, Sec. 4); a test
holds it to within 35 % of what torch saves. Fragmentation is not counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from genret_core.modeling.backbones import Backbone

FP32, BF16 = 4.0, 2.0
NF4 = 0.5 + 0.127 / 8  # bytes of a 4-bit weight with its constants, quantised twice (Dettmers et al. 2023)
MOMENTS = 2  # AdamW's, in 32 bits
LOGIT_COPIES = 3  # logits, their log-softmax and the gradient, in 32 bits
CONTEXT = {True: 1e9, False: 0.5e9}
"""What is there beside tensors: on a GPU CUDA and its kernels, on a processor the program itself."""


@dataclass(frozen=True)
class Setting:
    """How a model is held and trained.

    Attributes
    ----------
    own_loop : bool
        Trained by the packed loop of the ladders of sizes, not by the Trainer.
    adapters : bool
        Whether only adapters (and rows of codes) are trained.
    weights : {"fp32", "bf16", "4bit"}
        How weights that stay as they are are held; what is trained has 32 bits.
    products : {"fp32", "bf16"}
        Precision of the products.
    dropout : bool
        Whether layers drop out, as pretrained T5 does.
    recomputed : bool
        Activations computed twice instead of kept (gradient checkpointing).
    processes : int
        That train together, each with the whole model.
    """

    own_loop: bool = True
    adapters: bool = False
    weights: str = "fp32"
    products: str = "fp32"
    dropout: bool = False
    recomputed: bool = False
    processes: int = 1


@dataclass(frozen=True)
class Training:
    """Bytes that training takes on one device.

    Attributes
    ----------
    weights, gradients, optimiser : float
        `gradients` holds two copies where a second one lives for a moment: our own loop joins the parts into
        one tensor, several processes add theirs up in buckets.
    casts : float
        16-bit copies of 32-bit matrices that autocast keeps for the backward pass.
    activations, logits : float
        Of one micro-batch.
    """

    weights: float
    gradients: float
    optimiser: float
    casts: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(asdict(self).values())

    def to_dict(self) -> dict[str, float]:
        """Give the items by name."""
        return asdict(self)


def shared_out(held: Training, processes: int, layers: int) -> Training:
    """Bytes on one device where processes share the weights out (FSDP).

    Each holds its part; of the layer that computes and of the next one the weights are gathered, and the
    gradients of one are whole until they are shared out.

    Parameters
    ----------
    held : Training
        Where every process holds all.
    processes, layers : int
    """
    return replace(
        held,
        weights=held.weights / processes + 2 * held.weights / layers,
        gradients=held.gradients / processes + held.gradients / layers,
        optimiser=held.optimiser / processes,
    )


def weight_bytes(body: int, matrices: int, embedding: int, trained: int, setting: Setting) -> float:
    """Bytes of all weights.

    Parameters
    ----------
    body, embedding : int
        Parameters of the body, and of the embedding and output head.
    matrices : int
        Of the body's, those in matrices: only these are held in 4 bits. The rest then has 32 bits, as peft
        casts it.
    trained : int
        Weights that are trained; of adapters they come on top.
    """
    if not setting.adapters:
        return FP32 * (body + embedding)
    stay = {
        "fp32": FP32 * (body + embedding),
        "bf16": BF16 * (body + embedding),
        "4bit": NF4 * matrices + FP32 * (body - matrices + embedding),
    }[setting.weights]
    return stay + FP32 * trained


def training(
    rung: Backbone,
    setting: Setting,
    *,
    vocabulary: int,
    tied: bool,
    trained: int,
    rows: int,
    prompt: float,
    targets: float,
    predictions: float | None = None,
) -> Training:
    """Count the bytes that training takes.

    Parameters
    ----------
    rung : Backbone
        The sizes.
    vocabulary : int
        Rows of the embedding.
    tied : bool
        Whether the output head is the embedding.
    trained : int
        Weights that are trained.
    rows : int
        Rows of a micro-batch.
    prompt, targets : float
        Positions of a row that read the query (for an encoder-decoder: the encoder's), and those after it.
    predictions : float, optional
        Positions of a row at which the output head runs; by default `targets`.
    """
    body, _ = rung.parameters(0)
    matrices = sum(rung.matrix_parameters().values())
    embedding = vocabulary * rung.d_model * (1 if tied else 2)
    copies = 2 if setting.own_loop or setting.processes > 1 else 1
    casts = 0.0
    if setting.products == "bf16" and (not setting.adapters or setting.weights == "fp32"):
        casts = BF16 * (matrices + vocabulary * rung.d_model)
    return Training(
        weights=weight_bytes(body, matrices, embedding, trained, setting),
        gradients=FP32 * trained * copies,
        optimiser=FP32 * trained * MOMENTS,
        casts=casts,
        activations=activations(rung, setting, rows=rows, prompt=prompt, targets=targets),
        logits=LOGIT_COPIES * FP32 * vocabulary * rows * (targets if predictions is None else predictions),
    )


def activations(rung: Backbone, setting: Setting, *, rows: int, prompt: float, targets: float) -> float:
    """Bytes that the layers keep of a micro-batch for the backward pass.

    With activations computed twice, a layer keeps its input, and one layer at a time all of it.
    """
    half = setting.products == "bf16" or setting.weights != "fp32"
    e = BF16 if half else FP32
    if rung.decoder_only:
        layer = rows * (prompt + targets) * _llama_position(rung, setting, e)
        return _kept(setting, rung.n_layers, layer, rows * (prompt + targets) * rung.d_model * e)
    inner, d = rung.n_heads * rung.head_width, rung.d_model
    ff = _ff_copies(rung, setting) * rung.d_ff * e
    dropped = 2.5 * d * FP32 if setting.dropout else 0.0
    encoder = rows * prompt * (5 * d * FP32 + 6 * inner * e + ff + dropped)
    decoder = rows * targets * (8 * d * FP32 + 9.5 * inner * e + ff + dropped)
    decoder += rows * prompt * 2 * inner * e  # keys and values of the query
    return _kept(setting, rung.n_layers, encoder, rows * prompt * d * e) + _kept(
        setting, rung.decoder_layers, decoder, rows * targets * d * e
    )


def _llama_position(rung: Backbone, setting: Setting, e: float) -> float:
    """Bytes that one position keeps in one layer: norms in 32 bits, attention, the feed-forward layer."""
    inner, kv = rung.n_heads * rung.head_width, rung.kv_heads * rung.head_width
    norms = (3.5 if setting.adapters else 5) * rung.d_model * FP32
    attention = ((3 if setting.adapters else 5) * inner + 2 * kv) * e
    return norms + attention + _ff_copies(rung, setting) * rung.d_ff * e


def _ff_copies(rung: Backbone, setting: Setting) -> int:
    """Tensors as wide as the feed-forward layer that it keeps; fewer if its matrices stay as they are."""
    if rung.family == "llama":
        return 3 if setting.adapters else 4
    if rung.ff_kind == "relu":
        return 1 if not setting.dropout else 2 if setting.adapters else 3
    if setting.own_loop:
        return 4
    return (6 if setting.adapters else 7) + setting.dropout


def _kept(setting: Setting, layers: int, layer: float, its_input: float) -> float:
    return layers * its_input + layer if setting.recomputed else layers * layer


def scoring(rung: Backbone, *, vocabulary: int, positions: float, prompts: float, half: bool) -> float:
    """Bytes of a batch of generation losses besides the weights: logits twice, keys and values once.

    Parameters
    ----------
    positions : float
        Of identifiers in a batch.
    prompts : float
        Positions of queries whose keys and values are held.
    half : bool
        Whether the weights have 16 bits; logits have 32 all the same, of a head that is copied for it.
    """
    e = BF16 if half else FP32
    head = FP32 * vocabulary * rung.d_model if half else 0.0
    return head + 2 * FP32 * positions * vocabulary + cache(rung, positions + prompts, e)


def cache(rung: Backbone, positions: float, e: float) -> float:
    """Bytes of the keys and values of so many positions in all layers of the decoder."""
    kv = rung.kv_heads if rung.decoder_only else rung.n_heads
    return 2 * rung.decoder_layers * kv * rung.head_width * positions * e
