"""transformers' classifiers as Trainer takes them: one of ftcore's is trained in their place."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ftcore.modeling.config import as_config
from ftcore.modeling.sequence_classification import CLASSES, SequenceClassifier

_BY_NAME = {model.__name__: model for model in CLASSES.values()}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Original:
    """A transformers model, and one of ftcore's that computes in its place.

    Weights are copied between them: each has memory of its own, wherever that is. The configuration
    is the source's own.
    """

    def __init__(self, source: Any) -> None:
        """Raises TypeError for a model of another class, ValueError for one that is not as its
        configuration makes it."""
        kind = type(source)
        if not kind.__module__.startswith("transformers.models.") or kind.__name__ not in _BY_NAME:
            raise TypeError(
                f"model must be ftcore's or transformers' {' or '.join(_BY_NAME)}, "
                f"got {kind.__name__}: load one with "
                "AutoModelForSequenceClassification.from_pretrained"
            )
        _check(source)
        self.source = source
        self.model: SequenceClassifier = _BY_NAME[kind.__name__].from_weights(
            source.config, dict(source.named_parameters())
        )
        self._sizes = self.model.config.core()
        self.model.config = source.config
        self._training = False

    def take(self) -> None:
        """Copies the source's weights into the model, but for while that is being trained.

        Raises ValueError for a source that was changed so that it would have been refused, or that
        has other sizes now.
        """
        if self._training:
            return
        _check(self.source)
        if as_config(self.source.config).core() != self._sizes:
            raise ValueError(
                f"this {type(self.source).__name__} has other sizes or dropouts than when it was "
                "given to Trainer: make another Trainer"
            )
        self.model.config = self.source.config
        self.model.load_state_dict(dict(self.source.named_parameters()))

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Copies the model's weights into the source in the end, in failure too.

        Raises ValueError for a source that is to be trained in another way.
        """
        import torch

        _check_trainable(self.source)
        self.source.zero_grad()  # as training it would
        self._training = True
        try:
            yield
        finally:
            self._training = False
            given = dict(self.source.named_parameters())
            with torch.no_grad():
                for trained in self.model.parameters():
                    # torch warns of arrays that cannot be written, as a GPU's copies are.
                    array = np.require(trained.data, requirements="W")
                    given[trained.name].copy_(torch.from_numpy(array))


def _check(source: Any) -> None:
    torch = sys.modules["torch"]
    for name, parameter in source.named_parameters():
        if parameter.dtype != torch.float32:
            raise ValueError(
                f"{name} is {parameter.dtype}, but weights must be float32: load the model with "
                "dtype=torch.float32, and pass bf16=True or fp16=True for a step in 16 bits"
            )
        if parameter.is_meta:
            raise ValueError(f"{name} is a meta tensor, which has no numbers: load the weights")
    for name, module in source.named_modules():
        name = name or type(source).__name__
        hooks = [hook for kind in _HOOKS for hook in getattr(module, kind).values()]
        # Those of transformers' own note outputs; a call with output_attentions=True leaves them.
        if not all(
            str(getattr(hook, "__module__", "")).startswith("transformers.") for hook in hooks
        ):
            raise ValueError(f"{name} has hooks, which ftcore's step would not call: remove them")
        if "forward" in vars(module):
            raise ValueError(
                f"{name} was given another forward, which ftcore's step would not call: load the "
                "model anew"
            )
    _check_structure(source)


def _check_trainable(source: Any) -> None:
    for name, parameter in source.named_parameters():
        if not parameter.requires_grad:
            raise ValueError(
                f"{name} has requires_grad=False, which is not supported: ftcore's step trains all "
                "parameters"
            )
        if parameter.is_inference():
            raise ValueError(
                f"{name} was made in torch.inference_mode(), so that it cannot be trained: load "
                "the model outside of it"
            )
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            raise ValueError(f"{name} has hooks, which ftcore's step would not call: remove them")
    for name, module in source.named_modules():
        if getattr(module, "gradient_checkpointing", False):
            raise ValueError(
                f"gradient checkpointing of {name} is not supported: switch it off, by "
                "gradient_checkpointing_disable()"
            )


def _check_structure(source: Any) -> None:
    """Raises ValueError unless modules and parameters are those that the configuration makes."""
    torch = sys.modules["torch"]
    with torch.device("meta"):
        plain = type(source)(copy.deepcopy(source.config))
    found, made = _modules(source), _modules(plain)
    for name in found | made:
        if found.get(name) != made.get(name):
            raise ValueError(
                f"{name} is {_shown(found.get(name))}, but the model's configuration makes it "
                f"{_shown(made.get(name))}: change it there, as with from_pretrained(..., "
                "hidden_dropout_prob=0.2)"
            )
    wanted = {name for name, _ in plain.named_parameters()}
    names: dict[int, str] = {}
    for name, parameter in source.named_parameters(remove_duplicate=False):
        if name not in wanted:
            raise ValueError(f"{name} is no parameter of a {type(source).__name__}: remove it")
        if (other := names.setdefault(id(parameter), name)) != name:
            raise ValueError(
                f"{other} and {name} are one parameter, but ftcore trains them apart: give each "
                "its own"
            )


def _modules(model: Any) -> dict[str, tuple[type, str]]:
    """{name: (class, arguments)}, by which modules that were exchanged or changed show."""
    return {
        name: (type(module), module.extra_repr())
        for name, module in model.named_modules(remove_duplicate=False)
    }


def _shown(module: tuple[type, str] | None) -> str:
    return "none" if module is None else f"{module[0].__name__}({module[1]})"
