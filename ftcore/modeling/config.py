"""config.json: what a model is, under Hugging Face's names."""

from __future__ import annotations

import copy
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar

from ftcore.hub import HUB_OPTIONS, find_file
from ftcore.scalars import plain_number
from ftcore.storage import replace_file

CONFIG_NAME = "config.json"
PROBLEM_TYPES = (
    "single_label_classification",
    "regression",
    "multi_label_classification",
)


class PretrainedConfig:
    """The fields of a config.json as attributes; unknown ones are kept and saved again.

    `num_labels`, `id2label` ({id: name}) and `label2id` always agree; `problem_type` is None until
    the first labelled batch, or as given.
    """

    model_type: ClassVar[str]
    attribute_map: ClassVar[Mapping[str, str]] = {}
    defaults: ClassVar[Mapping[str, Any]]

    def __init__(self, **values: Any) -> None:
        num_labels = values.pop("num_labels", None)
        id2label = values.pop("id2label", None)
        label2id = values.pop("label2id", None)
        values.pop("model_type", None)
        for name, default in self.defaults.items():
            setattr(self, name, copy.copy(default))
        self.problem_type: str | None = None
        self.architectures: list[str] | None = None
        for name, value in values.items():
            setattr(self, name, value)
        self.set_labels(num_labels, id2label, label2id)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "num_labels":
            self.set_labels(value)
        else:
            super().__setattr__(self.attribute_map.get(name, name), plain_number(value))

    def __getattr__(self, name: str) -> Any:
        # Called only where there is no such attribute.
        mapped = self.attribute_map.get(name)
        if mapped is None:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}")
        return getattr(self, mapped)

    @property
    def num_labels(self) -> int:
        """How many labels the classifier tells apart."""
        return len(self.id2label)

    def set_labels(
        self,
        num_labels: int | None = None,
        id2label: Mapping[Any, str] | None = None,
        label2id: Mapping[str, Any] | None = None,
    ) -> None:
        """Sets the labels' names; with num_labels alone they are LABEL_0, LABEL_1, ..."""
        if id2label is not None:
            id2label = {_label_id(key): str(value) for key, value in id2label.items()}
            if num_labels is not None and num_labels != len(id2label):
                raise ValueError(
                    f"num_labels is {num_labels} but id2label names {len(id2label)} labels"
                )
        else:
            if num_labels is None and label2id is not None:
                id2label = {_label_id(value): str(key) for key, value in label2id.items()}
            else:
                count = 2 if num_labels is None else plain_number(num_labels)
                _check_integer("num_labels", count, 1)
                id2label = {i: f"LABEL_{i}" for i in range(count)}
        if sorted(id2label) != list(range(len(id2label))) or not id2label:
            raise ValueError(f"id2label must name the labels 0, 1, 2, ..., got {id2label}")
        self.id2label: dict[int, str] = dict(sorted(id2label.items()))
        names = {name: i for i, name in self.id2label.items()}
        if label2id is not None:
            given = {str(key): _label_id(value) for key, value in label2id.items()}
            if len(names) == len(self.id2label) and given != names:
                raise ValueError(f"label2id {given} does not agree with id2label {self.id2label}")
        self.label2id: dict[str, int] = names

    def to_dict(self) -> dict[str, Any]:
        """All fields, as they stand in config.json."""
        values = {key: copy.deepcopy(value) for key, value in vars(self).items()}
        values["id2label"] = {str(key): value for key, value in self.id2label.items()}
        values["model_type"] = self.model_type
        return {key: value for key, value in values.items() if value is not None}

    def to_json_string(self) -> str:
        """config.json's text."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Writes config.json into a folder, which is made where it is missing."""
        folder = pathlib.Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / CONFIG_NAME, self.to_json_string().encode())

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Reads the config.json of a folder or of a model on the hub; see `load_config`."""
        config = load_config(name_or_path, **kwargs)
        if not isinstance(config, cls):
            raise ValueError(
                f"{name_or_path} is a {config.model_type} model, not {cls.model_type}: use "
                "AutoModelForSequenceClassification, which chooses by itself"
            )
        return config

    def core(self) -> dict[str, Any]:
        """The fields as the C core takes them. Raises ValueError for what it cannot do."""
        raise NotImplementedError

    def _check_common(self, sizes: tuple[str, ...], dropouts: tuple[str, ...]) -> None:
        for name in sizes:
            _check_integer(name, getattr(self, name), 1)
        for name in dropouts:
            _check_probability(name, getattr(self, name))
        if self.pad_token_id is not None:
            _check_integer("pad_token_id", self.pad_token_id, 0)
        if self.problem_type is not None and self.problem_type not in PROBLEM_TYPES:
            raise ValueError(
                f"problem_type must be one of {', '.join(PROBLEM_TYPES)}, got {self.problem_type!r}"
            )
        if getattr(self, "pruned_heads", None):
            raise ValueError("pruned_heads is not supported: load a model without pruned heads")
        if getattr(self, "quantization_config", None):
            raise ValueError("quantization_config is not supported: load the unquantised weights")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PretrainedConfig) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"


class BertConfig(PretrainedConfig):
    """The configuration of BERT (Devlin et al. 2018)."""

    model_type = "bert"
    defaults = {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "classifier_dropout": None,
    }

    def core(self) -> dict[str, Any]:
        self._check_common(
            (
                "vocab_size",
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "intermediate_size",
                "max_position_embeddings",
                "type_vocab_size",
            ),
            ("hidden_dropout_prob", "attention_probs_dropout_prob"),
        )
        _check_activation("hidden_act", self.hidden_act)
        _check_number("layer_norm_eps", self.layer_norm_eps)
        position = getattr(self, "position_embedding_type", None) or "absolute"
        if position != "absolute":
            raise ValueError(
                f"position_embedding_type {position!r} is not supported: only 'absolute' is"
            )
        for name in ("is_decoder", "add_cross_attention", "is_encoder_decoder"):
            if getattr(self, name, False):
                raise ValueError(f"{name} is not supported: only encoders can be fine-tuned")
        classifier_dropout = self.classifier_dropout
        if classifier_dropout is None:
            classifier_dropout = self.hidden_dropout_prob
        _check_probability("classifier_dropout", classifier_dropout)
        return {
            "model_type": "bert",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "type_vocab_size": self.type_vocab_size,
            "pad_token_id": -1 if self.pad_token_id is None else self.pad_token_id,
            "num_labels": self.num_labels,
            "layer_norm_eps": float(self.layer_norm_eps),
            "hidden_dropout_prob": float(self.hidden_dropout_prob),
            "attention_probs_dropout_prob": float(self.attention_probs_dropout_prob),
            "classifier_dropout": float(classifier_dropout),
        }


class DistilBertConfig(PretrainedConfig):
    """The configuration of DistilBERT (Sanh et al. 2019)."""

    model_type = "distilbert"
    attribute_map = {
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }
    defaults = {
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "sinusoidal_pos_embds": False,
        "n_layers": 6,
        "n_heads": 12,
        "dim": 768,
        "hidden_dim": 3072,
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "activation": "gelu",
        "initializer_range": 0.02,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "pad_token_id": 0,
    }

    def core(self) -> dict[str, Any]:
        self._check_common(
            ("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings"),
            ("dropout", "attention_dropout", "seq_classif_dropout"),
        )
        _check_activation("activation", self.activation)
        if self.sinusoidal_pos_embds:
            raise ValueError(
                "sinusoidal_pos_embds is not supported: only learned position embeddings are"
            )
        return {
            "model_type": "distilbert",
            "vocab_size": self.vocab_size,
            "hidden_size": self.dim,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": self.n_heads,
            "intermediate_size": self.hidden_dim,
            "max_position_embeddings": self.max_position_embeddings,
            "type_vocab_size": 0,
            "pad_token_id": -1 if self.pad_token_id is None else self.pad_token_id,
            "num_labels": self.num_labels,
            "layer_norm_eps": 1e-12,
            "hidden_dropout_prob": float(self.dropout),
            "attention_probs_dropout_prob": float(self.attention_dropout),
            "classifier_dropout": float(self.seq_classif_dropout),
        }


CONFIGS: dict[str, type[PretrainedConfig]] = {
    config.model_type: config for config in (BertConfig, DistilBertConfig)
}


def as_config(config: Any) -> Any:
    """ftcore's configuration of another library's: what has to_dict() and a known model_type.

    Anything else is given back as it is.
    """
    config_class = CONFIGS.get(getattr(config, "model_type", None) or "")
    if config_class is None or isinstance(config, PretrainedConfig):
        return config
    if not callable(getattr(config, "to_dict", None)):
        return config
    values = config.to_dict()
    # Its labels' names say how many there are.
    if values.get("id2label"):
        values.pop("num_labels", None)
    return config_class(**values)


def load_config(name_or_path: str | os.PathLike[str], **kwargs: Any) -> PretrainedConfig:
    """The configuration of a model: a local folder's or the hub's config.json.

    `kwargs` are options of the hub (revision, token, ...) and fields that override the file's
    (num_labels, id2label, hidden_dropout_prob, ...). Raises OSError where there is no config.json,
    ValueError where it is no JSON or of an architecture that is not supported, and TypeError for a
    keyword that is neither.
    """
    options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
    path = find_file(name_or_path, CONFIG_NAME, **options)
    if path is None:
        raise OSError(f"{name_or_path} has no {CONFIG_NAME}: it is not a model's folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(values).__name__}")
    model_type = values.get("model_type")
    config_class = CONFIGS.get(model_type) if isinstance(model_type, str) else None
    if config_class is None:
        named = f"model_type {model_type!r}" if model_type else "no model_type"
        architectures = values.get("architectures")
        if architectures:
            named += f" (architectures {architectures})"
        raise ValueError(
            f"{path} has {named}, which is not supported: supported are {', '.join(CONFIGS)}"
        )
    if not isinstance(values.get("id2label") or {}, dict):
        raise ValueError(f"{path}: id2label must be an object")
    overrides = {key for key in ("num_labels", "id2label", "label2id") if key in kwargs}
    stored = values.get("id2label")
    if overrides == {"num_labels"} and stored and len(stored) == kwargs["num_labels"]:
        del kwargs["num_labels"]
    elif overrides:
        values.pop("id2label", None)
        values.pop("label2id", None)
    if overrides or stored:
        values.pop("num_labels", None)
    known = {*config_class.defaults, *config_class.attribute_map, *values}
    known |= {"num_labels", "id2label", "label2id", "problem_type"}
    known -= {"dtype", "torch_dtype"}
    for key in kwargs:
        if key not in known:
            raise TypeError(
                f"from_pretrained() got an unexpected keyword {key!r}: it is neither a field of "
                f"{config_class.__name__} nor one of {', '.join(HUB_OPTIONS)}"
            )
    values.update(kwargs)
    try:
        return config_class(**values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error


class AutoConfig:
    """Loads a configuration of the class that its config.json asks for."""

    from_pretrained = staticmethod(load_config)


def _label_id(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"a label's id must be an integer, got {value!r}") from None


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, got {value!r}")


def _check_probability(name: str, value: Any) -> None:
    _check_number(name, value)
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def _check_activation(name: str, value: Any) -> None:
    if value != "gelu":
        raise ValueError(f"{name} {value!r} is not supported: only 'gelu' (the exact one) is")
