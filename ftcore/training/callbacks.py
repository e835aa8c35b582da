"""Callbacks: the events of a training run, and those that Trainer itself listens with."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

EVENTS = (
    "on_init_end",
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_step_begin",
    "on_pre_optimizer_step",
    "on_optimizer_step",
    "on_substep_end",
    "on_step_end",
    "on_evaluate",
    "on_predict",
    "on_save",
    "on_log",
    "on_prediction_step",
)
# The switches that an event has dealt with: put back before its callbacks run.
_RESETS = {
    "on_train_begin": ("should_training_stop",),
    "on_epoch_begin": ("should_epoch_stop",),
    "on_step_begin": ("should_log", "should_evaluate", "should_save"),
    "on_evaluate": ("should_evaluate",),
    "on_save": ("should_save",),
    "on_log": ("should_log",),
}


class TrainerCallback:
    """Base of callbacks: override the events of interest.

    Each gets the training arguments, the `TrainerState` and the `TrainerControl`, and by keyword
    model, processing_class, optimizer, lr_scheduler, train_dataloader and eval_dataloader; on_log
    also logs, on_evaluate and on_predict also metrics. What it returns, if anything, replaces the
    control.
    """

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Trainer has been made."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Training is about to begin."""

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Training is over."""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """An epoch begins."""

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """An epoch is over."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """An optimizer step begins."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """The gradients are there, not yet clipped; the weights are as before the step.

        Overriding this takes the fused step apart into its calls, which is a little slower."""

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """The weights have been updated."""

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """A batch of an accumulated step, other than its last, has been seen."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """An optimizer step is over."""

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """An evaluation is over."""

    def on_predict(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """A prediction is over."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """A checkpoint has been saved."""

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Something has been logged."""

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """A batch of an evaluation or a prediction is done."""


class CallbackHandler:
    """Calls the callbacks in order."""

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self.callbacks: list[Any] = []
        self.shared: dict[str, Any] = {}
        for callback in callbacks:
            self.add_callback(callback)

    def add_callback(self, callback: Any) -> None:
        """Adds a callback, or a new one of a class."""
        instance = callback() if isinstance(callback, type) else callback
        missing = [event for event in EVENTS if not callable(getattr(instance, event, None))]
        if missing:
            raise TypeError(
                f"a callback must be a TrainerCallback, {type(instance).__name__} lacks "
                f"{', '.join(missing)}"
            )
        if any(type(other) is type(instance) for other in self.callbacks):
            logger.warning("there is a %s among the callbacks already", type(instance).__name__)
        self.callbacks.append(instance)

    def pop_callback(self, callback: Any) -> Any:
        """Removes a callback, or the first of a class, and returns it; None where there is none."""
        for other in self.callbacks:
            if isinstance(other, callback) if isinstance(callback, type) else other is callback:
                self.callbacks.remove(other)
                return other
        return None

    def overrides(self, event: str) -> bool:
        """Whether any callback listens to an event."""
        for callback in self.callbacks:
            owner = next(base for base in type(callback).__mro__ if event in vars(base))
            if owner.__name__ != "TrainerCallback":
                return True
        return False

    def call(self, event: str, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Calls an event of all callbacks; returns the control."""
        for switch in _RESETS.get(event, ()):
            setattr(control, switch, False)
        for callback in self.callbacks:
            result = getattr(callback, event)(args, state, control, **self.shared, **kwargs)
            if result is not None:
                control = result
        return control


class DefaultFlowCallback(TrainerCallback):
    """Decides when to log, evaluate, save and stop, by the training arguments."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        step = state.global_step
        last = step >= state.max_steps
        if args.logging_strategy == "steps" and step % state.logging_steps == 0:
            control.should_log = True
        if step == 1 and args.logging_first_step:
            control.should_log = True
        due = step % state.eval_steps == 0 or last
        if args.eval_strategy == "steps" and due and args.eval_delay <= step:
            control.should_evaluate = True
        if args.save_strategy == "steps":
            due = state.save_steps > 0 and step % state.save_steps == 0
            control.should_save = control.should_save or due or last
        if last:
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if args.logging_strategy == "epoch":
            control.should_log = True
        if args.eval_strategy == "epoch" and args.eval_delay <= state.epoch:
            control.should_evaluate = True
        if args.save_strategy == "epoch":
            control.should_save = True


class ProgressCallback(TrainerCallback):
    """Shows progress bars, in a terminal or a notebook, and writes the logs beside them."""

    def __init__(self) -> None:
        self.training_bar: Any = None
        self.prediction_bar: Any = None

    @staticmethod
    def _bar(total: int, leave: bool) -> Any:
        from tqdm.auto import tqdm

        return tqdm(total=total, leave=leave, dynamic_ncols=True)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self.close()
        self.training_bar = self._bar(state.max_steps, True)
        self.training_bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.training_bar is not None:
            self.training_bar.update(state.global_step - self.training_bar.n)

    def on_prediction_step(
        self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
    ) -> Any:
        if self.prediction_bar is None:
            self.prediction_bar = self._bar(len(eval_dataloader), self.training_bar is None)
        self.prediction_bar.update(1)

    def _close_prediction(self) -> None:
        if self.prediction_bar is not None:
            self.prediction_bar.close()
            self.prediction_bar = None

    def close(self) -> None:
        """Ends the bars that are shown."""
        self._close_prediction()
        if self.training_bar is not None:
            self.training_bar.close()
            self.training_bar = None

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self._close_prediction()

    def on_predict(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self._close_prediction()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> Any:
        if self.training_bar is not None:
            self.training_bar.write(str(shortened(logs)))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self.close()


class PrinterCallback(TrainerCallback):
    """Prints the logs."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> Any:
        print(shortened(logs))


class EarlyStoppingCallback(TrainerCallback):
    """Stops training once the metric for the best model has not improved for a while.

    It needs load_best_model_at_end (or metric_for_best_model) and an evaluation strategy.
    """

    def __init__(
        self, early_stopping_patience: int = 1, early_stopping_threshold: float = 0.0
    ) -> None:
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold
        self.early_stopping_patience_counter = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if args.metric_for_best_model is None or args.eval_strategy == "no":
            raise ValueError(
                "EarlyStoppingCallback needs metric_for_best_model and an eval_strategy"
            )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> Any:
        name = args.metric_for_best_model.removeprefix("eval_")
        value = metrics.get(f"eval_{name}")
        if value is None:
            logger.warning("no eval_%s among the metrics: no early stopping", name)
            return
        better = np.greater if args.greater_is_better else np.less
        if state.best_metric is None or (
            better(value, state.best_metric)
            and abs(value - state.best_metric) > self.early_stopping_threshold
        ):
            self.early_stopping_patience_counter = 0
        else:
            self.early_stopping_patience_counter += 1
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True


def shortened(logs: dict[str, Any]) -> dict[str, Any]:
    """Logs as they are shown: four digits, without total_flos."""
    return {
        key: f"{value:.4g}" if isinstance(value, float) else value
        for key, value in logs.items()
        if key != "total_flos"
    }
