"""TrainingArguments: transformers' names and defaults.

Every option that transformers 5 has is known. One that ftcore does not implement must keep its
default value; another value is refused by name, with what to do instead.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import math
import os
from typing import Any

from ftcore.devices import default_device, shown_device, why_no_gpu
from ftcore.optimization import SCHEDULE_NAMES
from ftcore.scalars import plain_number

_ONE_PROCESS = "training runs in one process; leave it out"
_NO_HUB = "upload the saved folder with huggingface_hub's upload_folder"
_IN_C = "batches are made in C in this process; leave it out"
_NO_COMPILER = "the step is compiled C already; leave it out"

# What to do instead of each option that is not implemented.
_ALTERNATIVES = {
    "lr_scheduler_kwargs": "the schedules take none; leave it out",
    "optim_args": "set adam_beta1, adam_beta2 and adam_epsilon",
    "optim_target_modules": "all parameters are trained; leave it out",
    "label_smoothing_factor": "train without it",
    "activation_checkpointing": "activations of packed batches are small; lower the batch size",
    "activation_checkpointing_kwargs": "leave it out",
    "gradient_checkpointing": "activations of packed batches are small; lower the batch size",
    "gradient_checkpointing_kwargs": "leave it out",
    "torch_compile": _NO_COMPILER,
    "torch_compile_backend": _NO_COMPILER,
    "torch_compile_mode": _NO_COMPILER,
    "use_liger_kernel": _NO_COMPILER,
    "liger_kernel_config": _NO_COMPILER,
    "use_cache": "classifiers have no cache; leave it out",
    "neftune_noise_alpha": "train without it",
    "torch_empty_cache_steps": "the step allocates nothing; leave it out",
    "auto_find_batch_size": "set per_device_train_batch_size",
    "logging_nan_inf_filter": "a loss that is not finite always raises FloatingPointError",
    "include_num_input_tokens_seen": "count tokens in a TrainerCallback",
    "log_level_replica": _ONE_PROCESS,
    "report_to": "log from a TrainerCallback's on_log, or read trainer.state.log_history",
    "project": "it belongs to reporting services, which are not called",
    "trackio_space_id": "it belongs to reporting services, which are not called",
    "trackio_bucket_id": "it belongs to reporting services, which are not called",
    "trackio_static_space_id": "it belongs to reporting services, which are not called",
    "eval_do_concat_batches": "predictions come as one array; split it",
    "eval_use_gather_object": _ONE_PROCESS,
    "include_for_metrics": "compute_metrics gets predictions and labels; close over the inputs",
    "batch_eval_metrics": "compute_metrics gets all predictions at once",
    "enable_jit_checkpoint": "set save_steps",
    "push_to_hub": _NO_HUB,
    "hub_token": _NO_HUB,
    "hub_private_repo": _NO_HUB,
    "hub_model_id": _NO_HUB,
    "hub_strategy": _NO_HUB,
    "hub_always_push": _NO_HUB,
    "hub_revision": _NO_HUB,
    "ignore_data_skip": "resuming skips at no cost; leave it out",
    "restore_callback_states_from_checkpoint": "make the callbacks anew",
    "accelerator_config": _ONE_PROCESS,
    "parallelism_config": _ONE_PROCESS,
    "dataloader_num_workers": _IN_C,
    "dataloader_persistent_workers": _IN_C,
    "dataloader_prefetch_factor": _IN_C,
    "dataloader_multiprocessing_context": _IN_C,
    "dataloader_in_order": _IN_C,
    "label_names": 'name the column "labels", "label" or "label_ids"',
    "length_column_name": "rows are not grouped by length; leave it out",
    "ddp_find_unused_parameters": _ONE_PROCESS,
    "ddp_bucket_cap_mb": _ONE_PROCESS,
    "ddp_broadcast_buffers": _ONE_PROCESS,
    "ddp_static_graph": _ONE_PROCESS,
    "ddp_backend": _ONE_PROCESS,
    "fsdp": _ONE_PROCESS,
    "fsdp_config": _ONE_PROCESS,
    "deepspeed": _ONE_PROCESS,
    "debug": "leave it out",
    "skip_memory_metrics": "measure the process from outside",
}

# Names that transformers had before version 5.
_RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "group_by_length": 'train_sampling_strategy (of which "random" and "sequential" are supported)',
    "include_inputs_for_metrics": "a compute_metrics that closes over the inputs",
    "logging_dir": "a TrainerCallback that writes the logs",
    "no_cuda": "use_cpu",
    "overwrite_output_dir": "nothing: checkpoints of the same step are always replaced",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "save_safetensors": "nothing: weights are always saved as safetensors",
    "warmup_ratio": "warmup_steps, a share of all steps where it is below 1",
}


class IntervalStrategy(enum.StrEnum):
    """When to log or evaluate."""

    NO = "no"
    STEPS = "steps"
    EPOCH = "epoch"


class SaveStrategy(enum.StrEnum):
    """When to save a checkpoint."""

    NO = "no"
    STEPS = "steps"
    EPOCH = "epoch"
    BEST = "best"


@dataclasses.dataclass(init=False)
class TrainingArguments:
    """How to train: transformers' TrainingArguments, its names, order and defaults.

    num_threads is ftcore's own: on how many threads the model runs from the next train, evaluate or
    predict on. None leaves it as it is: OMP_NUM_THREADS, or the processors at hand. tf32 is of this
    run alone: torch's own setting, which counts where it is None, is not changed.

    Raises TypeError for a name that transformers does not have, ValueError for a value that is
    wrong or not supported.
    """

    output_dir: str = None  # type: ignore[assignment]
    per_device_train_batch_size: int = 8
    num_train_epochs: float = 3.0
    max_steps: int = -1
    learning_rate: float = 5e-5
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict | str | None = None
    warmup_steps: float = 0
    optim: str = "adamw_torch_fused"
    optim_args: str | None = None
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    optim_target_modules: None | str | list[str] = None
    gradient_accumulation_steps: int = 1
    average_tokens_across_devices: bool = True
    max_grad_norm: float = 1.0
    label_smoothing_factor: float = 0.0
    bf16: bool = False
    fp16: bool = False
    bf16_full_eval: bool = False
    fp16_full_eval: bool = False
    tf32: bool | None = None
    activation_checkpointing: bool | None = None
    activation_checkpointing_kwargs: dict[str, Any] | str | None = None
    gradient_checkpointing: bool | None = None
    gradient_checkpointing_kwargs: dict[str, Any] | str | None = None
    torch_compile: bool = False
    torch_compile_backend: str | None = None
    torch_compile_mode: str | None = None
    use_liger_kernel: bool = False
    liger_kernel_config: dict[str, bool] | None = None
    use_cache: bool = False
    neftune_noise_alpha: float | None = None
    torch_empty_cache_steps: int | None = None
    auto_find_batch_size: bool = False
    logging_strategy: IntervalStrategy = IntervalStrategy.STEPS
    logging_steps: float = 500
    logging_first_step: bool = False
    log_on_each_node: bool = True
    logging_nan_inf_filter: bool = True
    include_num_input_tokens_seen: str | bool = "no"
    log_level: str = "passive"
    log_level_replica: str = "warning"
    disable_tqdm: bool | None = None
    report_to: None | str | list[str] = "none"
    run_name: str | None = None
    project: str = "huggingface"
    trackio_space_id: str | None = None
    trackio_bucket_id: str | None = None
    trackio_static_space_id: str | None = None
    eval_strategy: IntervalStrategy = IntervalStrategy.NO
    eval_steps: float | None = None
    eval_delay: float = 0
    per_device_eval_batch_size: int = 8
    prediction_loss_only: bool = False
    eval_on_start: bool = False
    eval_do_concat_batches: bool = True
    eval_use_gather_object: bool = False
    eval_accumulation_steps: int | None = None
    include_for_metrics: list[str] = dataclasses.field(default_factory=list)
    batch_eval_metrics: bool = False
    save_only_model: bool = False
    save_strategy: SaveStrategy = SaveStrategy.STEPS
    save_steps: float = 500
    save_on_each_node: bool = False
    save_total_limit: int | None = None
    enable_jit_checkpoint: bool = False
    push_to_hub: bool = False
    hub_token: str | None = None
    hub_private_repo: bool | None = None
    hub_model_id: str | None = None
    hub_strategy: str = "every_save"
    hub_always_push: bool = False
    hub_revision: str | None = None
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None
    greater_is_better: bool | None = None
    ignore_data_skip: bool = False
    restore_callback_states_from_checkpoint: bool = False
    full_determinism: bool = False
    seed: int = 42
    data_seed: int | None = None
    use_cpu: bool = False
    accelerator_config: dict | str | None = None
    parallelism_config: Any = None
    dataloader_drop_last: bool = False
    dataloader_num_workers: int = 0
    dataloader_pin_memory: bool = True
    dataloader_persistent_workers: bool = False
    dataloader_prefetch_factor: int | None = None
    dataloader_multiprocessing_context: str | None = None
    dataloader_in_order: bool = True
    remove_unused_columns: bool = True
    label_names: list[str] | None = None
    train_sampling_strategy: str = "random"
    length_column_name: str = "length"
    ddp_find_unused_parameters: bool | None = None
    ddp_bucket_cap_mb: int | None = None
    ddp_broadcast_buffers: bool | None = None
    ddp_static_graph: bool | None = None
    ddp_backend: str | None = None
    ddp_timeout: int = 1800
    fsdp: str | None = None
    fsdp_config: dict[str, Any] | str | None = None
    deepspeed: dict | str | None = None
    debug: str | list[str] = ""
    skip_memory_metrics: bool = True
    do_train: bool = False
    do_eval: bool = False
    do_predict: bool = False
    resume_from_checkpoint: str | None = None
    local_rank: int = -1
    num_threads: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields = dataclasses.fields(self)
        if len(args) > len(fields):
            raise TypeError(f"TrainingArguments takes at most {len(fields)} arguments")
        given = dict(zip((field.name for field in fields), args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                raise TypeError(f"TrainingArguments got {name!r} twice")
            given[name] = value
        defaults = _defaults(fields)
        for name in given:
            if name not in defaults:
                raise TypeError(_unknown(name))
        for name, default in defaults.items():
            setattr(self, name, given.get(name, default))
        self.check()

    def check(self) -> None:
        """Looks at all values, which may have been set since the arguments were made.

        Raises ValueError for one that is wrong or not supported.
        """
        for field in dataclasses.fields(self):
            setattr(self, field.name, plain_number(getattr(self, field.name)))
        self._refuse_unsupported()
        self._check_numbers()
        self._check_precision()
        self._settle()

    def _refuse_unsupported(self) -> None:
        defaults = _defaults(dataclasses.fields(self))
        if self.report_to in ("all", ["all"], ["none"], None):
            self.report_to = "none"
        for name, alternative in _ALTERNATIVES.items():
            value, default = getattr(self, name), defaults[name]
            # None, False, "", [] and {} switch off what these and "no" leave off.
            off = value in (None, False, "", [], {}) and default in (
                None,
                False,
                "no",
                "none",
                "",
                [],
            )
            if value != default and not off and (name, value) != ("label_names", ["labels"]):
                raise ValueError(
                    f"TrainingArguments({name}={value!r}) is not supported: {alternative}"
                )
            setattr(self, name, default if off else value)
        optim = str(getattr(self.optim, "value", self.optim))
        if optim not in ("adamw_torch", "adamw_torch_fused"):
            raise ValueError(
                f'TrainingArguments(optim={optim!r}) is not supported: only "adamw_torch" and '
                '"adamw_torch_fused" are, which are the same here'
            )
        self.optim = optim
        if self.train_sampling_strategy not in ("random", "sequential"):
            raise ValueError(
                f"TrainingArguments(train_sampling_strategy={self.train_sampling_strategy!r}) is "
                'not supported: "random" and "sequential" are; packed batches have no padding '
                "that grouping by length would save"
            )

    def _check_numbers(self) -> None:
        for name in (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        for name in (
            "learning_rate",
            "weight_decay",
            "adam_epsilon",
            "max_grad_norm",
            "warmup_steps",
            "eval_delay",
        ):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}")
        for name in ("adam_beta1", "adam_beta2"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
        if not _is_number(self.num_train_epochs) or not _is_number(self.max_steps):
            raise ValueError("num_train_epochs and max_steps must be numbers")
        if self.max_steps != int(self.max_steps):
            raise ValueError(f"max_steps must be an integer, got {self.max_steps!r}")
        threads = self.num_threads
        if threads is not None and (
            isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024
        ):
            raise ValueError(
                "num_threads must be an integer from 1 to 1024, or None to leave the choice to "
                f"OpenMP, got {threads!r}"
            )
        for name in ("seed", "data_seed"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32
            ):
                raise ValueError(f"{name} must be an integer from 0 to 2**32 - 1, got {value!r}")

    def _check_precision(self) -> None:
        for name in ("bf16", "bf16_full_eval", "fp16", "fp16_full_eval", "use_cpu"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if not isinstance(self.tf32, bool | None):
            raise ValueError(f"tf32 must be True, False or None, got {self.tf32!r}")
        if self.tf32:
            self._need_gpu("tf32", "TensorFloat-32", "leave it out")
        for name in ("fp16", "fp16_full_eval"):
            if not getattr(self, name):
                continue
            other = name.replace("fp", "bf")
            if getattr(self, other):
                raise ValueError(f"{name} and {other} cannot both be True")
            self._need_gpu(name, "float16", f"on the CPU use {other}=True")

    def _need_gpu(self, name: str, what: str, instead: str) -> None:
        if self._device_name == "cpu":
            why = "" if self.use_cpu else f", and {why_no_gpu()}"
            raise ValueError(
                f"TrainingArguments({name}=True) is not supported on the CPU: {what} is for "
                f"GPUs{why}; {instead}"
            )

    def _settle(self) -> None:
        """Turns names into their enumerations, and fills in what follows from the rest."""
        self.output_dir = os.path.expanduser(
            "trainer_output" if self.output_dir is None else os.fspath(self.output_dir)
        )
        self.eval_strategy = _member(IntervalStrategy, "eval_strategy", self.eval_strategy)
        self.logging_strategy = _member(IntervalStrategy, "logging_strategy", self.logging_strategy)
        self.save_strategy = _member(SaveStrategy, "save_strategy", self.save_strategy)
        self.lr_scheduler_type = str(
            getattr(self.lr_scheduler_type, "value", self.lr_scheduler_type)
        )
        if self.lr_scheduler_type not in SCHEDULE_NAMES:
            raise ValueError(
                f"TrainingArguments(lr_scheduler_type={self.lr_scheduler_type!r}) is not "
                f"supported: supported are {', '.join(SCHEDULE_NAMES)}"
            )
        self.report_to = []
        if self.disable_tqdm is None:
            self.disable_tqdm = False
        if self.eval_strategy != "no":
            self.do_eval = True
        if self.eval_strategy == "steps" and not self.eval_steps:
            self.eval_steps = self.logging_steps
        for kind, strategy in (
            ("logging", self.logging_strategy),
            ("eval", self.eval_strategy),
            ("save", self.save_strategy),
        ):
            if strategy == "steps":
                self._settle_steps(f"{kind}_steps")
        if self.load_best_model_at_end:
            self.metric_for_best_model = self.metric_for_best_model or "loss"
            self._check_best()
        if self.save_strategy == "best" and self.metric_for_best_model is None:
            raise ValueError('save_strategy="best" needs metric_for_best_model')
        if self.greater_is_better is None and self.metric_for_best_model is not None:
            self.greater_is_better = not self.metric_for_best_model.endswith("loss")

    def _settle_steps(self, name: str) -> None:
        steps = getattr(self, name)
        if not _is_number(steps) or steps <= 0 or (steps > 1 and steps != int(steps)):
            raise ValueError(
                f"{name} must be an integer of at least 1, or a share of all steps below 1, "
                f"got {steps!r}"
            )
        if steps >= 1:
            setattr(self, name, int(steps))

    def _check_best(self) -> None:
        if self.save_strategy == "best":
            return
        if self.eval_strategy != self.save_strategy:
            raise ValueError(
                "load_best_model_at_end needs eval_strategy and save_strategy to be the same, got "
                f"{self.eval_strategy.value!r} and {self.save_strategy.value!r}"
            )
        if self.eval_strategy == "steps":
            save, every = self.save_steps, self.eval_steps or self.logging_steps
            ratio = save / every
            if (save < 1) != (every < 1) or abs(ratio - round(ratio)) > 1e-9:
                raise ValueError(
                    "load_best_model_at_end needs save_steps to be a multiple of eval_steps, got "
                    f"{self.save_steps} and {self.eval_steps}"
                )

    @property
    def train_batch_size(self) -> int:
        """Rows of a training batch."""
        return self.per_device_train_batch_size

    @property
    def eval_batch_size(self) -> int:
        """Rows of an evaluation batch."""
        return self.per_device_eval_batch_size

    @property
    def device(self) -> Any:
        """Where training runs: the first GPU that will do, "cuda:0", or the CPU where there is none
        or use_cpu is set. Of several GPUs one is used. A torch.device where torch is loaded, else a
        str."""
        return shown_device(self._device_name)

    @property
    def _device_name(self) -> str:
        return "cpu" if self.use_cpu else default_device()

    @property
    def n_gpu(self) -> int:
        """How many GPUs are used."""
        return int(self._device_name != "cpu")

    world_size = 1
    process_index = 0
    local_process_index = 0
    should_save = True
    should_log = True

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """The number of warm-up steps: warmup_steps, or that share of all where it is below 1."""
        if self.warmup_steps >= 1:
            return int(self.warmup_steps)
        return math.ceil(num_training_steps * self.warmup_steps)

    def get_process_log_level(self) -> int:
        """The level that log_level names; "passive" leaves what is set."""
        level = self.log_level if isinstance(self.log_level, str) else None
        if level == "passive":
            return logging.getLogger("ftcore").level
        number = logging.getLevelName(level.upper()) if level else self.log_level
        if not isinstance(number, int):
            raise ValueError(f"log_level {self.log_level!r} is no level of Python's logging")
        return number

    def to_dict(self) -> dict[str, Any]:
        """{name: value}, as JSON can hold it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: value.value if isinstance(value, enum.Enum) else value
            for name, value in values.items()
        }

    def to_json_string(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def as_training_arguments(args: Any) -> TrainingArguments:
    """ftcore's TrainingArguments of transformers', or ftcore's own, checked once more."""
    if isinstance(args, TrainingArguments):
        args.check()
        return args
    if not any(base.__name__ == "TrainingArguments" for base in type(args).__mro__):
        raise TypeError(f"args must be TrainingArguments, got {type(args).__name__}")
    values = {}
    for field in dataclasses.fields(TrainingArguments):
        if hasattr(args, field.name):  # Not every version 5 has every option.
            value = getattr(args, field.name)
            values[field.name] = getattr(value, "value", value)
    # transformers fills these in by itself; for one process on the CPU they say nothing.
    config = args.accelerator_config
    if config is not None and config == type(config)():
        values["accelerator_config"] = None
    values["local_rank"] = -1
    return TrainingArguments(**values)


def _defaults(fields: tuple[dataclasses.Field, ...]) -> dict[str, Any]:
    return {
        field.name: (
            field.default
            if field.default_factory is dataclasses.MISSING
            else field.default_factory()
        )
        for field in fields
    }


def _unknown(name: str) -> str:
    message = f"TrainingArguments got an unexpected keyword {name!r}"
    if name in _RENAMED:
        message += f": since transformers 5 it is {_RENAMED[name]}"
    return message


def _member(kind: type[enum.Enum], name: str, value: Any) -> Any:
    try:
        return kind(getattr(value, "value", value))
    except ValueError:
        names = ", ".join(member.value for member in kind)
        raise ValueError(f"{name} must be one of {names}, got {value!r}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
