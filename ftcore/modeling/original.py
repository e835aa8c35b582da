"""transformers' classifiers in the place of ftcore's: taken as they are, and given back trained."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator
from typing import Any

from ftcore.modeling.sequence_classification import CLASSES, SequenceClassifier

_BY_NAME = {model.__name__: model for model in CLASSES.values()}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Original:
    """A transformers model, and one of ftcore's that computes in its place.

    Weights are copied between them: each has memory of its own, wherever that is.
    """

    def __init__(self, source: Any) -> None:
        """Raises TypeError for a model of another class, ValueError for one that is not as its
        configuration makes it, or that is to be trained in another way."""
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
            source.config, self._weights()
        )
        self._training = False

    def _weights(self) -> dict[str, Any]:
        return dict(self.source.named_parameters())

    def take(self) -> None:
        """Copies the source's weights into the model, but for while that is being trained.

        Raises ValueError for a source that was changed so that it would have been refused.
        """
        if not self._training:
            _check(self.source)
            self.model.load_state_dict(self._weights())

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Copies the model's weights into the source in the end, in failure too."""
        import torch

        self._training = True
        try:
            yield
        finally:
            self._training = False
            trained = self.model.state_dict()
            with torch.no_grad():
                for name, parameter in self._weights().items():
                    parameter.copy_(torch.from_numpy(trained[name]))


def _check(source: Any) -> None:
    torch = sys.modules["torch"]
    name = type(source).__name__
    for key, parameter in source.named_parameters():
        if not parameter.requires_grad:
            raise ValueError(
                f"{key} has requires_grad=False, which is not supported: ftcore's step trains all "
                "parameters"
            )
        if parameter.dtype != torch.float32:
            raise ValueError(
                f"{key} is {parameter.dtype}, but weights must be float32: load the model with "
                "dtype=torch.float32, and pass bf16=True or fp16=True for a step in 16 bits"
            )
    for key, module in source.named_modules():
        if getattr(module, "gradient_checkpointing", False):
            raise ValueError(
                f"gradient checkpointing of this {name} is not supported: switch it off, by "
                "gradient_checkpointing_disable()"
            )
        if any(getattr(module, hooks) for hooks in _HOOKS):
            raise ValueError(
                f"{key or name} has hooks, which ftcore's step would not call: remove them"
            )
    # Modules that were exchanged and dropouts that were changed show in what it prints.
    with torch.device("meta"):
        plain = type(source)(copy.deepcopy(source.config))
    if repr(plain) != repr(source):
        raise ValueError(
            f"this {name} is not what its configuration says: modules were changed since it was "
            "made; say it in the configuration, as with from_pretrained(..., "
            "hidden_dropout_prob=0.2)"
        )
