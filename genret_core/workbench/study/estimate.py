"""What one cell takes: parameters, updates, FLOPs, memory, disk.

FLOPs are those of `modeling.flops`, memory that of `modeling.memory`. A generation loss reads each query once
and each identifier after it (`decoding_flops`, whose prefixes are the identifiers here).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genret_core.modeling import Backbone, PretrainedBackbone
from genret_core.modeling.flops import BACKWARDS, decoding_flops, query_flops, row_flops
from genret_core.modeling.memory import (
    BF16,
    CONTEXT,
    FP32,
    Setting,
    Training,
    cache,
    scoring,
    shared_out,
    training,
)
from genret_core.modeling.pretrained.architecture import Architecture, rung_of
from genret_core.modeling.pretrained.counting import trained_weights
from genret_core.retrieval.batches import ROWS_PER_STEP
from genret_core.workbench.documents import read_mapping
from genret_core.workbench.project import resolve
from genret_core.workbench.study.expected import Data, updates
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import PlannedCell, PlannedSearch, longest_identifier

LOSS_BYTES = 10  # of one identifier in losses.parquet
FOUND_BYTES = 16  # of one retrieved document in searches.parquet
PACKED_LOGITS = 1 << 28  # logits of a batch of packed scoring on a GPU (`losses.GPU_LOGITS`)
SHARED_POSITIONS = 32_768  # of identifiers in a batch of any other model (`pretrained.scoring.POSITIONS`)
CPU_POSITIONS = 1024


@dataclass(frozen=True)
class Estimate:
    """What a cell takes; None where the study does not say how much data there is.

    Attributes
    ----------
    P, P_total, trained : int
        Parameters of the body, with the embedding rows, and those that are trained.
    steps, tokens, train_flops : optional
        Of training; a sweep of learning rates counts as often as it trains.
    loss_flops, search_flops : float
    training : Training
        Memory of training, in bytes.
    micro_batch : int
        Rows at once.
    scoring : float
        Bytes of scoring with its first batch; halved on a GPU until it fits.
    search : float
        Bytes of the widest search with its first batch; 0 without one. On a GPU halved until it fits.
    memory : float
        Bytes that the cell needs on one device: training or search, whichever takes more; of a search on a
        GPU, with one query.
    checkpoint, states, results : float
        Bytes on disk: what is kept of the model, while it trains, of its evaluations.
    processes : int
        Devices that train together.
    """

    P: int
    P_total: int
    trained: int
    steps: int | None
    tokens: float | None
    train_flops: float | None
    loss_flops: float
    search_flops: float
    training: Training
    micro_batch: int
    scoring: float
    search: float
    memory: float
    checkpoint: float
    states: float
    results: float
    processes: int

    @property
    def flops(self) -> float | None:
        """All of them."""
        return None if self.train_flops is None else self.train_flops + self.loss_flops + self.search_flops

    def to_dict(self) -> dict[str, Any]:
        """Give all fields as JSON-like values."""
        return asdict(self)


def estimate(spec: StudySpec, planned: PlannedCell, data: Data, *, gpu: bool) -> Estimate:
    """Estimate a cell.

    Parameters
    ----------
    spec : StudySpec
    planned : PlannedCell
    data : Data
        What it will train and be measured on.
    gpu : bool
        Whether it runs on a GPU: batches of scoring are larger there.

    Raises
    ------
    BadInput
        A model is neither on this machine nor known.
    """
    backbone, method = planned.backbone, planned.method
    recipe = spec.recipe_of(method)
    own, codes = isinstance(backbone, Backbone), data.codes if method == "codebook" else 0
    vocabulary = _rows(backbone, data.text_vocabulary, codes)
    P, P_total = backbone.parameters(vocabulary)
    trained = P_total if isinstance(backbone, Backbone) else trained_weights(backbone, vocabulary, codes)
    length, prompt = data.identifier[method] + recipe.train_eos, data.prompt
    steps = tokens = train = None
    if data.pairs is not None:
        pairs = data.pairs[method] * planned.fraction
        steps, seen = updates(recipe, pairs, own_loop=own)
        per_row = recipe.identifiers_per_row if own else 1
        row = float(row_flops(backbone, vocabulary, [prompt], [[length] * per_row])[0])
        passes = _passes(backbone)
        train = row * seen / per_row * passes * recipe.lr_sweep
        tokens = seen / per_row * (prompt + per_row * length)
    held = _training(spec, planned, vocabulary, trained, prompt, length)
    micro = _micro_batch(spec, planned)
    scored, found = _scoring(planned, vocabulary, held, data, gpu), _search(spec, planned, vocabulary, held)
    least = _search(spec, planned, vocabulary, held, queries=1) if gpu else found
    trains = held
    if shares(backbone):  # what was trained is measured whole, by one process
        trains = shared_out(held, processes(backbone), backbone.n_layers)
    needed = max(trains.total, least, held.weights) + CONTEXT[gpu]
    whole = own or (isinstance(backbone, PretrainedBackbone) and backbone.adapters is None)
    saves = backbone.saves if isinstance(backbone, PretrainedBackbone) else 0
    return Estimate(
        P=P, P_total=P_total, trained=trained, steps=steps, tokens=tokens, train_flops=train,
        loss_flops=_loss_flops(spec, planned, vocabulary, data),
        search_flops=sum(_search_flops(planned, one, vocabulary, prompt) for one in planned.searches),
        training=trains, micro_batch=micro, scoring=scored, search=found, memory=needed,
        checkpoint=FP32 * (P_total if whole else trained),
        states=3 * FP32 * trained if saves or own else 0.0,
        results=_results(spec, planned), processes=processes(backbone),
    )  # fmt: skip


def processes(backbone: Backbone | PretrainedBackbone) -> int:
    """Tell how many processes train together."""
    launch = backbone.launch if isinstance(backbone, PretrainedBackbone) else None
    return launch if isinstance(launch, int) else int(_launched(backbone).get("num_processes", 1))


def shares(backbone: Backbone | PretrainedBackbone) -> bool:
    """Tell whether these share the weights out (FSDP)."""
    return _launched(backbone).get("distributed_type") == "FSDP" and processes(backbone) > 1


def _launched(backbone: Backbone | PretrainedBackbone) -> dict[str, Any]:
    """Read accelerate's file, if there is one."""
    launch = backbone.launch if isinstance(backbone, PretrainedBackbone) else None
    path = resolve(Path(launch)) if isinstance(launch, str) else None
    return dict(read_mapping(path).value) if path is not None and path.is_file() else {}


