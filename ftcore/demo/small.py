"""A small BERT to be trained from scratch, laid out as a folder that ``from_pretrained`` loads."""

import collections
import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LARGEST_VOCABULARY = 8000

CONFIG: dict[str, Any] = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "initializer_range": 0.1,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def vocabulary(texts: Iterable[str]) -> list[str]:
    """The special tokens, the commonest words of the texts, and every character they hold, alone
    and as a continuation, so that words left out are spelled rather than unknown."""
    words: collections.Counter[str] = collections.Counter()
    for text in texts:
        words.update(re.findall(r"\w+|[^\w\s]", text.lower()))
    characters = sorted({character for word in words for character in word})
    spelled = characters + ["##" + character for character in characters]
    whole = [word for word, _ in words.most_common(LARGEST_VOCABULARY) if len(word) > 1]
    return [*SPECIAL_TOKENS, *spelled, *sorted(whole)]


def _parameters(vocabulary_size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Hugging Face's names and random values.

    Larger than a pretrained model's start, or a model this narrow hardly moves at first; and the
    first layer's queries equal its keys, so that a word begins by looking for itself in the other
    sentence. Without either, training spends its minutes on finding that out.
    """
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    tensors: dict[str, np.ndarray] = {}

    def matrix(name: str, rows: int, columns: int, deviation: float) -> None:
        tensors[name] = (deviation * rng.standard_normal((rows, columns))).astype(np.float32)

    def linear(name: str, rows: int, columns: int) -> None:
        matrix(name + ".weight", rows, columns, 0.1)
        tensors[name + ".bias"] = np.zeros(rows, np.float32)

    def norm(name: str) -> None:
        tensors[name + ".weight"] = np.ones(hidden, np.float32)
        tensors[name + ".bias"] = np.zeros(hidden, np.float32)

    matrix("embeddings.word_embeddings.weight", vocabulary_size, hidden, 1.0)
    matrix("embeddings.position_embeddings.weight", CONFIG["max_position_embeddings"], hidden, 0.1)
    matrix("embeddings.token_type_embeddings.weight", CONFIG["type_vocab_size"], hidden, 0.5)
    norm("embeddings.LayerNorm")
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            linear(prefix + "attention.self." + part, hidden, hidden)
        linear(prefix + "attention.output.dense", hidden, hidden)
        norm(prefix + "attention.output.LayerNorm")
        linear(prefix + "intermediate.dense", inner, hidden)
        linear(prefix + "output.dense", hidden, inner)
        norm(prefix + "output.LayerNorm")
    first = "encoder.layer.0.attention.self."
    tensors[first + "key.weight"] = tensors[first + "query.weight"].copy()
    linear("pooler.dense", hidden, hidden)
    return tensors


def write_small_model(folder: pathlib.Path, texts: Iterable[str], seed: int) -> None:
    """Writes config.json, model.safetensors, vocab.txt and tokenizer_config.json."""
    from safetensors.numpy import save_file

    words = vocabulary(texts)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": True,
                "model_max_length": CONFIG["max_position_embeddings"],
            }
        )
    )
    (folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": len(words)}, indent=2))
    save_file(
        _parameters(len(words), np.random.default_rng(seed)),
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
