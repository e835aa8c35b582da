"""ftcore: fine-tunes BERT-family classifiers on a fused C train step.

The names are transformers'. Importing ftcore loads the core alone: each name is loaded when it is
first asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any

if importlib.util.find_spec("._core", __name__) is None:
    # Imported from a source folder that holds no extension: take the installed package's.
    __path__ = pkgutil.extend_path(__path__, __name__)

from ftcore import _openmp  # noqa: E402, F401  (before anything else loads the core)

if TYPE_CHECKING:
    from ftcore.data import DataCollatorWithPadding, default_data_collator
    from ftcore.devices import DeviceInfo, default_device, device_info, resolve_device
    from ftcore.modeling.config import AutoConfig, BertConfig, DistilBertConfig
    from ftcore.modeling.output import SequenceClassifierOutput
    from ftcore.modeling.sequence_classification import (
        AutoModelForSequenceClassification,
        BertForSequenceClassification,
        DistilBertForSequenceClassification,
    )
    from ftcore.optimization import (
        AdamW,
        clip_grad_norm_,
        get_constant_schedule,
        get_constant_schedule_with_warmup,
        get_cosine_schedule_with_warmup,
        get_linear_schedule_with_warmup,
        get_scheduler,
    )
    from ftcore.seeding import set_seed
    from ftcore.tokenization import (
        AutoTokenizer,
        BatchEncoding,
        BertTokenizer,
        BertTokenizerFast,
        DistilBertTokenizer,
        DistilBertTokenizerFast,
    )
    from ftcore.training.arguments import TrainingArguments
    from ftcore.training.callbacks import EarlyStoppingCallback, TrainerCallback
    from ftcore.training.outputs import EvalPrediction, PredictionOutput
    from ftcore.training.state import TrainerControl, TrainerState
    from ftcore.training.trainer import Trainer

__version__ = "0.1.0"

_HOMES = {
    "data": ("DataCollatorWithPadding", "default_data_collator"),
    "devices": ("DeviceInfo", "default_device", "device_info", "resolve_device"),
    "modeling.config": ("AutoConfig", "BertConfig", "DistilBertConfig"),
    "modeling.output": ("SequenceClassifierOutput",),
    "modeling.sequence_classification": (
        "AutoModelForSequenceClassification",
        "BertForSequenceClassification",
        "DistilBertForSequenceClassification",
    ),
    "optimization": (
        "AdamW",
        "clip_grad_norm_",
        "get_constant_schedule",
        "get_constant_schedule_with_warmup",
        "get_cosine_schedule_with_warmup",
        "get_linear_schedule_with_warmup",
        "get_scheduler",
    ),
    "seeding": ("set_seed",),
    "tokenization": (
        "AutoTokenizer",
        "BatchEncoding",
        "BertTokenizer",
        "BertTokenizerFast",
        "DistilBertTokenizer",
        "DistilBertTokenizerFast",
    ),
    "training.arguments": ("TrainingArguments",),
    "training.callbacks": ("EarlyStoppingCallback", "TrainerCallback"),
    "training.outputs": ("EvalPrediction", "PredictionOutput"),
    "training.state": ("TrainerControl", "TrainerState"),
    "training.trainer": ("Trainer",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdamW",
    "AutoConfig",
    "AutoModelForSequenceClassification",
    "AutoTokenizer",
    "BatchEncoding",
    "BertConfig",
    "BertForSequenceClassification",
    "BertTokenizer",
    "BertTokenizerFast",
    "DataCollatorWithPadding",
    "DeviceInfo",
    "DistilBertConfig",
    "DistilBertForSequenceClassification",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "EarlyStoppingCallback",
    "EvalPrediction",
    "PredictionOutput",
    "SequenceClassifierOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "__version__",
    "clip_grad_norm_",
    "default_data_collator",
    "default_device",
    "device_info",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_linear_schedule_with_warmup",
    "get_scheduler",
    "resolve_device",
    "set_seed",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'ftcore' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
