"""Parts of a tokenizer.json that are not what BERT's are, and a folder to put them in."""

import json
import pathlib
from typing import Any

from ftcore.tokenization import BertTokenizer

BERT_PROCESSING = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
PLAIN_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": False,
    "handle_chinese_chars": False,
    "strip_accents": False,
    "lowercase": True,
}
ODD_TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"Sequence": {"id": "A", "type_id": 3}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
    ],
    "pair": [
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": "two", "type_id": 4}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ],
    "special_tokens": {
        "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
        "two": {"id": "two", "ids": [2, 3], "tokens": ["[CLS]", "[SEP]"]},
    },
}


def odd_model(vocab: dict[str, int]) -> dict[str, Any]:
    """A WordPiece of another prefix, unknown token and longest word."""
    return {
        "type": "WordPiece",
        "unk_token": "the",
        "continuing_subword_prefix": "a",
        "max_input_chars_per_word": 5,
        "vocab": vocab,
    }


def write_backend_folder(
    folder: pathlib.Path, vocab: dict[str, int], change: dict[str, Any] | None = None
) -> None:
    """Writes a checkpoint whose tokenizer.json, with ``change``, is to be taken at its word."""
    BertTokenizer(vocab).save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **(change or {})}), encoding="utf-8")
