"""Training on transformers' Trainer: one schedule, whatever the micro-batch and the number of processes."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from genret_core.modeling.pretrained import resuming, sharding
from genret_core.modeling.pretrained.fitting_size import fitting_size
from genret_core.modeling.pretrained.row_losses import keeps_some_logits, summed_nll
from genret_core.modeling.pretrained.rows import Ints, Layout, Split, TrainingRows
from genret_core.modeling.recipe import Recipe
from genret_core.modeling.training import CURVE_POINTS, Diverged, Progress, TrainingFailed, schedule

logger = logging.getLogger(__name__)

ONE_ROW = (
    "The device cannot hold one row of this model; take a smaller model or 4 bits, or switch "
    "gradient_checkpointing on."
)
SEED_OF_A_STEP = 1_000_003  # a prime: steps of different seeds do not meet


@dataclass(frozen=True)
class Fit:
    """What a run did.

    Attributes
    ----------
    loss_curve : list of [step, loss]
        The mean loss per target (nats) over the steps since the point before.
    steps, micro_batch, processes : int
    seconds, cpu_seconds : float
        Of all attempts together.
    """

    loss_curve: list[list[float]]
    steps: int
    micro_batch: int
    processes: int
    seconds: float
    cpu_seconds: float


def fit(
    model: Any,
    order: Ints,
    layout: Layout,
    recipe: Recipe,
    folder: Path,
    *,
    lr: float,
    seed: int,
    device: str,
    micro_batch: int | None = None,
    saves: int = 10,
    gradient_checkpointing: bool = False,
    progress: Progress | None = None,
) -> Fit:
    """Train what requires gradients, in place; go on from the state in `folder` if there is one.

    Parameters
    ----------
    model : PeftModel or PreTrainedModel
        Whole, or shared out among the processes (`sharding`).
    order : int64[steps, batch]
        The pairs of every update (`rows.order_of`).
    layout : Layout
    recipe : Recipe
        Schedule, optimiser, precision of the products.
    folder : Path
        Where the state is kept; the caller removes it when the result is safe.
    lr : float
        Highest learning rate.
    seed : int
        Of dropout.
    device : str
    micro_batch : int, optional
        Rows that the device computes at once.
    saves : int
        How often the state is written.
    progress : callable, optional
        Called with (step, steps, loss).

    Raises
    ------
    Diverged
        The loss is no longer a number.
    TrainingFailed
        Not even one row fits into memory.
    """
    shares = sharding.is_sharded(model)
    first = {} if shares else resuming.on_processor(dict(resuming.trained_parameters(model)))
    size, tried = resuming.noted_micro_batch(folder) or micro_batch, False
    while True:
        state = resuming.last_state(folder)
        if state is None and not shares:
            resuming.put_trained(model, first)
        arguments = _arguments(folder, order, recipe, lr, seed, device, size, gradient_checkpointing)
        split = Split.of(order.shape[1], size, arguments.world_size)
        if split.processes > 1 and not shares and not tried:
            if gradient_checkpointing:
                model.gradient_checkpointing_enable({"use_reentrant": False})
            size, tried = fitting_size(model, layout, recipe, split.size, arguments.device), True
            if not size:
                raise TrainingFailed(ONE_ROW)
            split = Split.of(order.shape[1], size, arguments.world_size)
        arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps = split.size, split.parts
        teller = Teller(len(order), seed, folder, saves, progress)
        trainer = PairTrainer(model, arguments, layout, TrainingRows(order, split), recipe, teller)
        try:
            trainer.train(resume_from_checkpoint=None if state is None else str(state))
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            size = _less(split, folder, error)
        else:
            return Fit(
                teller.curve, len(order), split.size, split.processes, teller.seconds, teller.cpu_seconds
            )
        model.zero_grad(set_to_none=True)
        del trainer, teller
        gc.collect()
        torch.cuda.empty_cache()


def _less(split: Split, folder: Path, error: Exception) -> int:
    """Halve the micro-batch after memory ran out, and say so."""
    if split.size == 1:
        raise TrainingFailed(ONE_ROW) from error
    size = split.size // 2
    resuming.note_micro_batch(folder, size)
    if split.processes > 1:  # the others wait for this one in a collective call: they cannot be told
        raise TrainingFailed(
            f"Out of memory at micro-batch {split.size}; start again, and it goes on with {size}."
        ) from error
    logger.warning("Out of memory at micro-batch %d: going on with %d, same batch.", split.size, size)
    return size


def _arguments(
    folder: Path,
    order: Ints,
    recipe: Recipe,
    lr: float,
    seed: int,
    device: str,
    size: int | None,
    again: bool,
) -> TrainingArguments:
    processor = device == "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=size or order.shape[1], num_train_epochs=1,
        learning_rate=lr, weight_decay=recipe.weight_decay, adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1], max_grad_norm=recipe.clip, bf16=recipe.precision == "bf16",
        optim="adamw_torch", seed=seed, use_cpu=processor, dataloader_pin_memory=not processor,
        save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True,
        logging_nan_inf_filter=False, remove_unused_columns=False, ddp_find_unused_parameters=False,
        **(_checkpointing() if again else {}),
    )  # fmt: skip
    _ = arguments.n_gpu  # settles the devices; several visible ones are used by several processes only
    arguments._n_gpu = min(arguments._n_gpu, 1)
    return arguments


def _checkpointing() -> dict[str, Any]:
    """Name the arguments that compute activations twice; later versions have another name for them."""
    known = {entry.name for entry in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


@dataclass
class Teller(TrainerCallback):
    """Seeds every update, adds up its loss, tells how far it is, and asks for the state to be written.

    States are written where a point of the curve was just made: an interrupted run has the same curve.
    """

    steps: int
    seed: int
    folder: Path
    saves: int
    progress: Progress | None
    curve: list[list[float]] = field(default_factory=list)
    gathered: Callable[[Tensor], Tensor] | None = None
    summed: Tensor | None = None
    since: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    began: tuple[float, float] = (0.0, 0.0)

    @property
    def every(self) -> int:
        """Updates from one point of the curve to the next."""
        return max(1, -(-self.steps // CURVE_POINTS))

    def add(self, loss: Tensor) -> None:
        """Add a micro-batch's part of an update's loss."""
        self.summed = loss if self.summed is None else self.summed + loss

    def told(self) -> dict[str, Any]:
        """Give what a later run goes on from."""
        wall, cpu = (now - then for now, then in zip(_clocks(), self.began, strict=True))
        return {
            "loss_curve": self.curve, "seconds": self.seconds + wall, "cpu_seconds": self.cpu_seconds + cpu,
        }  # fmt: skip

    def goes_on_from(self, told: dict[str, Any]) -> None:
        """Take up what an earlier run told."""
        self.curve = [list(point) for point in told["loss_curve"]]
        self.seconds, self.cpu_seconds = told["seconds"], told["cpu_seconds"]

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clocks."""
        self.began = _clocks()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seed dropout by seed, step and process."""
        torch.manual_seed((self.seed * SEED_OF_A_STEP + state.global_step) * 4096 + args.process_index)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Make a point of the curve."""
        self.since += 1
        step = state.global_step
        if step % self.every and step != self.steps:
            return control
        assert self.summed is not None and self.gathered is not None
        mean = float(self.gathered(self.summed)) / self.since
        if not math.isfinite(mean):
            raise Diverged(
                f"The loss became {mean} by step {step} of {self.steps} at learning rate "
                f"{args.learning_rate:g}; lower it."
            )
        self.curve.append([step, mean])
        self.summed, self.since = None, 0
        if self.progress is not None and state.is_world_process_zero:
            self.progress(step, self.steps, mean)
        between = self.every * max(1, round(self.steps / self.every / (self.saves + 1)))
        control.should_save = bool(self.saves) and step % between == 0 and step < self.steps
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clocks."""
        told = self.told()
        self.seconds, self.cpu_seconds = told["seconds"], told["cpu_seconds"]


class PairTrainer(Trainer):
    """The Trainer with rows in a given order and a loss per target of the whole update."""

    def __init__(
        self, model: Any, args: TrainingArguments, layout: Layout, rows: TrainingRows, recipe: Recipe,
        teller: Teller,
    ) -> None:  # fmt: skip
        super().__init__(model=model, args=args, data_collator=layout, train_dataset=rows, callbacks=[teller])
        self.remove_callback(PrinterCallback)
        # The loss below is divided by all targets of the update: it is not to be divided again.
        self.loss_is_scaled_for_ga = True
        self.model_accepts_loss_kwargs = True
        self.teller, self.recipe, self.layout = teller, recipe, layout
        teller.gathered = self._summed
        self.keeps_some_logits = keeps_some_logits(model, decoder_only=layout.decoder_only)

    def _wrap_model(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Leave a model that was shared out as it is: it needs no wrapping for several processes."""
        if sharding.is_sharded(model):
            return sharding.Ready(model, self.accelerator.autocast)
        return super()._wrap_model(model, *args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Warm up, then fall linearly, as the packed training does."""
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer,  # type: ignore[arg-type]
            lambda done: schedule(done + 1, num_training_steps, self.recipe.warmup),
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Sum the negative log-likelihoods of a micro-batch and divide by the targets of its whole update."""
        labels, targets = inputs.pop("labels"), inputs.pop("targets")
        loss, outputs = summed_nll(
            model, inputs, labels, decoder_only=self.layout.decoder_only, some=self.keeps_some_logits
        )
        loss = loss / targets
        self.teller.add(loss.detach())
        # Gradients are averaged over processes, each of which holds a part of the update.
        loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _summed(self, value: Tensor) -> Tensor:
        summed: Tensor = self.accelerator.reduce(value, "sum")
        return summed

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.args.should_save or sharding.is_sharded(self.model):
            resuming.save_state(
                self.teller.folder, self.state.global_step, dict(resuming.trained_parameters(self.model)),
                self.optimizer, self.state, self.teller.told(), leads=self.args.should_save,
            )  # fmt: skip

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        state = Path(resume_from_checkpoint)
        resuming.put_trained(self.model, resuming.read_trained(state))
        self.teller.goes_on_from(resuming.read_told(state))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        resuming.put_moments(self.optimizer, Path(checkpoint))
        scheduler, step = self.lr_scheduler, self.state.global_step
        assert scheduler is not None
        scheduler.last_epoch, scheduler._step_count = step, step + 1
        rates = [
            base * rule(step) for base, rule in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        ]
        for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        scheduler._last_lr = rates

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Nothing random goes on from one update to the next."""


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()
