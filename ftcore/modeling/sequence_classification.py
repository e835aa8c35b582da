"""BERT and DistilBERT with a classifier on top, as transformers' classes of these names."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import pathlib
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ftcore import _core
from ftcore.devices import resolve_device, shown_device
from ftcore.hub import HUB_OPTIONS
from ftcore.modeling import gpu_arrays
from ftcore.modeling.checkpoint import as_float32, load_weights, save_weights
from ftcore.modeling.config import (
    BertConfig,
    DistilBertConfig,
    PretrainedConfig,
    as_config,
    load_config,
)
from ftcore.modeling.gpu_arrays import is_tensor
from ftcore.modeling.initialise import initialise
from ftcore.modeling.keywords import (
    check_saving_keywords,
    device_of_map,
    without_loading_keywords,
)
from ftcore.modeling.output import Loss, SequenceClassifierOutput
from ftcore.modeling.parameter import Parameter
from ftcore.seeding import dropout_seed
from ftcore.storage import sync_folder

logger = logging.getLogger(__name__)

Array = NDArray[Any]
_NUMBER_TYPES = ("float32", "float16", "bfloat16", "float64")


class KeysOfState(NamedTuple):
    """What `load_state_dict` did not find, and what it did not want."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class SequenceClassifier:
    """A classifier over sequences. Make one with `from_pretrained`, or new from a configuration.

    Calling it gives a `SequenceClassifierOutput`; NumPy arrays and lists in, NumPy out; torch
    tensors in, torch tensors out, and ``loss.backward()`` works either way. Tensors on the model's
    GPU stay there.
    """

    config_class: ClassVar[type[PretrainedConfig]]
    base_model_prefix: ClassVar[str]
    main_input_name: ClassVar[str] = "input_ids"
    input_names: ClassVar[tuple[str, ...]] = (
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "position_ids",
        "labels",
    )

    def __init__(self, config: PretrainedConfig) -> None:
        self._build(config)
        config = self.config
        initialise(list(self.parameters()), config.initializer_range, config.pad_token_id)

    def _build(self, config: PretrainedConfig, dropout: tuple[int, int] | None = None) -> None:
        """Makes the core, on the CPU, its weights unset; `dropout`: the seed and the runs to go on
        from."""
        config = as_config(config)
        if not isinstance(config, self.config_class):
            raise TypeError(
                f"{type(self).__name__} needs a {self.config_class.__name__}, "
                f"got {type(config).__name__}"
            )
        self.config = config
        self._core_config = config.core()  # whatever becomes of the configuration
        self.core = _core.Model(self._core_config)
        self._threads = 0
        if config.problem_type is not None:
            self.core.problem_type = config.problem_type
        self.training = True
        # Which AdamW each parameter's moments belong to, and whether they may be other than 0.
        self.moment_owners: dict[int, weakref.ref[Any]] = {}
        self.moments_used = False
        self._parameters = self._list_parameters()
        self._dropout_seed, self._runs = (dropout_seed(), 0) if dropout is None else dropout
        self._open_run: int | None = None
        self._before_autocast: str | None = None
        self._tf32: bool | None = None

    def _list_parameters(self) -> list[Parameter]:
        """The core's parameters in the order of Hugging Face's modules, weight before bias."""
        entries = [
            Parameter(self, index, name, shape, decays)
            for index, (name, shape, decays) in enumerate(self.core.parameters())
        ]
        modules: dict[str, list[Parameter]] = {}
        for entry in entries:
            modules.setdefault(entry.name.rpartition(".")[0], []).append(entry)
        return [entry for module in modules.values() for entry in module]

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: Any = None,
        ignore_mismatched_sizes: bool = False,
        device_map: Any = None,
        **kwargs: Any,
    ) -> SequenceClassifier:
        """Loads a model of a folder or of the hub, in evaluation mode, on the CPU or the one device
        that `device_map` names ("auto": a GPU, if one will do).

        Weights the file lacks (a new classifier) are initialised as Hugging Face does after the
        same seed. `kwargs` are fields of the configuration (num_labels, id2label, label2id,
        problem_type, dropouts) and options of the hub (revision, token, cache_dir, ...); those of
        transformers that ask for what happens anyway (dtype="float32", ...) do nothing. `config`
        may be transformers'.

        Raises OSError where files are missing, ValueError for files that are damaged or of another
        model or for a configuration or keyword that is not supported, TypeError for unknown ones,
        RuntimeError for a device that cannot be used.
        """
        kwargs = without_loading_keywords(kwargs)
        device = device_of_map(device_map)
        if config is None:
            config = cls.config_class.from_pretrained(pretrained_model_name_or_path, **kwargs)
        elif unknown := [key for key in kwargs if key not in HUB_OPTIONS]:
            raise TypeError(f"with config= given, {', '.join(unknown)} must be set in it")
        options = {key: kwargs[key] for key in HUB_OPTIONS if key in kwargs}
        model = cls.__new__(cls)
        model._build(config)
        report = load_weights(
            model.parameters(),
            f"{cls.base_model_prefix}.",
            pretrained_model_name_or_path,
            ignore_mismatched_sizes,
            **options,
        )
        missing = set(report.missing_keys)
        initialise(
            [p for p in model.parameters() if p.name in missing],
            model.config.initializer_range,
            model.config.pad_token_id,
        )
        report.log(cls.__name__, os.fspath(pretrained_model_name_or_path))
        return model.eval().to(device)

    @classmethod
    def from_weights(
        cls,
        config: Any,
        weights: Mapping[str, Any],
        dropout: tuple[int, int] | None = None,
    ) -> SequenceClassifier:
        """A model on the CPU of a configuration, which is copied, and of a state dict; `dropout`:
        the seed and the runs to go on from. Raises RuntimeError as `load_state_dict` does."""
        model = cls.__new__(cls)
        model._build(copy.deepcopy(config), dropout)
        model.load_state_dict(weights)
        return model

    # Modes, parameters, state

    def train(self, mode: bool = True) -> SequenceClassifier:
        """Switches dropout on (or off); returns the model."""
        self.training = mode
        return self

    def eval(self) -> SequenceClassifier:
        """Switches dropout off; returns the model."""
        return self.train(False)

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, in the order of Hugging Face's modules."""
        return iter(self._parameters)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) of each parameter."""
        return ((parameter.name, parameter) for parameter in self._parameters)

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """How many numbers the model has, all of them trainable."""
        del only_trainable
        return sum(
            parameter.numel()
            for parameter in self._parameters
            if not (exclude_embeddings and "_embeddings.weight" in parameter.name)
        )

    def state_dict(self) -> dict[str, NDArray[np.float32]]:
        """{name: float32 array}, sharing the model's memory: copy what is to outlive a step. Where
        that is a GPU's they are copies."""
        return {parameter.name: parameter.data for parameter in self._parameters}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> KeysOfState:
        """Copies NumPy arrays or torch tensors into the parameters.

        Raises RuntimeError, before anything is copied, for a wrong shape, or where strict for
        missing or unexpected keys.
        """
        wanted = {parameter.name: parameter for parameter in self._parameters}
        missing = [name for name in wanted if name not in state_dict]
        unexpected = [name for name in state_dict if name not in wanted]
        if strict and (missing or unexpected):
            raise RuntimeError(f"state dict lacks {missing} and has no place for {unexpected}")
        arrays = {name: as_float32(name, state_dict[name]) for name in wanted if name in state_dict}
        for name, array in arrays.items():
            if array.shape != wanted[name].shape:
                raise RuntimeError(
                    f"{name} has shape {array.shape}, but the model's is {wanted[name].shape}"
                )
        for name, array in arrays.items():
            wanted[name].write(array)
        return KeysOfState(missing, unexpected)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients; with set_to_none=False those that are there become zeros."""
        if set_to_none:
            self.core.zero_gradients()
        else:
            self.core.clear_gradients()

    @property
    def has_gradients(self) -> bool:
        """Whether a backward pass has run since the last `zero_grad`."""
        return self.core.has_gradients

    @property
    def num_labels(self) -> int:
        """How many labels the classifier tells apart."""
        return self.config.num_labels

    @property
    def device(self) -> Any:
        """Where the model is, such as cuda:0: a torch.device where torch is loaded, else a str."""
        return shown_device(self.core.device)

    def to(self, device: Any) -> SequenceClassifier:
        """Moves the model to "cpu", "cuda", "cuda:1", a GPU's number or a torch.device.

        Weights, gradients and an optimizer's moments move along; arrays and tensors that share the
        model's memory stay behind, with memory that is no longer the model's. Returns the model.

        Raises RuntimeError for a device that cannot be used, MemoryError where it has no room,
        ValueError for a type of number; the model is then what it was. None: no move, as in torch.
        """
        if device is None:
            return self
        if str(device).startswith("torch.") or device in _NUMBER_TYPES:
            raise ValueError(
                f".to({str(device)!r}) is not supported: weights are float32; for passes in 16 "
                "bits use torch.autocast, or bf16=True or fp16=True in TrainingArguments"
            )
        name = resolve_device(device)
        if name != self.core.device:
            self.leave_autocast()
            if self.core.device == "cpu":
                self._threads = self.core.threads
            backend, threads = ("auto", self._threads) if name == "cpu" else (name, 0)
            core = _core.Model(self._core_config, backend, threads)
            core.copy_state(self.core)
            self.core = core
            self.use_tf32(self._tf32)
            self.forget_run()
        return self

    def cuda(self, device: Any = None) -> SequenceClassifier:
        """Moves the model to a GPU, by default the first that will do; see `to`."""
        return self.to("cuda" if device is None else device)

    def cpu(self) -> SequenceClassifier:
        """Moves the model to the CPU; see `to`."""
        return self.to("cpu")

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Writes config.json and model.safetensors, which transformers loads too.

        Each file is replaced as a whole, or not at all. Raises OSError where that fails. `kwargs`
        are transformers' safe_serialization=True and push_to_hub=False, which change nothing;
        raises ValueError for other values, TypeError for other keywords.
        """
        check_saving_keywords(kwargs)
        folder = pathlib.Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.architectures = [type(self).__name__]
        # What is saved is float32, whatever it was loaded from.
        self.config.dtype = "float32"
        vars(self.config).pop("torch_dtype", None)
        save_weights(folder, self.parameters())
        as_config(self.config).save_pretrained(folder)
        sync_folder(folder)

    # Forward and backward

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        *,
        return_dict: bool | None = None,
        **unsupported: Any,
    ) -> Any:
        """A SequenceClassifierOutput of a padded batch; its tuple where return_dict is False.

        input_ids, attention_mask, token_type_ids, position_ids: [batch, length] integers (NumPy,
        lists or torch). labels: [batch] integers for one label of several, [batch] numbers for
        regression (num_labels=1), [batch, num_labels] numbers for several labels at once. Tensors
        may be on any device, and the output's are on that of the input's.

        Tensors, or arrays of CuPy, numba and others, that are all on the model's GPU are packed
        there, and nothing but the lengths of the rows is waited for; loss and logits are then
        tensors there, or arrays of a library that makes them by the array API (CuPy), or else
        NumPy's. Other batches are packed on the CPU, whose copy goes to the model's device.

        Raises ValueError for shapes, ids or labels out of range or sequences too long, TypeError
        for arguments that are not supported.
        """
        for name, value in {"inputs_embeds": inputs_embeds, **unsupported}.items():
            if value is not None and value is not False:
                raise TypeError(
                    f"{name} is not supported: {type(self).__name__} takes "
                    f"{', '.join(self.input_names)}"
                )
        if input_ids is None:
            raise ValueError("input_ids must be given")
        inputs: Sequence[Any] = (
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids,
            labels,
        )
        self.use_tf32(self._tf32)
        output = None
        if self.core.device != "cpu":
            inputs, output = gpu_arrays.call(self, inputs)
        if output is None:
            output = self._forward_from_host(inputs)
        return output.to_tuple() if return_dict is False else output

    __call__ = forward

    def _forward_from_host(self, inputs: Sequence[Any]) -> SequenceClassifierOutput:
        batch = self.pack(*inputs)
        if any(is_tensor(value) for value in inputs):
            from ftcore.modeling import torch_bridge

            self.follow_autocast(torch_bridge.autocast_precision(self.core.device))
            run, loss, logits = self.run(batch, torch_bridge.grad_enabled())
            device = next(value.device for value in inputs if is_tensor(value))
            tensors = torch_bridge.to_tensors(self, run, loss, logits, device)
            return SequenceClassifierOutput(*tensors)
        self.follow_autocast(None)
        run, loss, logits = self.run(batch, wants_gradient=inputs[-1] is not None)
        if loss is None or run is None:
            return SequenceClassifierOutput(None, logits)
        return SequenceClassifierOutput(Loss(loss, self, run), logits)

    def pack(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        labels: Any = None,
    ) -> _core.Batch:
        """The packed batch of a padded one, its labels as the loss takes them."""
        if labels is not None:
            labels = self._fit_labels(_as_array(labels))
        return _core.pack_padded(
            _as_array(input_ids),
            None if attention_mask is None else _as_array(attention_mask),
            None if token_type_ids is None else _as_array(token_type_ids),
            None if position_ids is None else _as_array(position_ids),
            labels,
        )

    def choose_problem(self, labels: Array | _core.GpuArray) -> str:
        """The configuration's problem_type, chosen by the labels' dtype where it is None."""
        if self.config.problem_type is None:
            if self.config.num_labels == 1:
                self.config.problem_type = "regression"
            elif labels.dtype.kind in "iu":
                self.config.problem_type = "single_label_classification"
            else:
                self.config.problem_type = "multi_label_classification"
        if self.core.problem_type != self.config.problem_type:
            self.core.problem_type = self.config.problem_type
        return self.config.problem_type

    def _fit_labels(self, labels: Array) -> Array:
        if self.choose_problem(labels) == "single_label_classification":
            if labels.dtype.kind not in "iu":
                raise TypeError(
                    f"labels must be integers for {self.config.problem_type}, not {labels.dtype}"
                )
            return labels.reshape(-1)
        width = self.config.num_labels
        if labels.size % width:
            raise ValueError(f"labels of shape {labels.shape} are not [batch, {width}]")
        return labels.reshape(-1, width).astype(np.float32)

    def run(
        self, batch: _core.Batch, wants_gradient: bool
    ) -> tuple[int | None, float | None, NDArray[np.float32]]:
        """(the run's number for `backward_of`, or None; the loss or None; logits)."""
        self._runs += 1
        loss, logits = self.core.forward(
            batch,
            training=self.training,
            seed=self._dropout_seed,
            step=self._runs,
            keep=wants_gradient,
        )
        self._open_run = self._runs if wants_gradient else None
        return self._open_run, loss, logits

    def run_padded(
        self, inputs: gpu_arrays.Arrays, outputs: gpu_arrays.Arrays, wants_gradient: bool
    ) -> tuple[int | None, tuple[Any, ...]] | None:
        """(the run's number, as of `run`; what the core returned) of a padded batch on the model's
        GPU; None, and there was no run, where it must be packed on the host."""
        ids, mask, types, positions, labels = inputs
        loss, logits = outputs
        assert ids is not None
        results = self.core.forward_padded(
            ids,
            mask,
            types,
            positions,
            labels,
            loss,
            logits,
            training=self.training,
            seed=self._dropout_seed,
            step=self._runs + 1,
            keep=wants_gradient,
        )
        if results is None:
            return None
        self._runs += 1
        self._open_run = self._runs if wants_gradient else None
        return self._open_run, results

    def follow_autocast(self, precision: str | None) -> None:
        """Changes to torch.autocast's precision, or, out of it again, to what was before.

        Not at the end of the `with`, of which the model does not know: backward comes after it.
        """
        if precision is None:
            self.leave_autocast()
        else:
            self._before_autocast = self._before_autocast or self.core.precision
            self.core.precision = precision

    def leave_autocast(self) -> None:
        """Changes back to the precision before a torch.autocast in which the model was called."""
        if self._before_autocast is not None:
            self.core.precision, self._before_autocast = self._before_autocast, None

    def use_tf32(self, tf32: bool | None) -> bool | None:
        """From now on products of float32 numbers may be TensorFloat-32's, or not, where the device
        has those; None: as torch's on a GPU, at each call. Returns what was asked for before."""
        before, self._tf32 = self._tf32, tf32
        if self.core.device != "cpu":
            if tf32 is None:
                tf32 = _torch_allows_tf32()
            with contextlib.suppress(ValueError):  # this GPU has none, as torch finds too
                self.core.tf32 = tf32
        return before

    def backward_of(self, run: int, loss_scale: float, dlogits: NDArray[np.float32] | None) -> None:
        """Adds d(loss_scale * loss + sum(dlogits * logits)) to the gradients, once for each run.

        Raises RuntimeError for a run that has been through backward, or that another or one of
        Trainer's followed.
        """
        self.take_run(run)
        self.core.backward(loss_scale, dlogits)

    def take_run(self, run: int) -> None:
        """Lets a run be gone back through, once; raises as `backward_of` does."""
        if run != self._open_run:
            _refuse_run(run, self._runs)
        self._open_run = None

    def forget_run(self) -> None:
        """Lets go of the latest run, whose activations another user of the core overwrites."""
        self._open_run = None

    def __reduce__(self) -> Any:
        # Copies and pickles have memory of their own; gradients and moments are not in them.
        dropout = (self._dropout_seed, self._runs)
        state = (self.state_dict(), self.training, dropout, self.core.device)
        return _restore, (type(self), self.config, *state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_parameters():,} parameters)"


