"""The model to measure: a named size with random weights, or a model of the user's own."""

import dataclasses
import itertools
import json
import os
import pathlib
from typing import Any

import numpy as np

import ftcore
from ftcore.command_line import CommandError

# Vocabulary and positions are those of BERT (Devlin et al. 2018) in every size.
SIZES: dict[str, dict[str, int]] = {
    "bert-base": {},
    "minilm": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "intermediate_size": 1536,
    },
    "bert-large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_SUFFIXES = 5000


@dataclasses.dataclass(frozen=True)
class Model:
    """What to give to ``from_pretrained``, what to call it, its tokenizer and configuration."""

    path: str
    title: str
    tokenizer: Any
    config: Any


def find(name: str, scratch: pathlib.Path) -> Model:
    """The model of that name: one of SIZES, laid out in `scratch`, or any that ftcore loads.

    Raises CommandError where there is none, or where it is not a classifier of one label.
    """
    path, title = os.path.expanduser(name), name
    if name in SIZES:
        path, title = str(scratch / name), f"{name} (random weights)"
        write(scratch / name, ftcore.BertConfig(**SIZES[name]))
    try:
        config = ftcore.AutoConfig.from_pretrained(path)
        tokenizer = ftcore.AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        hint = f" (sizes with random weights: {', '.join(SIZES)})"
        raise CommandError(f"--model {name}: {error}{hint}") from error
    if config.problem_type == "multi_label_classification":
        raise CommandError(
            f"--model {name}: it gives several labels a row: choose one of one label"
        )
    return Model(path, title, tokenizer, config)


def write(folder: pathlib.Path, config: Any) -> None:
    """Writes a folder that ``from_pretrained`` loads: random weights and a made-up vocabulary."""
    ftcore.set_seed(0)
    ftcore.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    words = vocabulary(config.vocab_size)
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": True,
                "model_max_length": config.max_position_embeddings,
            }
        )
    )


def vocabulary(size: int) -> list[str]:
    """A vocabulary of `size` entries in the manner of BERT's: special tokens, characters alone and
    as continuations, words, the commonest first, and, from about 6000 entries on, suffixes.

    Raises ValueError where size is too small for the characters.
    """
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    characters = [*_PUNCTUATION, *letters, *("##" + letter for letter in letters)]
    room = size - len(_SPECIAL_TOKENS) - len(characters)
    if room < 0:
        raise ValueError(f"a vocabulary of {size} entries has no room for the characters")
    made = _made_up_words(room)
    suffixes = min(_SUFFIXES, room // 6)
    words = [*made[: room - suffixes], *("##" + word for word in made[:suffixes])]
    return [*_SPECIAL_TOKENS, *characters, *words]


def _made_up_words(count: int) -> list[str]:
    """Words of one, two and three syllables, the same ones each time."""
    heads = ("b", "ch", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "w")
    tails = ("", "n", "r", "s", "t", "nd")
    syllables = [a + b + c for a, b, c in itertools.product(heads, "aeiou", tails)]
    rng = np.random.default_rng(0)
    words = dict.fromkeys(rng.permutation(syllables).tolist())
    while len(words) < count:
        drawn = rng.choice(syllables, (count, 3))
        words |= dict.fromkeys(a + b + (c if len(a + b) < 6 else "") for a, b, c in drawn.tolist())
    return list(words)[:count]
