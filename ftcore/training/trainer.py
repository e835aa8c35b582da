"""Trainer: transformers' loop of epochs and steps around the fused step of the core."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcore import _core
from ftcore.devices import warn_of_unused_gpu
from ftcore.modeling.checkpoint import WEIGHTS_NAME
from ftcore.modeling.original import Original
from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.optimization import AdamW, LRScheduler, get_scheduler
from ftcore.seeding import set_seed
from ftcore.storage import replace_file
from ftcore.training import checkpointing
from ftcore.training.arguments import TrainingArguments, as_training_arguments
from ftcore.training.callbacks import (
    CallbackHandler,
    DefaultFlowCallback,
    PrinterCallback,
    ProgressCallback,
)
from ftcore.training.evaluation import run_evaluation
from ftcore.training.interrupt import Interrupt, deferred_interrupt
from ftcore.training.loader import BatchLoader, make_loader
from ftcore.training.outputs import (
    EvalPrediction,
    PredictionOutput,
    TrainOutput,
    plain_metrics,
    shown_metrics,
    speed_metrics,
)
from ftcore.training.precision import (
    check_precision,
    evaluation_precision,
    passes_in,
    training_precision,
)
from ftcore.training.scaling import LossScaler
from ftcore.training.state import TrainerControl, TrainerState

logger = logging.getLogger(__name__)

# Methods of transformers' Trainer that a subclass may override there, and that are not called here.
_NOT_CALLED = (
    "compute_loss",
    "create_optimizer",
    "create_optimizer_and_scheduler",
    "create_scheduler",
    "evaluation_loop",
    "get_eval_dataloader",
    "get_test_dataloader",
    "get_train_dataloader",
    "prediction_step",
    "training_step",
)
# Floating-point operations a token and weight, forward and backward: transformers' reckoning.
_FLOPS = 6


class Trainer:
    """Trains and evaluates a classifier, as transformers' Trainer does.

    Args:
        model: a model of ftcore's, from AutoModelForSequenceClassification; or transformers', in
            whose place one of ftcore's, `self.model`, is trained, evaluated, saved and given to
            callbacks. The weights of yours are copied into that one before it is, and are the
            trained ones when `train` ends, however it does: to change weights, change yours.
        args: TrainingArguments, ftcore's or transformers'; without them the defaults.
        data_collator: with None, ftcore's or transformers' DataCollatorWithPadding, or a
            default_data_collator, batches are packed without padding, straight from columns that
            are read once. Any other callable is called with lists of rows, and its batches packed.
        train_dataset, eval_dataset: a datasets.Dataset or a sequence of dicts; eval_dataset may be
            a dict of them by name.
        processing_class: the tokenizer, saved with the model; tokenizer is its older name.
        compute_metrics: called with an `EvalPrediction`, gives {name: number}.
        callbacks: TrainerCallback classes or instances, ftcore's or transformers'.
        optimizers: an AdamW over the model and its schedule, either of which may be None.

    The model is moved to args.device, the first GPU that will do or the CPU, and again, should it
    have been moved since, before it is trained or evaluated.

    Rows come in the order in which transformers' Trainer takes them for the same seed.
    """

    def __init__(
        self,
        model: Any = None,
        args: TrainingArguments | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: None = None,
        compute_loss_func: None = None,
        compute_metrics: Callable[[EvalPrediction], Mapping[str, Any]] | None = None,
        callbacks: Iterable[Any] | None = None,
        optimizers: tuple[AdamW | None, LRScheduler | None] = (None, None),
        optimizer_cls_and_kwargs: None = None,
        preprocess_logits_for_metrics: None = None,
        *,
        tokenizer: Any = None,
    ) -> None:
        for name, value, alternative in (
            ("model_init", model_init, "pass model"),
            ("compute_loss_func", compute_loss_func, "write the loop with model(**batch)"),
            ("optimizer_cls_and_kwargs", optimizer_cls_and_kwargs, "pass optimizers"),
            (
                "preprocess_logits_for_metrics",
                preprocess_logits_for_metrics,
                "do it in compute_metrics",
            ),
        ):
            if value is not None:
                raise ValueError(f"Trainer({name}=...) is not supported: {alternative}")
        self.args = as_training_arguments(
            TrainingArguments("tmp_trainer") if args is None else args
        )
        logging.getLogger("ftcore").setLevel(self.args.get_process_log_level())
        set_seed(self.args.seed)
        self._original = None if isinstance(model, SequenceClassifier) else Original(model)
        self.model: SequenceClassifier = self._original.model if self._original else model
        self.model.to(self.args.device)
        if not self.args.use_cpu:
            warn_of_unused_gpu()
        check_precision(self.model, self.args)
        if processing_class is not None and tokenizer is not None:
            raise ValueError("pass processing_class or tokenizer, which is its older name")
        self.processing_class = processing_class if tokenizer is None else tokenizer
        if self.processing_class is not None and not hasattr(
            self.processing_class, "save_pretrained"
        ):
            raise TypeError(
                f"processing_class must be a tokenizer, got {type(self.processing_class).__name__}"
            )
        if data_collator is not None and not callable(data_collator):
            raise TypeError(f"data_collator must be callable, got {type(data_collator).__name__}")
        self.data_collator = data_collator
        self.train_dataset = train_dataset
        self.eval_dataset = eval_dataset
        self.compute_metrics = compute_metrics
        if self.args.eval_strategy != "no" and eval_dataset is None:
            raise ValueError(
                f"eval_strategy is {self.args.eval_strategy.value!r}, but there is no eval_dataset"
            )
        self.optimizer, self.lr_scheduler = _check_optimizers(optimizers, self.model)
        self._made_scheduler = False
        self._scaler: LossScaler | None = None
        self._interrupt = Interrupt()
        # Those of the data sets that train() evaluates on, by their id, while it runs.
        self._eval_loaders: dict[int, BatchLoader] = {}
        progress = PrinterCallback if self.args.disable_tqdm else ProgressCallback
        self.callback_handler = CallbackHandler([DefaultFlowCallback, *(callbacks or ()), progress])
        os.makedirs(self.args.output_dir, exist_ok=True)
        self.control = TrainerControl()
        self.state = TrainerState()
        self._event("on_init_end")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _NOT_CALLED:
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__} overrides {name}, which ftcore's Trainer does not call, its "
                    "step being one fused operation: use callbacks, a collator, optimizers=..., or "
                    "a loop of your own with model(**batch)"
                )

    # Training

    def train(
        self, resume_from_checkpoint: str | os.PathLike[str] | bool | None = None
    ) -> TrainOutput:
        """Trains, and returns TrainOutput(global_step, training_loss, metrics).

        resume_from_checkpoint: a checkpoint's folder, or True for the last one in output_dir.

        Raises ValueError or OSError, before any step, for a data set that does not fit the model,
        an output folder that cannot be written, or a checkpoint that cannot be resumed from;
        FloatingPointError naming the step where a loss is not finite, the weights being those
        before that step; KeyboardInterrupt between steps. On a GPU, which is waited for only to
        log, evaluate or save, the error comes then, and names the steps since the last time.
        """
        self._follow_arguments()
        checkpointing.sweep(pathlib.Path(self.args.output_dir))
        checkpoint = self._find_checkpoint(resume_from_checkpoint)
        if self.train_dataset is None:
            raise ValueError("training needs a train_dataset")
        checkpointing.check_writable(pathlib.Path(self.args.output_dir))
        loader = self._loader(
            self.train_dataset, self.args.train_batch_size, self.args.dataloader_drop_last
        )
        loader.check(needs_labels=True)
        if len(loader) == 0:
            raise ValueError(
                f"the data set's {loader.rows} rows are fewer than one batch of "
                f"{loader.batch_size}, and dataloader_drop_last drops it"
            )
        try:
            self._make_eval_loaders()
            precision = training_precision(self.args)
            with (
                self._original.training() if self._original else contextlib.nullcontext(),
                deferred_interrupt() as self._interrupt,
                passes_in(self.model, precision, self.args.tf32),
            ):
                return self._train(loader, checkpoint)
        except BaseException:
            with contextlib.suppress(FloatingPointError, RuntimeError):
                self.model.core.take_results()  # which nobody is going to tell
            raise
        finally:
            self._eval_loaders.clear()
            self._close_progress()

    def _follow_arguments(self) -> None:
        """Checks the arguments, which may have been changed since, before work is done by them; the
        model may have been moved since, or its original changed."""
        self.args = as_training_arguments(self.args)
        self._take_original()
        self.model.to(self.args.device)
        check_precision(self.model, self.args)
        if self.args.num_threads is not None:
            self.model.core.threads = self.args.num_threads

    def _take_original(self) -> None:
        if self._original is not None:
            self._original.take()

    def _make_eval_loaders(self) -> None:
        """Reads and checks the data sets that training will evaluate on, before its first step."""
        args = self.args
        if args.eval_strategy == "no" and not args.eval_on_start:
            return
        if self.eval_dataset is None:
            raise ValueError("evaluation needs an eval_dataset")
        parts = {"": self.eval_dataset}
        if isinstance(self.eval_dataset, Mapping):
            parts = {f"{name}_": part for name, part in self.eval_dataset.items()}
        best = (args.metric_for_best_model or "").removeprefix("eval_")
        for prefix, dataset in parts.items():
            try:
                loader = self._loader(dataset, args.eval_batch_size, args.dataloader_drop_last)
                loader.check(needs_labels=best == f"{prefix}loss")
            except Exception as error:
                error.add_note(f"in eval_dataset{prefix and f'[{prefix[:-1]!r}]'}")
                raise
            self._eval_loaders[id(dataset)] = loader

    def _train(self, loader: BatchLoader, checkpoint: pathlib.Path | None) -> TrainOutput:
        args = self.args
        updates_per_epoch = math.ceil(len(loader) / args.gradient_accumulation_steps)
        if args.max_steps > 0:
            max_steps = int(args.max_steps)
            epochs = math.ceil(max_steps / updates_per_epoch)
            samples = float(max_steps) * loader.batch_size * args.gradient_accumulation_steps
        else:
            max_steps = math.ceil(args.num_train_epochs * updates_per_epoch)
            epochs = math.ceil(args.num_train_epochs)
            samples = loader.rows * args.num_train_epochs
        self._prepare(max_steps)
        state = self.state = TrainerState()
        if checkpoint is not None:
            state = self.state = checkpointing.load_checkpoint(
                checkpoint, self.model, self.optimizer, self.lr_scheduler, self._scaler
            )
        state.train_batch_size = loader.batch_size
        state.compute_steps(args, max_steps)
        state.max_steps, state.num_train_epochs = max_steps, epochs
        self._share(loader)
        logger.info(
            "training: %d rows, %d epochs, %d steps of %d rows, %d weights",
            loader.rows,
            epochs,
            max_steps,
            loader.batch_size * args.gradient_accumulation_steps,
            self.model.num_parameters(),
        )

        start_time = time.time()
        first_step = state.global_step
        self._loss = self._logged_loss = 0.0
        self._logged_step = first_step
        self._grad_norm: float | None = None
        self.model.zero_grad()
        self._event("on_train_begin")
        if args.eval_on_start:
            self.evaluate()
        for epoch in range(first_step // updates_per_epoch, epochs):
            self._event("on_epoch_begin")
            skipped = max(first_step - epoch * updates_per_epoch, 0)
            self._run_epoch(loader, epoch, skipped)
            if self.control.should_training_stop:
                break

        self._collect_results()
        self.model.zero_grad()
        steps = state.global_step - first_step
        train_loss = (self._logged_loss + self._loss) / max(steps, 0.001)
        metrics: dict[str, Any] = speed_metrics(
            "train", start_time, samples * steps / max(max_steps, 1), steps
        )
        metrics["total_flos"] = state.total_flos
        metrics["train_loss"] = train_loss
        self.log(metrics)
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            best = pathlib.Path(state.best_model_checkpoint)
            if (best / WEIGHTS_NAME).exists():
                checkpointing.load_model(best, self.model)
            else:
                logger.warning("the best model is no longer in %s: the last is kept", best)
        self._keep_best_alone()
        self._event("on_train_end")
        return TrainOutput(state.global_step, train_loss, metrics)

    def _prepare(self, max_steps: int) -> None:
        """Makes the optimizer and the schedule that were not given, and what scales the loss."""
        args = self.args
        if not args.fp16:
            self._scaler = None
        elif self._scaler is None:
            self._scaler = LossScaler()
        if self.optimizer is None:
            named = [p for _, p in self.model.named_parameters()]
            self.optimizer = AdamW(
                [
                    {
                        "params": [p for p in named if p.decays],
                        "weight_decay": args.weight_decay,
                    },
                    {"params": [p for p in named if not p.decays], "weight_decay": 0.0},
                ],
                lr=args.learning_rate,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
            )
        if self.lr_scheduler is None or self._made_scheduler:
            self.lr_scheduler = get_scheduler(
                args.lr_scheduler_type,
                self.optimizer,
                num_warmup_steps=args.get_warmup_steps(max_steps),
                num_training_steps=max_steps,
            )
            self._made_scheduler = True

    def _run_epoch(self, loader: BatchLoader, epoch: int, skipped: int) -> None:
        """The optimizer steps of an epoch, but for the first `skipped` of them."""
        args = self.args
        if args.train_sampling_strategy == "sequential":
            order = np.arange(loader.rows, dtype=np.int64)
        else:
            seed = args.seed if args.data_seed is None else args.data_seed
            order = _core.shuffled_order(loader.rows, seed + epoch)
        done = skipped * args.gradient_accumulation_steps
        batches = loader.batches(order, done)
        self._grad_norm = learning_rate = None
        while done < len(loader):
            self._event("on_step_begin")
            count = min(args.gradient_accumulation_steps, len(loader) - done)
            micro_batches = []
            for _ in range(count):
                micro_batches.append(next(batches))
                self.state.total_flos += self._flops(loader)
            done += count
            try:
                stepped = self._step(micro_batches)
            except MemoryError as error:
                raise loader.too_large(error, "per_device_train_batch_size") from None
            learning_rate = self.lr_scheduler.get_last_lr()[0]
            if stepped:
                self.lr_scheduler.step()
            self.state.global_step += 1
            self.state.epoch = epoch + done / len(loader)
            self._event("on_step_end")
            self._log_evaluate_save(learning_rate)
            self._interrupt.check()
            if self.control.should_epoch_stop or self.control.should_training_stop:
                break
        self._event("on_epoch_end")
        self._log_evaluate_save(learning_rate)

    def _flops(self, loader: BatchLoader) -> float:
        return float(_FLOPS * loader.padded_tokens * self._weights)

    @functools.cached_property
    def _weights(self) -> int:
        return self.model.num_parameters(exclude_embeddings=True)

    def _step(self, batches: list[_core.Batch]) -> bool:
        """One optimizer step over micro-batches; False: it was skipped, float16 having overflowed.

        transformers adds up the micro-batches' mean losses, not dividing by their number, where
        the model's forward takes any keyword, as BERT's does: so the losses' scale is 1.
        """
        optimizer, model = self.optimizer, self.model
        model.train()
        model.forget_run()
        model.leave_autocast()  # of a callback
        groups, group_of = optimizer.plan()
        step = optimizer.steps + 1
        max_norm = self.args.max_grad_norm or math.inf
        seed = self.args.seed
        if self._listens_within_steps():
            return self._step_in_parts(batches, groups, group_of, step, max_norm)
        scale = 0.0 if self._scaler is None else self._scaler.scale
        model.core.train_step(
            batches, 1.0, seed, groups, group_of, step, max_norm, scale, wait=False
        )
        stepped = True
        if self._scaler is not None:
            stepped = self._scaler.update(self._collect_results())
        if stepped:
            optimizer.took_step()
        self._event("on_optimizer_step")
        return stepped

    def _collect_results(self) -> float:
        """Waits for the steps so far, adds up their losses, and returns the last one's norm."""
        losses, steps, norm = self.model.core.take_results()
        if steps:
            self._loss += losses
            self._grad_norm = norm
        return norm

    def _listens_within_steps(self) -> bool:
        overrides = self.callback_handler.overrides
        return overrides("on_pre_optimizer_step") or overrides("on_substep_end")

    def _step_in_parts(
        self,
        batches: list[_core.Batch],
        groups: Any,
        group_of: NDArray[np.int32],
        step: int,
        max_norm: float,
    ) -> bool:
        """`_step` in single calls of the core, for callbacks that listen between them."""
        core, scaler = self.model.core, self._scaler
        scale = 1.0 if scaler is None else scaler.scale
        core.zero_gradients()
        total = 0.0
        for number, batch in enumerate(batches):
            self.model.leave_autocast()
            loss, _ = core.forward(
                batch, training=True, seed=self.args.seed, step=step, micro_step=number
            )
            if loss is None or not math.isfinite(loss):
                raise FloatingPointError(_not_finite("loss", loss, step))
            core.backward(scale)
            total += loss
            if number < len(batches) - 1:
                self._event("on_substep_end")
        norm = core.gradient_norm() / scale
        if scaler is None and not math.isfinite(norm):
            raise FloatingPointError(_not_finite("gradient norm", norm, step))
        if scaler is not None and math.isfinite(norm):
            core.scale_gradients(1 / scale)
        self._event("on_pre_optimizer_step")
        stepped = scaler is None or scaler.update(norm)
        if stepped:
            core.update(groups, group_of, step, max_norm)
            self.optimizer.took_step()
        self._event("on_optimizer_step")
        self.model.zero_grad()
        self._loss += total
        self._grad_norm = norm
        return stepped

    def _log_evaluate_save(self, learning_rate: float | None) -> None:
        state, control = self.state, self.control
        if control.should_log or control.should_evaluate or control.should_save:
            self._collect_results()
        if self.control.should_log and state.global_step > self._logged_step:
            logs: dict[str, float] = {"loss": self._loss / (state.global_step - self._logged_step)}
            if self._grad_norm is not None:
                logs["grad_norm"] = self._grad_norm
            if learning_rate is not None:
                logs["learning_rate"] = learning_rate
            self._logged_loss += self._loss
            self._loss = 0.0
            self._logged_step = state.global_step
            self.log(logs)
        if self.control.should_evaluate:
            improved = self._note_best(self.evaluate())
            if self.args.save_strategy == "best":
                self.control.should_save = improved
        if self.control.should_save:
            self._save_checkpoint()
            self._event("on_save")

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Adds the epoch to logs, appends them to the history, and tells the callbacks.

        start_time is transformers' and says nothing here.
        """
        del start_time
        logs["epoch"] = self.state.epoch
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self._event("on_log", logs=logs)

    def log_metrics(self, split: str, metrics: Mapping[str, Any]) -> None:
        """Prints metrics as a table; split is "train", "eval" or "test"."""
        print(shown_metrics(split, metrics))

    def save_metrics(self, split: str, metrics: Mapping[str, Any], combined: bool = True) -> None:
        """Writes metrics to {split}_results.json in output_dir.

        combined: also adds them to all_results.json. Raises ValueError where that is damaged.
        """
        checkpointing.save_results(pathlib.Path(self.args.output_dir), split, metrics, combined)

    def save_state(self) -> None:
        """Writes trainer_state.json to output_dir."""
        path = pathlib.Path(self.args.output_dir, checkpointing.STATE_NAME)
        replace_file(path, self.state.to_json_string().encode())

    # Evaluation

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, Any]:
        """The loss and compute_metrics' numbers over a data set, under prefixed names.

        eval_dataset: instead of Trainer's; a dict of data sets is evaluated one after the other.
        """
        _refuse_ignored_keys(ignore_keys)
        self._follow_arguments()
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, str):
            dataset = self.eval_dataset[dataset]
        if dataset is None:
            raise ValueError("evaluation needs an eval_dataset")
        if isinstance(dataset, Mapping):
            metrics: dict[str, Any] = {}
            for name, part in dataset.items():
                metrics |= self.evaluate(part, metric_key_prefix=f"{metric_key_prefix}_{name}")
            return metrics
        wants_logits = self.compute_metrics is not None and not self.args.prediction_loss_only
        try:
            _, _, metrics = self._run_evaluation(dataset, metric_key_prefix, wants_logits)
            self.log(metrics)
            self._event("on_evaluate", metrics=metrics)
        except BaseException:
            self._close_progress()
            raise
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """PredictionOutput(logits float32 [rows, num_labels], labels or None, metrics)."""
        _refuse_ignored_keys(ignore_keys)
        self._follow_arguments()
        wants_logits = not self.args.prediction_loss_only
        try:
            result = self._run_evaluation(test_dataset, metric_key_prefix, wants_logits)
            self._event("on_predict", metrics=result[2])
        except BaseException:
            self._close_progress()
            raise
        return PredictionOutput(*result)

    def _run_evaluation(
        self, dataset: Any, prefix: str, wants_logits: bool
    ) -> tuple[NDArray[np.float32] | None, NDArray[Any] | None, dict[str, Any]]:
        loader = self._eval_loaders.get(id(dataset))
        if loader is None:
            args = self.args
            loader = self._loader(dataset, args.eval_batch_size, args.dataloader_drop_last)
            loader.check(needs_labels=False)
        self.callback_handler.shared["eval_dataloader"] = loader
        start_time = time.time()

        def after_batch() -> None:
            self._event("on_prediction_step")
            self._interrupt.check()

        with passes_in(self.model, evaluation_precision(self.args), self.args.tf32):
            predictions, labels, loss = run_evaluation(
                self.model, loader, wants_logits, after_batch
            )
        metrics: dict[str, Any] = {}
        if loss is not None:
            metrics[f"{prefix}_loss"] = loss
        if self.compute_metrics is not None and predictions is not None and labels is not None:
            computed = self.compute_metrics(EvalPrediction(predictions, labels))
            for name, value in plain_metrics(computed).items():
                key = name if name.startswith(f"{prefix}_") else f"{prefix}_{name}"
                metrics[key] = value
        metrics |= speed_metrics(prefix, start_time, loader.rows, len(loader))
        return predictions, labels, metrics

    def _note_best(self, metrics: Mapping[str, Any]) -> bool:
        """Remembers the best evaluation; returns whether this is it."""
        args, state = self.args, self.state
        if args.metric_for_best_model is None:
            return False
        name = f"eval_{args.metric_for_best_model.removeprefix('eval_')}"
        if name not in metrics:
            raise KeyError(
                f"metric_for_best_model is {args.metric_for_best_model!r}, but the evaluation gave "
                f"{', '.join(metrics)}"
            )
        value, best = metrics[name], state.best_metric
        if best is not None and not (value > best if args.greater_is_better else value < best):
            return False
        state.best_metric = value
        if args.save_strategy != "no":
            state.best_global_step = state.global_step
        return True

    # Saving and resuming

    def save_model(self, output_dir: str | os.PathLike[str] | None = None) -> None:
        """Writes model, tokenizer and training arguments to a folder, by default output_dir."""
        folder = pathlib.Path(self.args.output_dir if output_dir is None else output_dir)
        self._take_original()
        checkpointing.save_model_files(folder, self.model, self._tokenizer(), self.args)

    def _tokenizer(self) -> Any:
        if self.processing_class is not None:
            return self.processing_class
        return getattr(self.data_collator, "tokenizer", None)

    def _save_checkpoint(self) -> None:
        state, output_dir = self.state, pathlib.Path(self.args.output_dir)
        folder = output_dir / f"checkpoint-{state.global_step}"
        if state.best_global_step is not None:
            best = output_dir / f"checkpoint-{state.best_global_step}"
            if best == folder or best.exists():
                state.best_model_checkpoint = os.fspath(best)
        state.stateful_callbacks["TrainerControl"] = self.control.state()
        checkpointing.save_checkpoint(
            folder,
            self.model,
            self._tokenizer(),
            self.args,
            state,
            self.optimizer,
            self.lr_scheduler,
            self._scaler,
        )
        checkpointing.rotate(
            output_dir, self.args.save_total_limit, folder, state.best_model_checkpoint
        )

    def _keep_best_alone(self) -> None:
        """With save_total_limit=1 only the best checkpoint stays once training is over."""
        best = self.state.best_model_checkpoint
        if best is None or not os.path.isdir(best) or self.args.save_total_limit != 1:
            return
        for path in checkpointing.checkpoints(pathlib.Path(self.args.output_dir)):
            if path.name != pathlib.Path(best).name:
                shutil.rmtree(path)

    def _find_checkpoint(self, resume: Any) -> pathlib.Path | None:
        if resume is None or resume is False:
            return None
        output_dir = pathlib.Path(self.args.output_dir)
        if resume is True:
            found = checkpointing.checkpoints(output_dir) if output_dir.is_dir() else []
            if not found:
                raise ValueError(f"there is no checkpoint in {output_dir} to resume from")
            return found[-1]
        path = pathlib.Path(resume)
        if not (path / checkpointing.STATE_NAME).is_file():
            raise FileNotFoundError(
                f"{path} is not a checkpoint: it has no {checkpointing.STATE_NAME}"
            )
        return path

    # Callbacks

    def add_callback(self, callback: Any) -> None:
        """Adds a callback, or a new one of a class."""
        self.callback_handler.add_callback(callback)

    def pop_callback(self, callback: Any) -> Any:
        """Removes a callback, or the first of a class, and returns it."""
        return self.callback_handler.pop_callback(callback)

    def remove_callback(self, callback: Any) -> None:
        """Removes a callback, or the first of a class."""
        self.callback_handler.pop_callback(callback)

    def is_world_process_zero(self) -> bool:
        """True: there is one process."""
        return True

    is_local_process_zero = is_world_process_zero

    def _event(self, event: str, **kwargs: Any) -> None:
        self._share(None)
        self.control = self.callback_handler.call(
            event, self.args, self.state, self.control, **kwargs
        )

    def _close_progress(self) -> None:
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, ProgressCallback):
                callback.close()

    def _share(self, train_loader: BatchLoader | None) -> None:
        """What callbacks get by keyword, as it is now."""
        shared = self.callback_handler.shared
        shared.setdefault("eval_dataloader", None)
        shared.update(
            model=self.model,
            processing_class=self.processing_class,
            optimizer=self.optimizer,
            lr_scheduler=self.lr_scheduler,
            train_dataloader=train_loader or shared.get("train_dataloader"),
        )

    def _loader(self, dataset: Any, batch_size: int, drop_last: bool = False) -> BatchLoader:
        return make_loader(
            self.model,
            dataset,
            self.data_collator,
            batch_size,
            drop_last,
            self.args.remove_unused_columns,
        )


def _not_finite(what: str, value: float | None, step: int) -> str:
    return (
        f"the {what} is {value} at step {step}: the parameters are left as they were before it; a "
        "lower learning rate may help, if the data and the labels are sound"
    )


def _check_optimizers(optimizers: Any, model: SequenceClassifier) -> tuple[Any, Any]:
    optimizer, scheduler = optimizers
    if optimizer is not None and not isinstance(optimizer, AdamW):
        kind = type(optimizer)
        raise TypeError(
            f"optimizers must hold an ftcore.AdamW, got {kind.__module__}.{kind.__name__}: the "
            "update is part of the fused step; learning_rate, weight_decay, adam_beta1 and the "
            "like are TrainingArguments"
        )
    if optimizer is not None and optimizer.model is not model:
        raise ValueError("the optimizer's parameters are not those of the model")
    if scheduler is not None and (
        not isinstance(scheduler, LRScheduler) or scheduler.optimizer is not optimizer
    ):
        raise TypeError(
            "the schedule must come from ftcore.get_scheduler, over the optimizer given with it"
        )
    return optimizer, scheduler


def _refuse_ignored_keys(ignore_keys: Any) -> None:
    if ignore_keys:
        raise ValueError("ignore_keys is not supported: models give loss and logits alone")