class BertForSequenceClassification(SequenceClassifier):
    """BERT (Devlin et al. 2018) with a pooler and a classifier."""

    config_class = BertConfig
    base_model_prefix = "bert"


class DistilBertForSequenceClassification(SequenceClassifier):
    """DistilBERT (Sanh et al. 2019) with a pre-classifier and a classifier."""

    config_class = DistilBertConfig
    base_model_prefix = "distilbert"
    input_names = ("input_ids", "attention_mask", "position_ids", "labels")

    def pack(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        labels: Any = None,
    ) -> _core.Batch:
        """The packed batch of a padded one; token types other than 0 are refused."""
        if token_type_ids is not None and _as_array(token_type_ids).any():
            raise ValueError(
                "DistilBERT has no token types: leave token_type_ids out, or load the tokenizer "
                "from the DistilBERT checkpoint, which gives none"
            )
        return super().pack(input_ids, attention_mask, None, position_ids, labels)


CLASSES: dict[type[PretrainedConfig], type[SequenceClassifier]] = {
    model.config_class: model
    for model in (BertForSequenceClassification, DistilBertForSequenceClassification)
}


class AutoModelForSequenceClassification:
    """Makes the classifier that a configuration asks for."""

    def __init__(self) -> None:
        raise OSError(
            "AutoModelForSequenceClassification is made by its from_pretrained(name_or_path) or "
            "from_config(config)"
        )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> SequenceClassifier:
        """See `SequenceClassifier.from_pretrained`."""
        own = ("config", "ignore_mismatched_sizes", "device_map")
        kwargs = without_loading_keywords(kwargs)
        config = kwargs.get("config")
        if config is not None:
            config = kwargs["config"] = as_config(config)
        else:
            fields = {key: value for key, value in kwargs.items() if key not in own}
            config = load_config(pretrained_model_name_or_path, **fields)
            kwargs = {k: v for k, v in kwargs.items() if k in own or k in HUB_OPTIONS}
            kwargs["config"] = config
        return cls._class_of(config).from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_config(cls, config: Any) -> SequenceClassifier:
        """A new model with initial weights; `config` may be transformers'."""
        config = as_config(config)
        return cls._class_of(config)(config)

    @staticmethod
    def _class_of(config: Any) -> type[SequenceClassifier]:
        model = CLASSES.get(type(config))
        if model is None:
            raise TypeError(
                f"config must be one of {', '.join(c.__name__ for c in CLASSES)}, "
                f"got {type(config).__name__}"
            )
        return model


