"""Choosing a tokenizer's class by what a checkpoint's files say."""

from __future__ import annotations

import os
from typing import Any

from ftcore.tokenization.bert import BertTokenizer, DistilBertTokenizer, PreTrainedTokenizerFast
from ftcore.tokenization.files import Checkpoint, split_hub_options
from ftcore.tokenization.wordpiece import WordPieceTokenizer

_CLASSES: dict[str, type[BertTokenizer] | type[PreTrainedTokenizerFast]] = {
    "BertTokenizer": BertTokenizer,
    "DistilBertTokenizer": DistilBertTokenizer,
    "ElectraTokenizer": BertTokenizer,
    "MobileBertTokenizer": BertTokenizer,
    "PreTrainedTokenizer": PreTrainedTokenizerFast,
    "TokenizersBackend": PreTrainedTokenizerFast,
}
_CLASS_OF_MODEL = {
    "bert": "BertTokenizer",
    "convbert": "BertTokenizer",
    "distilbert": "BertTokenizer",
    "electra": "BertTokenizer",
    "ernie": "BertTokenizer",
    "layoutlm": "BertTokenizer",
    "lxmert": "BertTokenizer",
    "megatron-bert": "BertTokenizer",
    "mobilebert": "BertTokenizer",
    "squeezebert": "BertTokenizer",
    "visual_bert": "BertTokenizer",
}


class AutoTokenizer:
    """Loads the tokenizer of a checkpoint; see from_pretrained."""

    def __init__(self) -> None:
        raise OSError(
            "AutoTokenizer is designed to be instantiated using the "
            "`AutoTokenizer.from_pretrained(pretrained_model_name_or_path)` method."
        )

    @staticmethod
    def from_pretrained(
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        use_fast: bool = True,
        trust_remote_code: bool = False,
        **options: Any,
    ) -> WordPieceTokenizer:
        """Loads the tokenizer of a checkpoint: a local folder, or a name on the hub.

        ``options`` override the checkpoint's (``do_lower_case``, ``model_max_length``, special
        tokens and so on), or say where it is (``cache_dir``, ``revision``, ``token`` and so on).
        ``use_fast`` changes nothing: there is one kind. Raises OSError where files are missing,
        ValueError where they are malformed or their tokenizer is not of the WordPiece family.
        """
        if trust_remote_code:
            raise ValueError(
                "trust_remote_code=True is not supported: ftcore runs no code it loads"
            )
        hub, given = split_hub_options(options)
        checkpoint = Checkpoint(pretrained_model_name_or_path, hub)
        name = _class_name(checkpoint)
        if name not in _CLASSES:
            raise ValueError(
                f"{checkpoint.name!r} has a {name}, which is not supported; ftcore has the "
                f"WordPiece tokenizers: {', '.join(sorted(_CLASSES))}"
            )
        return _CLASSES[name]._load(checkpoint, given)


def _class_name(checkpoint: Checkpoint) -> str:
    model = None
    for filename in ("tokenizer_config.json", "config.json"):
        config = checkpoint.read_json(filename) or {}
        if isinstance(config.get("tokenizer_class"), str):
            return config["tokenizer_class"].removesuffix("Fast")
        model = config.get("model_type")
    if isinstance(model, str) and model in _CLASS_OF_MODEL:
        return _CLASS_OF_MODEL[model]
    if model is not None:
        return f"tokenizer for {model!r} models"
    return "BertTokenizer" if checkpoint.read("vocab.txt") else "PreTrainedTokenizer"