def identifiers_per_query(spec: StudySpec, method: str) -> int:
    """Count the identifiers that a query's loss takes, with one relevant document."""
    sample = spec.evaluation
    if method == "codebook":
        return 1 + sample.n_negatives
    return sample.ngrams_per_positive + sample.n_negatives * sample.ngrams_per_negative


def _rows(backbone: Backbone | PretrainedBackbone, text: int, codes: int) -> int:
    """Count the rows of the embedding; rows that a model has beyond its tokenizer's ids are used first."""
    if isinstance(backbone, Backbone):
        return text + codes
    rows = backbone.architecture.vocab_size
    return max(rows, text + codes) if text else rows + codes


def _passes(backbone: Backbone | PretrainedBackbone) -> float:
    if isinstance(backbone, Backbone):
        return BACKWARDS[False]
    return BACKWARDS[backbone.adapters is not None] + backbone.gradient_checkpointing


def _micro_batch(spec: StudySpec, planned: PlannedCell) -> int:
    recipe, backbone = spec.recipe_of(planned.method), planned.backbone
    if isinstance(backbone, Backbone):
        return recipe.batch_queries
    each = -(-recipe.batch_queries * recipe.identifiers_per_row // processes(backbone))
    return min(backbone.micro_batch or each, each)


def _training(
    spec: StudySpec, planned: PlannedCell, vocabulary: int, trained: int, prompt: float, length: float
) -> Training:
    recipe, backbone = spec.recipe_of(planned.method), planned.backbone
    rung, rows = sizes_of(backbone), _micro_batch(spec, planned)
    if isinstance(backbone, Backbone):
        k = recipe.identifiers_per_row
        after = k * (length - 1) if backbone.decoder_only else k * length
        predictions = 1 + k * (length - 1) if backbone.decoder_only else k * length
        return training(
            rung, Setting(products=recipe.precision), vocabulary=vocabulary, tied=backbone.tied,
            trained=trained, rows=rows, prompt=prompt, targets=after, predictions=predictions,
        )  # fmt: skip
    if backbone.max_length is not None:  # padding counts, up to there
        length = backbone.max_length - (prompt if backbone.decoder_only else 0)
    return training(
        rung, setting_of(backbone, recipe.precision), vocabulary=vocabulary,
        tied=backbone.architecture.tied, trained=trained, rows=rows, prompt=prompt, targets=length,
    )  # fmt: skip


def setting_of(backbone: PretrainedBackbone, products: str) -> Setting:
    """Tell how a pretrained model is held and trained."""
    return Setting(
        own_loop=False,
        adapters=backbone.adapters is not None,
        weights=backbone.quantised or backbone.precision,
        products=products,
        dropout=bool(backbone.configuration.get("dropout_rate")),
        recomputed=backbone.gradient_checkpointing,
        processes=processes(backbone),
    )


def sizes_of(backbone: Backbone | PretrainedBackbone) -> Backbone:
    """Give the sizes of the layers; of an architecture that is not known, those of a LLaMA or T5 like it."""
    if isinstance(backbone, Backbone):
        return backbone
    found = rung_of(backbone.configuration, str(backbone.configuration.get("model_type")))
    return found or _like(backbone.architecture, backbone.decoder_only)


def _like(shape: Architecture, decoder_only: bool) -> Backbone:
    d, inner = shape.d_model, shape.n_heads * shape.head_width
    left = sum(shape.matrices.values()) / (shape.n_layers + (0 if decoder_only else shape.decoder_layers))
    ff = max(round((left - 4 * d * inner) / (3 * d)), 1)
    if decoder_only:
        fits = d % shape.n_heads == 0 and d // shape.n_heads % 2 == 0
        return Backbone("like", "llama", d, shape.n_layers, shape.n_heads if fits else 1, ff)
    return Backbone(
        "like", "t5", d, shape.n_layers, shape.n_heads, ff, d_kv=shape.head_width,
        n_decoder_layers=shape.decoder_layers,
    )  # fmt: skip


def _half(backbone: Backbone | PretrainedBackbone) -> bool:
    return isinstance(backbone, PretrainedBackbone) and bool(
        backbone.quantised or backbone.precision == "bf16"
    )


def _packed(backbone: Backbone | PretrainedBackbone) -> bool:
    """Whether its losses are those of packed rows: plain weights, adapters added to them."""
    if isinstance(backbone, Backbone):
        return True
    settings = backbone.adapters
    merged = settings is None or (settings.merge if settings.merge is not None else not _half(backbone))
    return merged and not backbone.quantised and backbone.family in ("llama", "t5")


def _scoring(planned: PlannedCell, vocabulary: int, held: Training, data: Data, gpu: bool) -> float:
    half = _half(planned.backbone)
    if _packed(planned.backbone) or not gpu:
        positions = PACKED_LOGITS / vocabulary if gpu else CPU_POSITIONS
        return held.weights + scoring(
            sizes_of(planned.backbone), vocabulary=vocabulary, positions=positions, prompts=0.0, half=half
        )
    prompts = SHARED_POSITIONS / data.identifier[planned.method] * data.prompt
    rung = sizes_of(planned.backbone)
    return held.weights + scoring(
        rung, vocabulary=vocabulary, positions=SHARED_POSITIONS, prompts=prompts, half=half
    )


def _search(
    spec: StudySpec, planned: PlannedCell, vocabulary: int, held: Training, *, queries: int = ROWS_PER_STEP
) -> float:
    """Bytes of a search of so many queries at once, or as many as a batch takes.

    Weights, keys and values of all beams, twice while beams are chosen, and logits.
    """
    if not planned.searches:
        return 0.0
    beam = max(one.beam for one in planned.searches)
    longest = longest_identifier(spec, planned.method)
    queries = min(queries, max(1, ROWS_PER_STEP // beam), max(one.n_queries for one in planned.searches))
    e = BF16 if _half(planned.backbone) else FP32
    kept = 2 * cache(sizes_of(planned.backbone), queries * beam * longest, e)
    return held.weights + kept + 2 * FP32 * queries * beam * vocabulary


def _loss_flops(spec: StudySpec, planned: PlannedCell, vocabulary: int, data: Data) -> float:
    each, length = identifiers_per_query(spec, planned.method), round(data.identifier[planned.method])
    reads = [each] * (length - 1) if length > 1 else [0]
    one = decoding_flops(planned.backbone, vocabulary, data.prompt, reads).total
    sample = spec.evaluation
    return one * sample.n_queries * len(sample.splits) * (3 if sample.end_and_padding else 1)


def _search_flops(planned: PlannedCell, one: PlannedSearch, vocabulary: int, prompt: float) -> float:
    flops, _ = query_flops(planned.backbone, vocabulary, prompt, beam=one.beam, n_tokens=one.max_new_tokens)
    return flops * one.n_queries * (2 if one.rescore else 1)


def _results(spec: StudySpec, planned: PlannedCell) -> float:
    sample = spec.evaluation
    losses = sample.n_queries * len(sample.splits) * identifiers_per_query(spec, planned.method) * LOSS_BYTES
    return float(losses + sum(one.n_queries * one.k * FOUND_BYTES for one in planned.searches))