def _restore(
    cls: type[SequenceClassifier],
    config: PretrainedConfig,
    weights: Mapping[str, NDArray[np.float32]],
    training: bool,
    dropout: tuple[int, int],
    device: str = "cpu",
) -> SequenceClassifier:
    """Undoes __reduce__."""
    model = cls.from_weights(config, weights, dropout)
    try:
        model.to(device)
    except RuntimeError as error:
        logger.warning("a model of %s is loaded on the CPU: %s", device, error)
    return model.train(training)


def _torch_allows_tf32() -> bool:
    if sys.modules.get("torch") is None:  # None: to be imported by nobody
        return False
    from ftcore.modeling import torch_bridge

    return torch_bridge.allows_tf32()


def _as_array(value: Any) -> Array:
    """A NumPy array of lists, arrays, or torch tensors."""
    if is_tensor(value):
        if value.device.type not in ("cpu", "cuda"):
            raise ValueError(f"inputs must be on the CPU or a GPU, not on {value.device}")
        return value.detach().cpu().numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            "rows of different lengths are no batch: pad them: tokenizer(..., padding=True)"
        ) from error


def _refuse_run(run: int, latest: int) -> NoReturn:
    if run < latest:
        raise RuntimeError(
            "backward() must come before the model's next call: activations are kept for the "
            "latest one only"
        )
    raise RuntimeError(
        "backward() has already been called on this output, or Trainer has run the model since: "
        "run the model again"
    )
